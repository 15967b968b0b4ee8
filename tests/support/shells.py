"""Real gateways and recording emulators for tests of shells."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.models import SandboxId, Shell
from services.sources.local.layout import World, write_private
from services.terminal.session.recording import SessionRecorder
from services.terminal.session.scheduler import ParseScheduler
from services.terminal.session.session import ShellSession
from services.terminal.transport.base import CloseReason, Transport
from services.terminal.transport.json_frames import JsonFraming
from services.terminal.transport.websocket import WebSocketTransport
from tests.support.waiting import LIMIT_S, eventually_sync

TOKEN = "a-token-that-must-not-show"
BOX = SandboxId("local", "box")
ROOT = Path(__file__).resolve().parents[2]


DEAF = b"sh -c 'echo u''p; exec sleep 300'\r"
"""A foreground program that never reads; it is in the foreground once `UP` shows."""
UP = b"up\r\n"


class RecordingScreen:
    """Keeps what it was fed; remembers its sizes."""

    def __init__(self) -> None:
        self.reply: Callable[[bytes], None] | None = None
        self.fed = bytearray()
        self.sizes: list[tuple[int, int]] = []
        self.title = ""

    unparsed = 0
    unreflowed = 0

    def feed(self, data: bytes, cells: int | None = None) -> None:
        self.fed += data

    def resize(self, columns: int, lines: int, *, sliced: bool = False) -> None:
        self.sizes.append((columns, lines))


class RunningGateway:
    """A gateway process of its own on a world of its own."""

    def __init__(self, world: World, process: subprocess.Popen[bytes], log: Path) -> None:
        self.world = world
        self.process = process
        self.log = log

    @property
    def token(self) -> str:
        """Of its present life."""
        return self.world.token.read_text("ascii").strip()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def port(self) -> int:
        record = self.world.read_record("gateway")
        assert record is not None and record.port is not None
        return record.port

    def url(self, sandbox: str = "box", shell: str = "bash") -> str:
        return f"ws://127.0.0.1:{self.port}/sandboxes/{sandbox}/terminal?shell={shell}"

    def transport(
        self, sandbox: str = "box", shell: str = "bash", token: str = ""
    ) -> WebSocketTransport:
        return WebSocketTransport(
            self.url(sandbox, shell),
            {"Authorization": f"Bearer {token or self.token}"},
            framing=JsonFraming(),
        )

    def obey(self, faults: str) -> None:
        """Ask for faults, as the desk does."""
        write_private(self.world.faults, faults)
        self.process.send_signal(signal.SIGUSR1)


def new_world(root: Path) -> World:
    """A world that is kept, with one sandbox, whose gateway listens on a port too."""
    world = World(root)
    world.create()
    world.keep.touch()
    world.tcp.touch()
    world.sandbox("box").mkdir()
    return world


def start_gateway(world: World) -> tuple[subprocess.Popen[bytes], Path]:
    """Start the process; its log takes both outputs."""
    log = world.log("gateway")
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.sources.local.gateway", "--world", str(world.root)],
            cwd=ROOT,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"},
        )
    return process, log


@contextmanager
def running_gateway(root: Path) -> Iterator[RunningGateway]:
    """One that is ready; ended, and its log without complaint, at the end."""
    world = new_world(root)
    process, log = start_gateway(world)
    try:

        def announced() -> bool:
            record = world.read_record("gateway")
            ours = record is not None and record.pid == process.pid
            return ours or process.poll() is not None

        eventually_sync(announced, what=log.read_text)
        assert process.poll() is None, log.read_text()
        running = RunningGateway(world, process, log)
        token = running.token
        yield running
    finally:
        process.kill()
        process.wait()
        record = world.read_record("gateway")
        if record is not None and record.socket:
            # Of a long path it is in a folder that worlds share; killed, it stays there.
            Path(record.socket).unlink(missing_ok=True)
            with suppress(OSError):
                Path(record.socket).parent.rmdir()
    assert token not in log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


@asynccontextmanager
async def opened(transport: Transport, columns: int = 80, lines: int = 24) -> AsyncIterator[None]:
    """An open transport, closed at the end."""
    await transport.open(columns, lines)
    try:
        yield
    finally:
        await transport.close()


async def read_until(transport: Transport, wanted: bytes) -> bytes:
    """Output up to and with `wanted`."""
    output = b""
    try:
        async with asyncio.timeout(LIMIT_S):
            while wanted not in output:
                data = await transport.read()
                assert not isinstance(data, CloseReason), (data, output)
                output += data
    except TimeoutError:
        pytest.fail(f"{wanted!r} never came; read so far: {output[-2000:]!r}")
    return output


async def read_to_end(transport: Transport) -> tuple[bytes, CloseReason]:
    """All output and how it ended."""
    output = b""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not isinstance(data := await transport.read(), CloseReason):
                output += data
    except TimeoutError:
        pytest.fail(f"it never ended; read so far: {output[-2000:]!r}")
    return output, data


class RunningSession:
    """A session with everything it said."""

    def __init__(
        self,
        transport: Transport,
        scheduler: ParseScheduler,
        screen: RecordingScreen,
        recorder: SessionRecorder | None = None,
    ) -> None:
        self.screen = screen
        self.shells: list[Shell] = []
        self.paints = 0
        self._happened = asyncio.Event()
        self.session = ShellSession(
            "shell-1",
            BOX,
            transport,
            self.screen,
            clock=SystemClock(),
            scheduler=scheduler,
            on_change=self._changed,
            on_paint=self._painted,
            recorder=recorder,
        )

    def _changed(self, shell: Shell) -> None:
        self.shells.append(shell)
        self._happened.set()

    def _painted(self) -> None:
        self.paints += 1
        self._happened.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that shows in a painting or a change."""
        try:
            async with asyncio.timeout(60):
                while not true():
                    self._happened.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._happened.wait(), 0.05)
        except TimeoutError:
            pytest.fail(f"never seen; {self.session.shell}; fed: {self.screen.fed[-2000:]!r}")

    async def shows(self, wanted: bytes) -> None:
        """Wait until the emulator was fed that."""
        await self.until(lambda: wanted in self.screen.fed)


@asynccontextmanager
async def running_session(
    transport: Transport,
    scheduler: ParseScheduler | None = None,
    columns: int = 80,
    lines: int = 24,
    screen: RecordingScreen | None = None,
    alone: bool = True,
    recorder: SessionRecorder | None = None,
) -> AsyncIterator[RunningSession]:
    """A session under way; at the end it is cancelled, and, if `alone`, no task is left."""
    before = asyncio.all_tasks()
    running = RunningSession(
        transport, scheduler or ParseScheduler(), screen or RecordingScreen(), recorder
    )
    task = asyncio.create_task(running.session.run(columns, lines))
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert running.session.shell.state.over
    shared = ("scheduler", "peer")
    left = {
        task
        for task in asyncio.all_tasks() - before
        if not any(name in task.get_name() for name in shared)
    }
    assert not (alone and left)


def undecoded(folder: Path) -> Path:
    """A folder for the front of a PATH: nothing behind it finds a `base64`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "base64"
    program.write_text("#!/bin/sh\nexit 127\n")
    program.chmod(0o755)
    return folder
