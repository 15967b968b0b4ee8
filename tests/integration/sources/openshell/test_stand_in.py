"""The 0.1 line through a stand-in made from its documents: no command of that line was ever run."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.models import AttemptState, SandboxId, SandboxState, Verb
from services.repair.limits import Limits
from services.sources.openshell.source import open_openshell
from services.sources.protocol.source import OpenSource
from tests.integration.sources.openshell.test_script import repair
from tests.support.openshell_stand_in import StandIn, stand_in


def source(made: StandIn) -> OpenSource:
    table = OpenShellTable(binary=made.binary, registry="")
    return open_openshell("os", table, SystemClock())


def box(name: str) -> SandboxId:
    return SandboxId("os", f"lab/{name}")


def at(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def failed(cause: str, **more: Any) -> dict[str, Any]:
    return {
        "phase": "Error",
        "conditions": [{"type": "Ready", "status": "False", "reason": cause}],
        **more,
    }


async def test_no_flag_is_sent_that_the_help_does_not_offer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"box{n:03}": {"phase": "Ready"} for n in range(230)}
    made = stand_in(tmp_path / "os", monkeypatch, **names, down={"phase": "Stopped"})
    made.set(forwards=[{"sandbox": "box001", "port": 19000, "alive": False, "pid": 4}])
    one = source(made)
    seen = await one.observer.observe()
    assert len(seen.sandboxes) == 231 and not seen.unknown
    ended = await repair(one, Verb.RECONNECT, box("box001"), tmp_path / "locks")
    assert ended.state is AttemptState.DONE and "port 19000 was mended" in ended.summary
    ended = await repair(one, Verb.WAKE, box("down"), tmp_path / "locks")
    assert ended.state is AttemptState.DONE
    assert one.proposer is not None
    proposal = await one.proposer.propose(box("down"), "stop")
    async for _ in one.proposer.carry_out(proposal):
        pass
    assert made.state()["sandboxes"]["down"]["phase"] == "Stopped"
    assert made.refused() == []
    assert any("--page-token" in call for call in made.calls())
    assert not any("--limit" in call or "inference" in call for call in made.calls())


@pytest.mark.parametrize(
    ("told", "woken"),
    [
        (failed("MainProcessFailed", exit_code=137), True),
        ({"phase": "Completed"}, True),
        (failed("OOMKilled"), False),
        (failed("ContainerRuntimeRestart"), False),
        (failed("ProvisioningTimedOut", provisioning={"timeout_time": at(-60)}), False),
        (
            failed(
                "ProvisioningTimedOut",
                provisioning={"timeout_time": at(-60), "cleanup_completed_time": at(-9)},
            ),
            True,
        ),
    ],
)
async def test_a_start_is_sent_where_it_is_taken_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], woken: bool
) -> None:
    made = stand_in(tmp_path / "os", monkeypatch, a=told)
    ended = await repair(source(made), Verb.WAKE, box("a"), tmp_path / "locks")
    assert (ended.state is AttemptState.DONE) is woken, ended
    assert any("sandbox start" in call for call in made.calls()) is woken


async def test_a_refusal_that_comes_all_the_same_is_final_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documents name a branch that two sources of the line do not have: the answer decides."""
    made = stand_in(tmp_path / "os", monkeypatch, a=failed("GatewayUnreachable"))
    ended = await repair(source(made), Verb.WAKE, box("a"), tmp_path / "locks")
    assert ended.state is AttemptState.FAILED
    assert "cannot be started again, only deleted and made anew" in ended.summary + ended.last + (
        ended.original
    )
    assert len([call for call in made.calls() if "sandbox start" in call]) == 1


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (
            lambda: {"phase": "Provisioning", "provisioning": {"deadline": at(-3)}},
            "run out of time",
        ),
        (
            lambda: {
                "phase": "Provisioning",
                "provisioning": {"deadline": at(60), "timeout_time": at(45)},
            },
            "run out of time",
        ),
    ],
    ids=["deadline", "timed out"],
)
async def test_a_wait_ends_with_the_gateways_own_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: Any, words: str
) -> None:
    made = stand_in(tmp_path / "os", monkeypatch, a={"phase": "Stopped"})
    made.set(after_start=after())
    began = time.monotonic()
    limits = Limits(verify_s=20, settling_s=30)
    ended = await repair(source(made), Verb.WAKE, box("a"), tmp_path / "locks", limits)
    assert ended.state is AttemptState.FAILED
    assert words in ended.summary + ended.original + ended.last, ended
    assert time.monotonic() - began < 60, "the command itself would have taken ten minutes"


async def test_a_crash_loop_is_shown_with_its_count_and_never_as_plain_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = {"phase": "Starting", "restart_count": 57, "next_restart_time": at(100)}
    made = stand_in(tmp_path / "os", monkeypatch, a=loop, b={"phase": "Ready", "restart_count": 4})
    rows = {row.name: row for row in (await source(made).observer.observe()).sandboxes}
    assert rows["a"].state is SandboxState.SETTLING and "next try in 1m" in rows["a"].reason
    assert "↻ 57" in rows["a"].reason and rows["a"].needs_me
    assert rows["a"].until is not None
    assert rows["b"].state is SandboxState.READY and "↻ 4" in rows["b"].reason
    assert rows["b"].needs_me == "It was restarted 4 times."
