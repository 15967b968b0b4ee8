"""What a look at OpenClaw gateways never does, opens, runs, shows or writes down."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.agents.openclaw.evidence import LockState
from services.agents.openclaw.probes import Answers, EventLoop, Reach, Readiness
from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.models import GatewayState, SandboxId, StepState
from services.process.identity import ProcessId
from services.sources.openclaw import commands
from services.sources.openclaw import files as lock_files
from services.sources.openclaw.files import read_lock, read_written_lock
from services.sources.openclaw.gather import EventLoopLateness
from services.sources.openclaw.layout import state_directories
from services.sources.openclaw.source import open_openclaw
from tests.integration.sources.openclaw.test_gateways import configure, write_lock
from tests.integration.sources.openclaw.test_wake import OPS, STOPPED, opened, service, tool
from tests.support.openclaw_peer import TOKEN, GatewayPeer, gateway_peer
from tests.support.ports import free_port

READS_IT = OpenClawTable(credential="config")
MAY_BE_OPENED = {"openclaw.json", "gateway.state.lock"}
_listening: list[list[str]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and event == "open" and isinstance(arguments[0], str | bytes | Path):
        _listening[-1].append(os.fsdecode(arguments[0]))


sys.addaudithook(_note)


@pytest.fixture
def files() -> Iterator[list[str]]:
    """Every path that this process opens meanwhile."""
    _listening.append([])
    yield _listening[-1]
    _listening.pop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / "bin").mkdir()
    return tmp_path


async def looked(home: Path, peer: GatewayPeer, table: OpenClawTable = READS_IT) -> str:
    """All that some looks at one gateway come to, as text."""
    configure(home / ".openclaw", auth={"mode": "token", "token": TOKEN}, port=peer.port)
    write_lock(home / ".openclaw", peer.port)
    environ = {"HOME": str(home), "PATH": str(home / "bin")}
    source = open_openclaw("oc", table, SystemClock(), Path("/nowhere"), environ)
    try:
        seen = [await source.observer.observe() for _ in range(3)]
        seen.append(await source.observer.probe(SandboxId("oc", "openclaw")))  # type: ignore[arg-type]
        queue = await source.observer.queue(SandboxId("oc", "openclaw"), 50)
    finally:
        await source.observer.close()
    return repr((seen, queue))


async def test_nothing_of_it_is_opened_but_its_lock_and_its_configuration(
    home: Path, files: list[str]
) -> None:
    state = home / ".openclaw"
    for name in (".env", "secrets.json", "state/openclaw.sqlite", "credentials/telegram.json"):
        (state / name).parent.mkdir(exist_ok=True)
        (state / name).write_text("{}")
    (state / "agents" / "main").mkdir(parents=True)
    (state / "agents" / "main" / "auth-profiles.json").write_text("{}")
    files.clear()
    async with gateway_peer() as peer:
        await looked(home, peer)
    ours = {Path(one).name for one in files if str(state) in one}
    # `write_lock` and `configure` of this test open the same two.
    assert ours == MAY_BE_OPENED


async def test_a_look_runs_no_program_where_its_gateway_answers(home: Path) -> None:
    spies = ("openclaw", "ssh", "systemctl", "launchctl", "avahi-browse", "dns-sd", "tailscale")
    for name in spies:
        tool(home, name, f'echo {name} "$@" >>{home / "ran"}')
    async with gateway_peer() as peer:
        await looked(home, peer)
    assert not (home / "ran").exists()


async def test_its_credential_is_in_no_row_log_or_word_of_a_command(
    home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = GatewayPeer()
    async with gateway_peer(peer):
        shown = await looked(home, peer)
    assert peer.connects[0]["auth"] == {"token": TOKEN}
    told = capfd.readouterr()
    # The peer of this test logs what it reads.
    ours = [one.getMessage() for one in caplog.records if one.name != "websockets.server"]
    for text in (shown, *ours, told.out, told.err):
        assert TOKEN not in text


async def test_what_strangers_write_is_harmless_where_it_is_shown(home: Path) -> None:
    peer = GatewayPeer()
    for method, payload in peer.answers.items():
        peer.answers[method] = _poisoned(payload)
    async with gateway_peer(peer):
        shown = await looked(home, peer)
    assert "EVIL" in shown, "it is shown"
    for forbidden in ("\\x1b", "\\u202e", "\\x07", "\\n"):
        assert forbidden not in shown.replace("advice", "")


WORDS = frozenset(
    {"label", "displayName", "title", "lastError", "error", "name", "lastRunError", "message"}
)


def _poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_poisoned(one, key) for one in value]
    return f"EVIL\x1b[31m\u202e\x07\n{value}" if isinstance(value, str) and key in WORDS else value


@pytest.mark.parametrize(
    ("held", "asked"), [(True, "the lock"), (False, "the configuration")], ids=["held", "stale"]
)
async def test_the_port_is_that_of_a_held_lock_and_else_of_the_configuration(
    home: Path, held: bool, asked: str
) -> None:
    async with gateway_peer() as of_lock, gateway_peer() as of_config:
        configure(home / ".openclaw", port=of_config.port)
        ours = ProcessId.capture()
        assert ours is not None
        gone = ProcessId(ours.pid, ours.start_ticks - 1, ours.boot_id)
        write_lock(home / ".openclaw", of_lock.port, ours if held else gone)
        environ = {"HOME": str(home), "PATH": str(home / "bin")}
        source = open_openclaw("oc", OpenClawTable(), SystemClock(), Path("/nowhere"), environ)
        seen = await source.observer.observe()
        await source.observer.close()
    port = of_lock.port if asked == "the lock" else of_config.port
    assert seen.gateways[0].address == f"127.0.0.1:{port}"
    assert (seen.gateways[0].state is GatewayState.READY) == held


def test_the_lock_of_another_user_is_not_known_to_be_held(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lock(home / ".openclaw", 1)
    (place,) = state_directories(str(home / ".openclaw"), {"HOME": str(home)})
    assert read_lock(place, 0.0).lock.state is LockState.HELD
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    found = read_lock(place, 0.0)
    assert (found.lock.state, found.process) == (LockState.UNKNOWN, None)


def test_a_lock_that_is_being_written_is_read_once_it_is_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lock(home / ".openclaw", 1)
    (place,) = state_directories(str(home / ".openclaw"), {"HOME": str(home)})
    (lock,) = place.locks()
    whole = lock.read_bytes()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            lock.write_bytes(whole)

    monkeypatch.setattr(lock_files, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
    lock.write_bytes(b"")
    assert read_written_lock(place, time.time()).lock.state is LockState.HELD
    assert len(pauses) == 2
    lock.write_bytes(b"")
    os.utime(lock, (time.time() - 60,) * 2)
    assert "not JSON" in read_written_lock(place, time.time()).lock.problem
    assert len(pauses) == 2, "one that nobody writes is told at once"


def test_a_lock_taken_as_it_is_read_is_as_old_as_it_says_and_not_as_its_process(home: Path) -> None:
    """The process of a gateway that starts anew within itself is older by days."""
    old = ProcessId.capture(os.getppid())
    assert old is not None and old.age_s() > 0.1
    now = time.time()
    taken = datetime.fromtimestamp(now + 1.0, UTC).isoformat()
    write_lock(home / ".openclaw", 1, old, createdAt=taken)
    (place,) = state_directories(str(home / ".openclaw"), {"HOME": str(home)})
    assert read_written_lock(place, now).lock.age_s == 0.0
    assert read_lock(place, now + 1.05).lock.age_s == pytest.approx(0.05, abs=0.01)
    # A clock that was set back since says nothing of its age.
    assert read_lock(place, now - 60).lock.age_s == pytest.approx(old.age_s(), abs=60.0)


def late(delay_ms: float, degraded: bool = True) -> Answers:
    readiness = Readiness(True, event_loop=EventLoop(degraded, delay_ms))
    return Answers(Reach.ANSWERED, readiness=readiness)


def test_a_late_event_loop_is_believed_at_the_third_look_over_a_quarter_of_a_minute() -> None:
    seen = EventLoopLateness()
    assert [seen.note(late(1500.0), at) for at in (0.0, 5.0, 14.9)] == [None] * 3
    assert seen.note(late(1500.0), 15.0) is not None
    assert seen.note(late(999.0), 16.0) is None, "one good look ends it"
    assert [seen.note(late(1500.0), at) for at in (17.0, 33.0)] == [None] * 2, "two are not three"
    assert seen.note(late(9000.0, degraded=False), 50.0) is None
    assert seen.note(None, 51.0) is None


async def test_a_command_that_hangs_is_ended_and_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "START_S", 0.5)
    monkeypatch.setattr(commands, "VALIDATE_S", 0.5)
    configure(home / ".openclaw-ops", port=free_port())
    service(home, STOPPED)
    tool(home, "openclaw", 'echo "$@" >>"$HOME/ran"; exec sleep 600')
    source = opened(home)
    steps = [step async for step in source.actor.wake(OPS)]
    assert steps[-1].state is StepState.FAILED
    assert "longer than 0.5 s" in steps[-1].detail
    assert (home / "ran").read_text().count("\n") == 2
    await source.observer.close()


def test_what_is_ever_run_is_named_here(home: Path) -> None:
    (place,) = state_directories(str(home / ".openclaw-ops"), {"HOME": str(home)})
    words = {
        tuple(argv[1:])
        for argv in (commands.start_argv("oc", place), commands.restart_argv("oc", place))
    }
    assert words == {
        ("--profile", "ops", "gateway", "start", "--json"),
        ("--profile", "ops", "gateway", "restart", "--safe", "--json"),
    }


def test_a_refusal_is_judged_by_its_code_and_not_by_its_words() -> None:
    from services.agents.openclaw.connection import explain_refusal
    from services.agents.openclaw.wire import GatewayRefusal

    for code in ("AUTH_TOKEN_MISMATCH", "PROTOCOL_MISMATCH", "NOT_PAIRED", "UNAVAILABLE", "NEW"):
        said = {
            explain_refusal(GatewayRefusal(code, words))
            for words in ("", "pairing required", "token")
        }
        assert len(said) == 1
