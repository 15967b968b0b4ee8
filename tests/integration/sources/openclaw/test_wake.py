"""A wake starts the gateway's own service, once, where there is one, and believes probes alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.models import Attempt, AttemptState, SandboxId, StepState, Verb
from services.repair.attempts import Attempts
from services.sources.openclaw.source import open_openclaw
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from tests.integration.sources.openclaw.test_gateways import configure, gateway, write_lock
from tests.support.openclaw_kit import RealGateway
from tests.support.ports import free_port
from tests.support.waiting import eventually

OPS = SandboxId("oc", "openclaw-ops")
CHECK, START = "--profile ops config validate --json", "--profile ops gateway start --json"
INVALID = {"valid": False, "issues": [{"path": "gateway.bind", "message": "Invalid input"}]}
STOPPED = "ActiveState=inactive SubState=dead Result=success NRestarts=0 ExecMainStatus=0"
CRASHED = "ActiveState=failed SubState=failed Result=exit-code NRestarts=10 ExecMainStatus=1"
REFUSED = {"error": "service not installed", "hints": ["openclaw gateway install"]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A profile that does not run, its service, and the command that starts it."""
    (tmp_path / "bin").mkdir()
    configure(tmp_path / ".openclaw-ops", port=free_port())
    service(tmp_path, STOPPED)
    return tmp_path


def tool(home: Path, name: str, text: str) -> None:
    path = home / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def service(home: Path, words: str) -> None:
    tool(home, "systemctl", f"printf '%s\\n' LoadState=loaded {words}")


def starts(home: Path, port: int, checked: object = "", code: int = 0) -> None:
    """The command: it notes its words and variables, and the gateway's lock appears.

    `checked` is what it says of its configuration.
    """
    write_lock(home / "made", port)
    made, state = home / "made" / "tmp", home / ".openclaw-ops"
    tool(
        home,
        "openclaw",
        f'echo "$@" >>"$HOME/ran"; env >"$HOME/with"\n'
        f"case \"$*\" in *validate*) echo '{json.dumps(checked)}'; exit {code};; esac\n"
        f"{shutil.which('cp')} -r {made} {state}",
    )


def opened(home: Path, **variables: str) -> OpenSource:
    path = f"{home / 'bin'}:/usr/bin:/bin"
    environ = {"HOME": str(home), "PATH": path, **variables}
    return open_openclaw("oc", OpenClawTable(), SystemClock(), Path("/nowhere"), environ)


async def wake(source: OpenSource, home: Path, which: SandboxId = OPS) -> Attempt:
    attempts = Attempts({"oc": source}, SystemClock(), home / "locks", lambda _: None)
    (home / "locks").mkdir(mode=0o700, exist_ok=True)
    try:
        return await attempts.request(Verb.WAKE, which).wait()
    finally:
        await attempts.close()
        await source.observer.close()


def ran(home: Path) -> list[str]:
    return (home / "ran").read_text().splitlines() if (home / "ran").exists() else []


@pytest.mark.parametrize("words", [STOPPED, CRASHED])
async def test_its_service_is_started_once_and_its_probes_end_the_wake(
    home: Path, words: str
) -> None:
    service(home, words)
    async with gateway() as peer:
        starts(home, peer.port)
        source = opened(home, OPENCLAW_PROFILE="other", OPENCLAW_STATE_DIR=str(home / "no"))
        told = await wake(source, home)
    assert told.state is AttemptState.DONE, told
    assert "its service was started" in told.summary
    assert ran(home) == [CHECK, START]
    with_ = (home / "with").read_text()
    assert "OPENCLAW_PROFILE" not in with_
    assert "OPENCLAW_STATE_DIR" not in with_
    assert source.actor.wake_key(OPS) == f"openclaw:{home / '.openclaw-ops'}"


async def test_a_configuration_that_is_not_accepted_starts_nothing(home: Path) -> None:
    starts(home, 1, INVALID, 1)
    source = opened(home)
    steps = [step async for step in source.actor.wake(OPS)]
    assert steps[-1].state is StepState.FAILED
    assert "its configuration is not accepted: gateway.bind: Invalid input" in steps[-1].detail
    assert ran(home) == [CHECK]
    verdict = await source.observer.probe(OPS)
    assert verdict.kind is VerdictKind.TERMINAL
    assert verdict.reason == "Its configuration is not accepted: gateway.bind: Invalid input."
    configure(home / ".openclaw-ops", port=free_port(), bind="lan")
    again = await source.observer.probe(OPS)
    assert again.kind is VerdictKind.REPAIRABLE, "another configuration is not known to be refused"
    await source.observer.close()


@pytest.mark.parametrize(
    ("checked", "code"),
    [({"valid": True}, 0), ({"valid": None}, 1), ([], 1), ("", 1), ({"issues": INVALID}, 7)],
)
async def test_only_its_own_no_holds_a_start_back(home: Path, checked: object, code: int) -> None:
    async with gateway() as peer:
        starts(home, peer.port, checked, code)
        told = await wake(opened(home), home)
    assert told.state is AttemptState.DONE, told
    assert ran(home) == [CHECK, START]


async def test_what_serves_is_left_alone(home: Path) -> None:
    async with gateway() as peer:
        starts(home, peer.port)
        write_lock(home / ".openclaw-ops", peer.port)
        told = await wake(opened(home), home)
    assert told.state is AttemptState.DONE
    assert not ran(home)


async def test_a_held_lock_is_never_started_a_second_time(home: Path) -> None:
    write_lock(home / ".openclaw-ops", free_port())
    starts(home, 1)
    source = opened(home)
    assert (await source.observer.probe(OPS)).kind is VerdictKind.SETTLING
    steps = [step async for step in source.actor.wake(OPS)]
    assert steps[-1].detail.startswith("it was not started: It is starting: process")
    assert not ran(home)
    await source.observer.close()


async def test_a_refusal_is_told_in_the_commands_own_words(home: Path) -> None:
    tool(home, "openclaw", f"echo '{json.dumps(REFUSED)}'; exit 1")
    told = await wake(opened(home), home)
    assert told.state is AttemptState.FAILED
    assert "service not installed. openclaw gateway install." in told.summary


@pytest.mark.parametrize(
    "words",
    [
        "ActiveState=failed SubState=failed Result=exit-code NRestarts=0 ExecMainStatus=78",
        "ActiveState=activating SubState=auto-restart NRestarts=5 ExecMainStatus=1",
        "LoadState=not-found",
    ],
)
async def test_what_a_start_cannot_mend_is_not_started(home: Path, words: str) -> None:
    service(home, words)
    starts(home, 1)
    told = await wake(opened(home), home)
    assert told.state is AttemptState.FAILED, told
    assert not ran(home)


async def test_without_the_command_nothing_is_tried_and_that_is_said(home: Path) -> None:
    source = opened(home)
    verdict = await source.observer.probe(OPS)
    assert (verdict.kind, verdict.wakeable) == (VerdictKind.REPAIRABLE, False)
    assert "openclaw is not installed or not on the PATH" in verdict.advice
    await source.observer.close()


@pytest.mark.parametrize(
    "name", [".openclaw---force", ".openclaw-a b", ".openclaw-ö", ".openclaw-"]
)
async def test_a_name_that_could_be_an_option_starts_nothing(home: Path, name: str) -> None:
    configure(home / name, port=free_port())
    starts(home, 1)
    told = await wake(opened(home), home, SandboxId("oc", name.removeprefix(".")))
    assert told.state is AttemptState.FAILED, told
    assert not ran(home)


async def test_looking_starts_nothing(home: Path) -> None:
    starts(home, 1)
    source = opened(home)
    for _ in range(3):
        await source.observer.observe()
        await source.observer.probe(OPS)
    assert not ran(home)
    await source.observer.close()


@pytest.mark.kit("openclaw")
async def test_the_real_command_says_why_it_does_not_start(home: Path) -> None:
    """Here is no service manager, whatever the stand-in says of one."""
    real = RealGateway(home, "ops")
    environ = {**real.environ, "PATH": f"{home / 'bin'}:{real.environ['PATH']}"}
    source = open_openclaw("oc", OpenClawTable(), SystemClock(), Path("/nowhere"), environ)
    steps = [step async for step in source.actor.wake(OPS)]
    assert steps[-1].state.value == "failed", steps
    assert "it ended with" not in steps[-1].detail, "in its own words"
    await source.observer.close()
    real.end()


async def test_a_cancelled_wake_ends_its_command(home: Path) -> None:
    tool(home, "openclaw", 'echo $$ >"$HOME/ran"; exec sleep 600')
    source = opened(home)
    attempts = Attempts({"oc": source}, SystemClock(), home / "locks", lambda _: None)
    (home / "locks").mkdir(mode=0o700)
    handle = attempts.request(Verb.WAKE, OPS)
    await eventually(lambda: ran(home))
    handle.cancel()
    told = await handle.wait()
    assert told.state is AttemptState.CANCELLED
    pid = int(ran(home)[0])
    await eventually(lambda: not Path(f"/proc/{pid}").exists())
    await attempts.close()
    await source.observer.close()
