"""Far sides for tests: a Wakedeck in another home, and programs that behave as they are told."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.board.board import Board
from services.clock import SystemClock
from services.config.sources import RemoteTable
from services.models import Attempt, Gateway, Observation, SandboxId, SandboxState
from services.repair.attempts import Attempts
from services.sources.local import world
from services.sources.local.layout import World
from services.sources.local.world import WorldLifecycle
from services.sources.protocol.source import OpenSource
from services.sources.remote.gate import ConnectGate
from services.sources.remote.source import open_remote
from tests.support.waiting import eventually

BIN = Path(sys.executable).parent
ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
PATIENCE_S = 60.0


def far_side(home: Path, *options: str) -> list[str]:
    """A far side as a plain child process, in a home of its own."""
    return ["env", f"HOME={home}", str(BIN / "wakedeck"), "source", "--stdio", *options]


def program(folder: Path, code: str) -> list[str]:
    """A program that speaks the protocol by hand: `say(message)`, `hello(...)` are given."""
    path = folder / "far_side.py"
    path.write_text(_PRELUDE + textwrap.dedent(code))
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, str(path)]


_PRELUDE = """
import os, sys, time
from services.wire import messages as m
out = sys.stdout.buffer
def say(message):
    out.write(m.encode(message)); out.flush()
def hello(**more):
    info = m.SourceInfo("home", "folder", "home", capabilities=["wake", "logs"])
    say(m.Hello(**({"protocol": 1, "product": "mine", "version": "0.3", "pid": os.getpid(),
                    "now": time.time(), "sources": [info]} | more)))
def rows(*names, seq=1, **more):
    now = time.time()
    say(m.Delta("home", seq, now, now, full=True,
                sandboxes=[m.WireSandbox(id=n, state="ready") for n in names], **more))
def incoming():
    from services.wire.frames import FrameReader
    frames = FrameReader()
    while data := os.read(0, 65536):
        for payload in frames.feed(data):
            yield m.decode(payload)
"""


@dataclass
class LiveRemote:
    """An open remote source, a board that takes its looks in, and attempts on it."""

    key: str
    source: OpenSource
    attempts: Attempts
    board: Board
    seen: list[Attempt]

    def id(self, name: str) -> SandboxId:
        return SandboxId(self.key, name)

    async def look(self) -> Observation:
        observation = await self.source.observer.observe()
        self.board.merge(observation)
        return observation

    async def until(self, holds: Callable[[Observation], object]) -> Observation:
        """Look until what is seen satisfies; fails with the last look."""

        async def looked() -> Observation:
            observation = await self.look()
            assert holds(observation), observation
            return observation

        return await eventually(looked, limit=PATIENCE_S)

    async def way(self, holds: Callable[[Gateway], object]) -> Gateway:
        """Look until the row of the link satisfies."""
        seen = await self.until(lambda one: holds(way(one)))
        return way(seen)


def way(observation: Observation) -> Gateway:
    """The row of the link itself."""
    return next(one for one in observation.gateways if "/" not in one.id.native_id)


def all_ready(observation: Observation) -> bool:
    """Whether a whole embedded world serves behind the link."""
    return len(observation.sandboxes) == 4 and all(
        one.state is SandboxState.READY and not one.stale for one in observation.sandboxes
    )


@contextlib.asynccontextmanager
async def live_remote(
    argv: Sequence[str], locks: Path, key: str = "box", *, gate: ConnectGate | None = None
) -> AsyncIterator[LiveRemote]:
    """An open remote source over this command; closed whatever the test does."""
    clock = SystemClock()
    table = RemoteTable(command=tuple(argv), interval_s=1.0)
    source = open_remote(key, table, clock, gate or ConnectGate(random.Random(1)), False)
    seen: list[Attempt] = []
    attempts = Attempts({key: source}, clock, locks, seen.append)
    board = Board(clock, [source.info], interval_s=1.0)
    try:
        yield LiveRemote(key, source, attempts, board, seen)
    finally:
        await attempts.close()
        await source.actor.close()
        await source.observer.close()


@contextlib.asynccontextmanager
async def embedded_world(home: Path) -> AsyncIterator[World]:
    """The embedded world of another home, up as long as this lasts: all of it runs at first."""
    place = World(home / ".local/state/wakedeck/local")
    place.root.parent.mkdir(parents=True, exist_ok=True)
    place.root.parent.chmod(0o700)
    life = WorldLifecycle(place)
    try:
        await life.enter()
        await eventually(lambda: all(map(place.read_record, world.roles(place))))
        yield place
    finally:
        await life.leave()
        await world.take_down(place)
        with contextlib.suppress(OSError):  # sockets of a long path stood there
            (Path(tempfile.gettempdir()) / f"wakedeck-{os.geteuid()}").rmdir()
