"""Seconds from when a fault of a real OpenClaw gateway can be known to its word on the board.

The panel's own pollers and board look at gateways of the pinned package, as often as they do by
default. Each fault is made once, and an eye of its own notes from when it can be known.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from services.agents.openclaw.wire import RARE, GatewayCredential, encode_connect
from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.pollers import Pollers
from services.clock import SystemClock
from services.config.sources import OpenClawTable
from services.models import Gateway, GatewayId, GatewayState, SandboxId
from services.process.identity import ProcessId
from services.sources.openclaw.source import open_openclaw
from tests.support import openclaw_kit
from tests.support.openclaw_kit import RealGateway

AIM_S, BOOT_S, FAULT_S = 5.0, 240.0, 60.0
_EYE_S = 0.02
TOKEN, OTHER = "of-a-test-alone", "another-of-a-test"
Word = Callable[[], bool]


class _Bench:
    """The board, what is on it, and the figures."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.worst = 0.0
        self._void_at = 0.0
        self.void = 0
        """Looks that proved nothing, since this process itself was held up."""

    def on_delta(self, _: BoardDelta) -> None:
        """Note what was in vain."""
        held_up = self._board.held_up
        if held_up is not None and held_up.at != self._void_at:
            self._void_at = held_up.at
            self.void += 1

    def _gateway(self, one: RealGateway, source: str) -> Gateway | None:
        return self._board.gateways.get(GatewayId(source, one.state.name.lstrip(".")))

    def shows(
        self, one: RealGateway, state: GatewayState, words: str = "", source: str = "oc"
    ) -> Word:
        """Whether the board has this state with these words."""

        def look() -> bool:
            row = self._gateway(one, source)
            agent = self._board.sandboxes.get(SandboxId(source, one.state.name.lstrip(".")))
            said = "" if agent is None else agent.reason
            return row is not None and row.state is state and words in said

        return look

    def told(self, one: RealGateway, fact: str, words: str, source: str = "oc") -> Word:
        """Whether the details of a gateway have this."""

        def look() -> bool:
            row = self._gateway(one, source)
            return row is not None and words in dict(row.evidence).get(fact, "")

        return look

    async def measure(
        self,
        name: str,
        word: Word,
        knowable: Awaitable[float] | float,
        limit: float = FAULT_S,
        aim: float = AIM_S,
    ) -> None:
        """Wait for a word; the seconds since it could be known."""
        eye, void = asyncio.ensure_future(_at(knowable)), self.void
        try:
            async with asyncio.timeout(limit):
                while not word():
                    await asyncio.sleep(_EYE_S)
            seen = time.monotonic()
            took = max(0.0, seen - await asyncio.wait_for(eye, limit))
        except TimeoutError:
            eye.cancel()
            print(f"  {name:44} NOT within {limit:g} s", flush=True)
            self.worst = max(self.worst, limit / aim)
            return
        self.worst = max(self.worst, took / aim)
        late = "" if took <= aim else "  LATE"
        late += f", {self.void - void} void looks" if self.void > void else ""
        print(f"  {name:44} {took:5.1f} s   (load {os.getloadavg()[0]:.1f}){late}", flush=True)


async def _at(knowable: Awaitable[float] | float) -> float:
    return knowable if isinstance(knowable, float) else await knowable


async def _when(fact: Callable[[], object], every: float = _EYE_S) -> float:
    """The instant at which something is so."""
    while not await asyncio.to_thread(fact):
        await asyncio.sleep(every)
    return time.monotonic()


def _takes_port(one: RealGateway) -> Callable[[], object]:
    """Whether its lock names a port: an earlier one is held for a moment and let go of."""
    return lambda: one.lock().get("port")


def _serves(one: RealGateway) -> bool:
    """Whether its own probes say so, asked apart from the panel."""
    return all(_answer(one, path) for path in ("startupz", "readyz"))


def _answer(one: RealGateway, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{one.port}/{path}", timeout=2) as answer:
            return bool(json.load(answer))
    except (OSError, ValueError):
        return False


def _speaks(one: RealGateway) -> bool:
    """Whether anything answers its probes at all."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{one.port}/healthz", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _is_over(one: RealGateway) -> Callable[[], bool]:
    process = ProcessId.capture(int(one.lock()["pid"]))
    assert process is not None
    return lambda: process.liveness().over


async def _closed(one: RealGateway) -> float:
    """When the gateway ends a connection that has its token: a client beside the panel."""
    async with connect(f"ws://127.0.0.1:{one.port}/", max_size=1 << 25, proxy=None) as client:
        await client.recv()
        await client.send(encode_connect("1", "0", GatewayCredential("token", TOKEN)))
        try:
            while True:
                await client.recv()
        except ConnectionClosed:
            return time.monotonic()


async def _faults(bench: _Bench, first: RealGateway, second: RealGateway) -> None:
    down, ready = GatewayState.DOWN, GatewayState.READY
    settling, hung = GatewayState.SETTLING, GatewayState.HUNG
    await bench.measure("nothing there", bench.shows(first, GatewayState.ABSENT), time.monotonic())
    first.configure(TOKEN)
    await bench.measure("configured, not running", bench.shows(first, down), time.monotonic())
    first.start()
    await bench.measure(
        "starting (its lock is taken)",
        bench.shows(first, settling),
        _when(_takes_port(first)),
        BOOT_S,
    )
    await bench.measure(
        "ready (its probes say so)",
        bench.shows(first, ready),
        _when(lambda: _serves(first), 0.1),
        BOOT_S,
    )
    await bench.measure(
        "read over its connection", bench.told(first, "connection", "reads"), time.monotonic()
    )
    second.configure(TOKEN)
    second.start()
    await bench.measure(
        "a second profile: starting",
        bench.shows(second, settling),
        _when(_takes_port(second)),
        BOOT_S,
    )
    await bench.measure(
        "a second profile: ready, the first as well",
        lambda: bench.shows(first, ready)() and bench.shows(second, ready)(),
        _when(lambda: _serves(second), 0.1),
        BOOT_S,
    )
    await bench.measure(
        "a second profile: read", bench.told(second, "connection", "reads"), time.monotonic()
    )
    watcher = asyncio.ensure_future(_closed(second))
    await asyncio.sleep(2)
    bad = second.state / "openclaw.json"
    first.send(signal.SIGSTOP)
    await bench.measure("SIGSTOP", bench.shows(first, hung, "suspended"), time.monotonic())
    assert bench.shows(second, ready)(), "the other profile is as it was"
    first.send(signal.SIGCONT)
    await bench.measure(
        "SIGCONT: ready again", bench.shows(first, ready), _when(lambda: _serves(first), 0.1)
    )
    second.configure(OTHER)
    await asyncio.gather(
        bench.measure(
            "token changed: its connection has ended",
            lambda: watcher.done() and not bench.told(second, "connection", "reads", "reader")(),
            asyncio.shield(watcher),
        ),
        bench.measure(
            "token changed: refuses the old one",
            bench.shows(second, ready, "the token it is shown is another one", "reader"),
            asyncio.shield(watcher),
        ),
        bench.measure(
            "token changed: reads with the new one",
            lambda: watcher.done() and bench.told(second, "connection", "reads")(),
            asyncio.shield(watcher),
        ),
    )
    (second.home / "token").write_text(OTHER)
    await bench.measure(
        "the token is given to the panel",
        bench.told(second, "connection", "reads", "reader"),
        time.monotonic(),
    )
    good = bad.read_text()
    bad.write_text(good.replace("gateway: {", "gateway: {bind: 'nowhere', "))
    await bench.measure(
        "saved configuration is invalid",
        bench.told(second, "saved config", "not accepted"),
        time.monotonic(),
        90,
        RARE["config.get"] + AIM_S,
    )
    first.send(signal.SIGKILL)
    await bench.measure("SIGKILL, its lock is left", bench.shows(first, down), time.monotonic())
    assert first.lock()
    server = await asyncio.start_server(_page, "127.0.0.1", first.port)
    async with server:
        await bench.measure(
            "its port is another program's",
            bench.shows(first, GatewayState.WRONG, "something else"),
            time.monotonic(),
        )
    await bench.measure("that program has ended", bench.shows(first, down), time.monotonic())
    over = _is_over(second)
    second.send(signal.SIGTERM)
    await bench.measure("SIGTERM: not running", bench.shows(second, down), _when(over))
    bad.write_text("{gateway: {port: 1")
    await bench.measure(
        "its configuration cannot be read",
        bench.shows(second, GatewayState.UNKNOWN, "configuration cannot be read"),
        time.monotonic(),
    )


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
    writer.close()


async def run(home: Path) -> float:
    """Every fault in turn; the longest wait, as a share of its aim."""
    first, second = RealGateway(home), RealGateway(home, "ops")
    clock = SystemClock()
    table = OpenClawTable(credential="config")
    source = open_openclaw("oc", table, clock, home / "keys", first.environ)
    named = OpenClawTable(state_dir=str(second.state), token_file=str(home / "token"))
    (home / "token").write_text(TOKEN)
    reader = open_openclaw("reader", named, clock, home / "keys", first.environ)
    intervals = {"oc": table.interval_s, "reader": named.interval_s}
    board = Board(clock, [source.info, reader.info], intervals=intervals)
    bench = _Bench(board)
    pollers = Pollers(
        [source.observer, reader.observer],
        intervals,
        board,
        clock,
        jitter=random.Random(28),
        on_delta=bench.on_delta,
        on_queue=lambda _: None,
    )
    polling = asyncio.ensure_future(pollers.run())
    try:
        await _faults(bench, first, second)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await source.observer.close()
        await reader.observer.close()
        for one in (first, second):
            one.end()
    return bench.worst


def main() -> None:
    """Print each fault's seconds."""
    tools = openclaw_kit.fetch()
    if isinstance(tools, str):
        print(f"OpenClaw: not measured, {tools}")
        return
    print(f"OpenClaw, a real gateway: seconds from knowable to shown (aim {AIM_S:g} s)")
    with tempfile.TemporaryDirectory() as folder:
        print(f"  the longest took {asyncio.run(run(Path(folder))):.0%} of its aim")


if __name__ == "__main__":
    main()
