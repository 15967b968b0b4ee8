"""Forwards by their own pid files: real processes hold the ports, a script plays the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest

from services.files.bounded import read_bounded
from services.models import AttemptState, Sandbox, SandboxId, Verb
from services.sources.openshell import forwards
from services.sources.openshell.forwards import from_files
from tests.integration.sources.openshell.test_script import repair, source
from tests.support.openshell_script import AGENT_SERVES, Script, register, script
from tests.support.ports import free_port

GONE = 4_000_000
_LISTEN = "import socket,sys,time\ns=socket.create_server(('127.0.0.1',int(sys.argv[1])))\n"
_LISTEN += "print('up',flush=True)\ntime.sleep(600)\n"


class Listener:
    """A process that holds a port, as a forward does."""

    def __init__(self) -> None:
        self.port = free_port()
        argv = [sys.executable, "-c", _LISTEN, str(self.port)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert self._process.stdout is not None and self._process.stdout.readline() == b"up\n"
        self.pid = self._process.pid

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    made: list[Listener] = []
    yield made
    for one in made:
        one.end()


def pid_file(made: Script, sandbox: str, port: int, words: str, workspace: str = "") -> Path:
    path = made.config / "forwards" / workspace / f"{sandbox}-{port}.pid"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)
    return path


def two_gateways(folder: Path, patch: pytest.MonkeyPatch, **state: object) -> Script:
    """One name on both, each with its own id."""
    return script(
        folder,
        patch,
        gateways={"nemoclaw": "connected", "other": "connected"},
        sandboxes={"nemoclaw": {"alpha": "Ready"}, "other": {"alpha": "Ready"}},
        ids={"nemoclaw": "one", "other": "two"},
        **state,
    )


def forwards_asked(made: Script) -> list[str]:
    return [call for call in made.calls() if "forward st" in call]


async def test_two_registers_two_gateways_one_name_and_exactly_the_dead_forward_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, listeners: list[Listener]
) -> None:
    made = two_gateways(tmp_path / "os", monkeypatch)
    register(home, "alpha", gatewayName="nemoclaw", dashboardPort=None)
    further = home / ".nemoclaw" / "gateways" / "9090" / "sandboxes.json"
    further.parent.mkdir(parents=True)
    further.write_text(json.dumps({"sandboxes": {"beta": {"name": "beta"}}}))
    listeners += [Listener(), Listener()]
    mine, theirs = listeners
    dead = free_port()
    pid_file(made, "alpha", mine.port, f"{mine.pid}\tone-alpha\t127.0.0.1")
    pid_file(made, "alpha", theirs.port, f"{theirs.pid}\ttwo-alpha\t127.0.0.1")
    pid_file(made, "alpha", dead, f"{GONE}\ttwo-alpha\t127.0.0.1")
    one = source()
    rows = {row.id.native_id: row for row in (await one.observer.observe()).sandboxes}
    assert set(rows) == {"nemoclaw/alpha", "other/alpha", "nemoclaw-9090/beta"}
    assert shown(rows["nemoclaw/alpha"]) == [f"{mine.port} (running)"]
    assert shown(rows["other/alpha"]) == [f"{theirs.port} (running)", f"{dead} (dead)"] or shown(
        rows["other/alpha"]
    ) == [f"{dead} (dead)", f"{theirs.port} (running)"]
    locks = tmp_path / "locks"
    ended = await repair(one, Verb.RECONNECT, SandboxId("os", "nemoclaw/alpha"), locks)
    assert ended.state is AttemptState.DONE and not forwards_asked(made)
    ended = await repair(one, Verb.RECONNECT, SandboxId("os", "other/alpha"), locks)
    assert ended.state is AttemptState.DONE
    assert forwards_asked(made) == [
        f"-g other --workspace default forward stop {dead} alpha",
        f"-g other --workspace default forward start --background {dead} alpha",
    ]
    assert f"the forward of port {dead} was mended" in ended.summary


def shown(row: Sandbox) -> list[str]:
    return [said for name, said in row.evidence if name == "forward"]


async def test_a_forward_that_names_no_sandbox_is_acted_on_by_nobody_where_two_have_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    made = two_gateways(
        tmp_path / "os", monkeypatch, forwards=[["alpha", "127.0.0.1", port, GONE, "dead"]]
    )
    one = source()
    seen = await one.observer.observe()
    told = [said for front in seen.gateways for name, said in front.evidence if name == "forward"]
    assert told == [f"{port} of alpha, gateway not known"]
    assert not [said for row in seen.sandboxes for said in shown(row)]
    for gateway in ("nemoclaw", "other"):
        target = SandboxId("os", f"{gateway}/alpha")
        ended = await repair(one, Verb.RECONNECT, target, tmp_path / "locks")
        assert ended.state is AttemptState.DONE
        assert f"the forward of port {port} was not mended" in ended.summary
    assert not forwards_asked(made)


async def test_a_port_that_somebody_else_holds_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, listeners: list[Listener]
) -> None:
    made = script(tmp_path / "os", monkeypatch, agent=AGENT_SERVES)
    listeners.append(Listener())
    port = listeners[0].port
    register(home, "alpha", dashboardPort=port)
    ended = await repair(
        source(), Verb.RECONNECT, SandboxId("os", "nemoclaw/alpha"), tmp_path / "l"
    )
    assert ended.state is AttemptState.DONE
    assert not forwards_asked(made)
    assert f"the forward of port {port} was not mended" in ended.summary
    step = next(one for one in ended.steps if one.name == "forward")
    assert "held by" in step.detail


@pytest.mark.parametrize("alive", [True, False])
async def test_a_forward_of_nemoclaw_is_left_to_nemoclaw(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    listeners: list[Listener],
    alive: bool,
) -> None:
    made = script(tmp_path / "os", monkeypatch, agent=AGENT_SERVES)
    nemoclaw = tmp_path / "os" / "bin" / "nemoclaw"
    nemoclaw.write_text("#!/bin/sh\nexit 9\n")
    nemoclaw.chmod(0o755)
    listeners.append(Listener())
    port = free_port()
    register(home, "alpha", dashboardPort=port)
    receipt = home / ".nemoclaw" / "forwards" / "alpha.json"
    receipt.parent.mkdir()
    pid = listeners[0].pid if alive else GONE
    told = {"sandbox": "alpha", "gateway": "nemoclaw", "localPort": port, "pid": pid}
    receipt.write_text(json.dumps(told))
    before = receipt.read_bytes()
    ended = await repair(
        source(), Verb.RECONNECT, SandboxId("os", "nemoclaw/alpha"), tmp_path / "l"
    )
    assert ended.state is AttemptState.DONE
    assert not forwards_asked(made) and receipt.read_bytes() == before
    step = next(one for one in ended.steps if one.name == "forward")
    assert ("NemoClaw can repair it" in step.detail) is not alive
    assert ("was not mended" in ended.summary) is not alive
    if not alive:
        nemoclaw.unlink()
        await repair(source(), Verb.RECONNECT, SandboxId("os", "nemoclaw/alpha"), tmp_path / "l")
        (asked,) = forwards_asked(made)
        assert asked.endswith(f"forward start --background {port} alpha")


def test_what_stands_in_the_folder_is_read_with_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listeners: list[Listener]
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    listeners.append(Listener())
    up = listeners[0]
    pid_file(made, "my-agent-2", up.port, f"{up.pid}\tid-1\t0.0.0.0", workspace="blue")
    pid_file(made, "old", 19000, str(GONE))
    pid_file(made, "words", 19001, "not a number\tid")
    pid_file(made, "large", 19002, "1" * 5000)
    pid_file(made, "port", 70000, "1")
    pid_file(made, "deep", 19003, "1", workspace="blue/red")
    (made.config / "forwards" / "link-19004.pid").symlink_to(made.config / "forwards")
    with closing(socket()) as held:
        held.bind(("127.0.0.1", 0))
        # A living process that does not hold the port is no forward of it.
        pid_file(made, "other", held.getsockname()[1], f"{up.pid}\tid-2\t127.0.0.1")
        found = from_files(made.config / "forwards")
    assert {(one.sandbox, one.workspace, one.id, one.bind, one.alive) for one in found.rows} == {
        ("my-agent-2", "blue", "id-1", "0.0.0.0", True),
        ("old", "", "", "127.0.0.1", False),
        ("other", "", "id-2", "127.0.0.1", False),
    }
    assert found.problem == ""
    assert from_files(tmp_path / "nowhere").rows == ()


def test_a_file_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    pid_file(made, "mine", 19000, str(GONE))
    pid_file(made, "other", 19001, str(GONE))

    def refused(path: Path, largest: int) -> bytes:
        if path.name.startswith("other"):
            raise PermissionError(13, "Permission denied", str(path))
        return read_bounded(path, largest)

    monkeypatch.setattr(forwards, "read_bounded", refused)
    found = from_files(made.config / "forwards")
    assert [one.sandbox for one in found.rows] == ["mine"]
    assert found.problem == "other-19001.pid cannot be read: Permission denied"
