"""Stopping on purpose, the agent inside and NemoClaw's repair: asked first, done once, proven."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from services.errors import NotFoundError, RefusedError
from services.models import BY_HAND, AttemptState, SandboxId, SandboxState, Step, StepState, Verb
from services.sources.openshell import nemoclaw_cli
from services.sources.protocol.proposer import Proposal, Proposer
from services.sources.protocol.source import OpenSource
from tests.integration.sources.openshell.test_script import ALPHA, BETA, repair, source
from tests.support.openshell_script import AGENT_REFUSES, AGENT_SERVES, Script, register, script
from tests.support.ports import free_port


def proposer(one: OpenSource) -> Proposer:
    assert one.proposer is not None
    return one.proposer


async def carried(one: OpenSource, proposal: Proposal) -> list[Step]:
    return [step async for step in proposer(one).carry_out(proposal)]


async def test_a_sandbox_is_stopped_on_purpose_and_sleeps_by_design(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    one = source()
    proposal = await proposer(one).propose(ALPHA, "stop")
    assert proposal.typed_name == "alpha" and not proposal.refusal
    assert "files stay" in proposal.consequence and made.acts() == []
    steps = await carried(one, proposal)
    assert steps[-1].state is StepState.OK and "was stopped" in steps[-1].detail
    assert [call for call in made.acts() if "stop" in call] == [
        "-g nemoclaw --workspace default sandbox stop alpha"
    ]
    row = next(row for row in (await one.observer.observe()).sandboxes if row.id == ALPHA)
    assert row.state is SandboxState.ASLEEP and row.asleep_by_design
    with pytest.raises(RefusedError, match="no longer what you were shown"):
        await carried(one, proposal)


async def test_only_a_ready_one_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = script(tmp_path / "os", monkeypatch)
    one = source()
    assert "stopped already" in (await proposer(one).propose(BETA, "stop")).refusal
    made.set(sandboxes={"nemoclaw": {"alpha": "Error"}})
    assert "only a ready one" in (await proposer(one).propose(ALPHA, "stop")).refusal
    with pytest.raises(NotFoundError):
        await proposer(one).propose(ALPHA, "delete")
    assert made.acts() == []


async def test_what_nemoclaw_notes_as_stopped_is_asleep_and_says_by_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    script(tmp_path / "os", monkeypatch)
    register(home, "alpha", "beta", stopped=True, dashboardPort=None)
    rows = {row.name: row for row in (await source().observer.observe()).sandboxes}
    assert rows["beta"].reason == "Stopped by you; wake starts it."
    assert rows["beta"].asleep_by_design
    assert rows["alpha"].state is SandboxState.READY
    assert rows["alpha"].reason == "NemoClaw still notes it as stopped."


async def test_a_living_agent_whose_dashboard_cannot_be_reached_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    script(tmp_path / "os", monkeypatch, agent=AGENT_SERVES, port_taken=True)
    port = free_port()
    register(home, "alpha", dashboardPort=port)
    ended = await repair(source(), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE
    assert f"answers on {port} and is ready, but its dashboard is not reachable" in ended.summary


async def test_a_terminal_agent_is_never_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    register(home, "alpha", agent="langchain-deepagents-code")
    one = source()
    ended = await repair(one, Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE and ended.steps[-1].name == "connect"
    assert not [call for call in made.calls() if "curl" in call or "forward st" in call]
    assert "no gateway of its own" in (await proposer(one).propose(ALPHA, "ask-agent")).refusal


HELP = " ".join(
    f'"  nemoclaw <name> {verb}  words"'
    for verb in ("recover", "gateway restart", "start", "stop", "status", "doctor [--json]")
)


def nemoclaw(made: Script, version: str, code: int = 0, said: str = "") -> Path:
    """A `nemoclaw` that writes down what it was asked, and what it was given."""
    path = made.folder / "bin" / "nemoclaw"
    path.write_text(
        "#!/bin/sh\n"
        'echo "$* port=$NEMOCLAW_GATEWAY_PORT quiet=$NEMOCLAW_NON_INTERACTIVE"'
        f" >> {made.folder}/asked\n"
        f'case "$*" in --version) echo "nemoclaw v{version}";; help) printf "%s\\n" {HELP};;\n'
        f" *) printf '%b' {shlex.quote(said)}; exit {code};; esac\n"
    )
    path.chmod(0o755)
    return made.folder / "asked"


async def test_nemoclaws_repair_is_told_beforehand_done_once_and_proven_by_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(tmp_path / "os", monkeypatch, agent=AGENT_SERVES)
    register(home, "alpha", dashboardPort=18789)
    asked = nemoclaw(made, "0.0.130")
    monkeypatch.setenv("NEMOCLAW_NON_INTERACTIVE", "1")
    one = source()
    proposal = await proposer(one).propose(ALPHA, "repair-agent")
    assert not proposal.refusal and "ANEW" not in proposal.consequence
    assert "recover" not in asked.read_text()
    steps = await carried(one, proposal)
    assert [step.name for step in steps if step.state is StepState.OK] == ["nemoclaw", "agent"]
    done = [line for line in asked.read_text().splitlines() if "recover" in line]
    assert done == ["alpha recover port= quiet="]
    with pytest.raises(RefusedError, match="only just now"):
        await carried(one, proposal)
    made.set(agent=AGENT_REFUSES)


async def test_an_exit_of_0_without_an_answer_of_the_agent_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(tmp_path / "os", monkeypatch, agent=AGENT_REFUSES)
    register(home, "alpha", dashboardPort=18789)
    nemoclaw(made, "0.0.130")
    one = source()
    steps = await carried(one, await proposer(one).propose(ALPHA, "repair-agent"))
    assert steps[-1].state is StepState.FAILED
    assert steps[-1].detail == "Its agent does not answer on 18789: the connection is refused."


@pytest.mark.parametrize("version", ["0.0.120", "unknown"])
async def test_an_older_nemoclaw_is_said_to_make_containers_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, version: str
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw-9090": "connected"},
        sandboxes={"nemoclaw-9090": {"alpha": "Ready"}},
        agent=AGENT_SERVES,
    )
    register(home, "alpha", dashboardPort=18789, gatewayPort=9090)
    asked = nemoclaw(made, version)
    one = source()
    proposal = await proposer(one).propose(SandboxId("os", "nemoclaw-9090/alpha"), "repair-agent")
    assert "MAY MAKE THE CONTAINER ANEW" in proposal.consequence
    await carried(one, proposal)
    assert "alpha recover port=9090 quiet=" in asked.read_text()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("first\nSUPERVISOR_BUSY\n", "at work on it already"),
        ("relaunch quarantined\n", "Only a rebuild helps; that is NemoClaw's."),
        (
            "begun\nlink is http://h/#token=abcdefghijklmnop\n",
            "NemoClaw could not repair the agent: begun",
        ),
    ],
)
async def test_what_nemoclaw_says_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, said: str, words: str
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    register(home, "alpha", dashboardPort=18789)
    nemoclaw(made, "0.0.130", 1, said.replace("\n", "\\n"))
    one = source()
    steps = await carried(one, await proposer(one).propose(ALPHA, "repair-agent"))
    assert steps[-1].state is StepState.FAILED and words in steps[-1].detail
    assert "abcdefghijklmnop" not in steps[-1].detail


async def test_without_nemoclaw_there_is_nothing_to_agree_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    script(tmp_path / "os", monkeypatch)
    one = source()
    assert "does not list it" in (await proposer(one).propose(ALPHA, "repair-agent")).refusal
    register(home, "alpha", dashboardPort=18789)
    if nemoclaw_cli.locate() is None:
        assert "not installed" in (await proposer(one).propose(ALPHA, "repair-agent")).refusal
    assert os.environ["PATH"].startswith(str(tmp_path))


OTHERS = [
    ("restart-agent", "alpha gateway restart", "is doing is cut", ""),
    ("nemoclaw-start", "alpha start", "one real request to its model", ""),
    ("nemoclaw-stop", "alpha stop", "Its files stay", "alpha"),
]


@pytest.mark.parametrize(("verb", "argv", "means", "typed"), OTHERS)
async def test_what_else_nemoclaw_does_is_told_beforehand_and_done_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    verb: str,
    argv: str,
    means: str,
    typed: str,
) -> None:
    made = script(tmp_path / "os", monkeypatch, agent=AGENT_SERVES)
    register(home, "alpha", dashboardPort=18789)
    asked = nemoclaw(made, "0.0.130")
    one = source()
    proposal = await proposer(one).propose(ALPHA, verb)
    assert means in proposal.consequence and proposal.typed_name == typed
    steps = await carried(one, proposal)
    ran = [line for line in asked.read_text().splitlines() if line.startswith("alpha ")]
    assert ran == [f"{argv} port= quiet="] and steps[0].detail == f"nemoclaw {argv}"
    proven = [] if verb == "nemoclaw-stop" else ["agent"]
    assert [step.name for step in steps if step.state is StepState.OK] == ["nemoclaw", *proven]
    assert "only just now" in (await proposer(one).propose(ALPHA, verb)).refusal


async def test_a_command_that_the_help_does_not_list_is_never_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    register(home, "alpha", dashboardPort=18789)
    monkeypatch.setitem(globals(), "HELP", '"  nemoclaw status" "  recover: use <name> recover"')
    asked = nemoclaw(made, "0.0.130")
    one = source()
    for verb, _ in proposer(one).verbs:
        if verb.startswith("nemoclaw") or verb in ("repair-agent", "restart-agent"):
            assert "this nemoclaw has no `" in (await proposer(one).propose(ALPHA, verb)).refusal
    assert not [line for line in asked.read_text().splitlines() if line.startswith("alpha")]


WELL = {
    "found": True,
    "phase": "Ready",
    "gatewayState": "present",
    "inferenceHealth": {"probed": True, "ok": True},
    "failureLayer": None,
    "rpcIssue": None,
}
SICK = {"probed": True, "ok": False, "detail": "401 for key nvapi-abcdefghijklmnopqrstuv"}
CHECKS = [
    {"label": "CLI build", "status": "ok", "detail": "there"},
    {"label": "Live sandbox", "status": "fail", "detail": "not there", "hint": "run onboard"},
    {"label": "Agent version", "status": "warn", "detail": "older"},
]
REPORTS: list[tuple[str, int, str, StepState, str]] = [
    ("status", 1, json.dumps(WELL), StepState.OK, "phase Ready, gateway present, the model answ"),
    ("status", 0, json.dumps({"found": False}), StepState.FAILED, "does not know this sandbox"),
    (
        "status",
        1,
        "a newer one is there\n" + json.dumps({**WELL, "inferenceHealth": SICK}, indent=2),
        StepState.FAILED,
        "the model does not answer (401",
    ),
    (
        "status",
        0,
        json.dumps({**WELL, "failureLayer": "docker_down"}),
        StepState.FAILED,
        "trouble in docker_down",
    ),
    ("status", 0, "all is well", StepState.FAILED, "cannot be understood"),
    ("status", 1, "SUPERVISOR_BUSY", StepState.FAILED, "at work on it already"),
    ("doctor", 0, json.dumps({"checks": CHECKS[:1]}), StepState.OK, "0 failed, 0 warned, 1 well."),
    (
        "doctor",
        1,
        json.dumps({"checks": CHECKS}, indent=2),
        StepState.FAILED,
        "1 failed, 1 warned, 1 well (Live sandbox: not there; Agent version: older)",
    ),
    ("doctor", 0, json.dumps({"checks": [7]}), StepState.FAILED, "1 not understood"),
]


@pytest.mark.parametrize(
    ("word", "code", "said", "state", "words"), REPORTS, ids=[one[4][:16] for one in REPORTS]
)
async def test_what_nemoclaw_reports_is_read_from_its_json_whatever_it_ended_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    word: str,
    code: int,
    said: str,
    state: StepState,
    words: str,
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    register(home, "alpha", dashboardPort=18789)
    asked = nemoclaw(made, "0.0.130", code, said)
    one = source()
    steps = await carried(one, await proposer(one).propose(ALPHA, f"nemoclaw-{word}"))
    assert (steps[-1].state, steps[-1].name) == (state, "nemoclaw") and words in steps[-1].detail
    assert "onboard" not in steps[-1].detail and "abcdefghijklm" not in steps[-1].detail
    assert f"alpha {word} --json port= quiet=" in asked.read_text()
    (row, _) = (await one.observer.observe()).sandboxes
    told = [said for name, said in row.evidence if name == f"NemoClaw {word}"]
    assert not told or "asked at " in told[0]


async def test_what_is_left_to_the_operators_own_terminal_is_text_to_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    gateways = {"nemoclaw-9090": "connected"}
    boxes = {"nemoclaw-9090": {"alpha": "Ready"}}
    script(tmp_path / "os", monkeypatch, gateways=gateways, sandboxes=boxes)
    register(home, "alpha", dashboardPort=None, gatewayPort=9090)
    (row,) = (await source().observer.observe()).sandboxes
    assert [said for name, said in row.evidence if name == BY_HAND] == [
        f"NEMOCLAW_GATEWAY_PORT=9090 nemoclaw {said}"
        for said in ("alpha logs --tail 200", "launch alpha", "alpha rebuild")
    ]
