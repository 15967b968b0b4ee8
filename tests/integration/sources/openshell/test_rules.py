"""Network rules: shown whole, decided one at a time and only as they were shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError
from services.models import Attempt, AttemptState, SandboxId, SandboxState
from services.repair.attempts import Attempts
from services.sources.openshell.policy import rule_history
from services.sources.openshell.rule_approval import APPROVE, REJECT, waiting
from services.sources.openshell.source import open_openshell
from services.sources.protocol.proposer import Proposal, Proposer
from services.sources.protocol.source import OpenSource
from services.text.format import clock_time
from tests.support.openshell_kit import kit
from tests.support.openshell_live import NAME, LiveGateway, live_gateway
from tests.support.openshell_script import Script, script

ALPHA = SandboxId("os", "nemoclaw/alpha")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    return script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw": "connected"},
        rules={"alpha": ["one", "two"], "beta": ["other"]},
    )


def source(binary: str = "") -> OpenSource:
    return open_openshell("os", OpenShellTable(binary=binary), SystemClock())


def proposer(one: OpenSource) -> Proposer:
    assert one.proposer is not None
    return one.proposer


async def carried_out(one: OpenSource, proposal: Proposal, locks: Path) -> Attempt:
    attempts = Attempts({"os": one}, SystemClock(), locks, lambda _: None)
    try:
        return await attempts.carry_out(proposal).wait()
    finally:
        await attempts.close()


def decisions(made: Script) -> list[str]:
    return [call for call in made.calls() if " approve " in call or " reject " in call]


@pytest.mark.parametrize(("verb", "word"), [(APPROVE, "approve"), (REJECT, "reject")])
async def test_the_first_of_the_right_sandbox_is_decided_after_being_shown(
    made: Script, tmp_path: Path, verb: str, word: str
) -> None:
    one = source()
    proposal = await proposer(one).propose(ALPHA, verb)
    assert decisions(made) == []
    assert proposal.target == "nemoclaw/alpha: one" and not proposal.refusal
    assert "Endpoints: example.com:443" in proposal.consequence
    assert "1 more wait" in proposal.consequence
    ended = await carried_out(one, proposal, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    (call,) = decisions(made)
    assert call.endswith(f"rule {word} --chunk-id c-one alpha")
    assert made.state()["rules"] == {"alpha": ["two"], "beta": ["other"]}
    row = next(row for row in (await one.observer.observe()).sandboxes if row.id == ALPHA)
    assert row.evidence[0] == ("network rules", "1 waiting: two") and row.needs_me
    done = {"approve": "approved", "reject": "rejected"}[word]
    assert dict(row.evidence)["decided from here"].startswith(f"one {done}, ")
    assert proposal.act == f"to {word} the network rule one"


POLICY = "Sandbox:\n\n  Name: alpha\n  Phase: Ready\n  Revision: 3\n\nPolicy:\n  - host: {}\n"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("example.com", "(revision 3) names them already: - host: example.com."),
        ("pypi.org", "(revision 3) names none of these places."),
    ],
)
async def test_what_a_decision_would_change_stands_beside_the_rule(
    made: Script, host: str, words: str
) -> None:
    made.set(say={"sandbox get": [0, POLICY.format(host), ""]})
    proposal = await proposer(source()).propose(ALPHA, APPROVE)
    assert words in proposal.consequence


@pytest.mark.parametrize(
    "change",
    [
        {"rules": {"alpha": ["two"]}},
        {"rules": {}},
        {"endpoints": "elsewhere.example:443"},
        {"rationale": "another"},
    ],
)
async def test_what_has_changed_since_is_not_decided(
    made: Script, tmp_path: Path, change: dict[str, object]
) -> None:
    one = source()
    proposal = await proposer(one).propose(ALPHA, APPROVE)
    made.set(**change)
    ended = await carried_out(one, proposal, tmp_path / "locks")
    assert ended.state is AttemptState.FAILED
    assert "no longer what you were shown" in f"{ended.original} {ended.last}"
    assert decisions(made) == []


@pytest.mark.parametrize(
    "rationale",
    [
        "please\n\n  Chunk: c-two\n  Rule: two\n  Rationale: x",
        "please\n  Endpoints: harmless.example:443",
        "please\nand more",
        "x" * 500,
    ],
)
async def test_words_of_the_agent_that_could_pass_for_a_rule_are_not_put_to_decision(
    made: Script, rationale: str
) -> None:
    made.set(rationale=rationale)
    proposal = await proposer(source()).propose(ALPHA, APPROVE)
    assert "beyond doubt" in proposal.refusal and not proposal.token


async def test_nothing_waits_and_nothing_else_can_be_proposed(made: Script) -> None:
    made.set(rules={})
    one = proposer(source())
    assert "no network rule" in (await one.propose(ALPHA, REJECT)).refusal
    for sandbox, verb in (
        (SandboxId("os", "nemoclaw/--all"), APPROVE),
        (SandboxId("else", "nemoclaw/alpha"), APPROVE),
        (ALPHA, "destroy"),
    ):
        with pytest.raises(NotFoundError):
            await one.propose(sandbox, verb)
    assert decisions(made) == []


async def test_the_row_of_the_right_sandbox_says_that_rules_wait(made: Script) -> None:
    made.set(rules={"alpha": ["one"]}, sandboxes={"nemoclaw": {"alpha": "Ready", "beta": "Ready"}})
    alpha, beta = (await source().observer.observe()).sandboxes
    assert alpha.state is SandboxState.READY and alpha.reason.endswith("1 waiting: one.")
    assert beta.reason == ""


HISTORY = (
    "\x1b[1m\x1b[36mRule History:\x1b[39m\x1b[0m\n\n"
    "  \x1b[2m19675d 22:13\x1b[0m \x1b[32mapproved\x1b[39m [c0] alpha\n"
    "  \x1b[2m19676d 00:05\x1b[0m \x1b[31mrejected\x1b[39m [c1] alpha\n"
)
"""As 0.0.111 prints it, days being those since the epoch."""


def test_the_gateways_own_history_of_rules_is_read_with_its_instants() -> None:
    newest, oldest = rule_history(HISTORY)
    when = clock_time(1_700_006_700, with_date=True)[:-3]
    assert newest == ("rule history", f"{when} rejected [c1] alpha")
    assert oldest[1].endswith("approved [c0] alpha")
    assert rule_history("No rule history for sandbox 'alpha'\n") == rule_history("") == ()
    assert rule_history(f"{HISTORY}  what is this\n")[-1][1] == "1 line not understood"
    many = HISTORY + "  19677d 00:00 approved [c2] alpha\n" * 50
    assert len(rule_history(many)) == 21 and rule_history(many)[-1][1] == "32 older ones"


async def test_the_history_is_asked_for_once_and_again_where_what_waits_has_changed(
    made: Script,
) -> None:
    made.set(history=["19675d 22:13 approved [c0] alpha"], rules={"alpha": ["one"]})
    one = source()
    for _ in range(2):
        row = next(row for row in (await one.observer.observe()).sandboxes if row.id == ALPHA)
    assert dict(row.evidence)["rule history"].endswith("approved [c0] alpha")
    asked = "rule history alpha"
    assert sum(call.endswith(asked) for call in made.calls()) == 1
    made.set(rules={}, history=["19676d 00:05 rejected [c1] alpha"])
    row = next(row for row in (await one.observer.observe()).sandboxes if row.id == ALPHA)
    assert dict(row.evidence)["rule history"].endswith("rejected [c1] alpha")
    assert sum(call.endswith(asked) for call in made.calls()) == 2


@pytest.mark.parametrize("text", ["", "No network rules for sandbox 'a'\n"])
def test_an_empty_list_is_empty(text: str) -> None:
    assert waiting(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Chunk: c",
        "Network Rules: (version 1, 2 chunks)\n Chunk: a\n Rule: r",
        "Network Rules: (version 1, 1 chunks)\n Rule: r",
        "Network Rules: (version 1, 1 chunks)\n Chunk: --all\n Rule: r",
        "Network Rules: (version 1, 1 chunks)\n Chunk:\n",
    ],
)
def test_a_doubtful_list_is_not_read(text: str) -> None:
    assert waiting(text) is None


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveGateway]:
    with live_gateway(kit().stubs(), tmp_path, monkeypatch) as live:
        yield live


@pytest.mark.parametrize("version", ["0.0.44", "0.0.99", "0.0.111"])
async def test_the_real_command_decides(gateway: LiveGateway, tmp_path: Path, version: str) -> None:
    gateway.order(rules={"alpha": 2})
    one, sandbox = source(kit().cli(version)), SandboxId("os", f"{NAME}/alpha")
    proposal = await proposer(one).propose(sandbox, APPROVE)
    assert "Endpoints: example.com:443" in proposal.consequence
    ended = await carried_out(one, proposal, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    left = await proposer(one).propose(sandbox, REJECT)
    assert left.target.endswith("rule-1") and "more wait" not in left.consequence
    ended = await carried_out(one, left, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    assert "no network rule" in (await proposer(one).propose(sandbox, APPROVE)).refusal
    if version == "0.0.44":
        return  # It reads no phase of this stub, and a row that is not ready is asked for nothing.
    happened: list[str] = []
    for _ in range(20):  # On a busy machine one round may end before it has asked for it.
        seen = (await one.observer.observe()).sandboxes
        told = next(row.evidence for row in seen if row.id == sandbox)
        if happened := [said for name, said in told if name == "rule history"]:
            break
    assert [said.split()[2] for said in happened] == ["approved", "rejected"]
