"""Many machines: a link at rest, keys and CPU, fifty hosts, an echo and a hundred megabytes.

Each figure stands beside a floor of the same run: an empty loop, `cat` through the same carrier,
the same sandboxes opened directly.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from services.board.board import Board
from services.board.pollers import Pollers
from services.clock import SystemClock
from services.config.sources import LocalTable, RemoteTable
from services.models import SandboxId
from services.sources.local.source import open_local
from services.sources.protocol.source import OpenSource
from services.sources.remote.gate import ConnectGate
from services.sources.remote.session import FarSession
from services.sources.remote.source import open_remote
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason, Transport
from tests.bench.panel import NAMES, PANEL, idle_cpu, key_latency
from tests.bench.panel import program as panel_program
from tests.bench.rest import SETTLE_S, stop_traffic
from tests.support import sshd
from tests.support.remote import embedded_world, far_side, live_remote, program

HOSTS, ROWS, CHANGED = 50, 200, 2
SECONDS = 10.0
KEYS, KEY_ROUNDS = 60, 3
MEGABYTES = 100
FLEET = f"""
import select
hello()
rows(*[f'agent-{{n}}' for n in range({ROWS})])
seq = 1
while True:
    until = time.monotonic() + 1
    while (left := until - time.monotonic()) > 0:
        if select.select([0], [], [], left)[0] and not os.read(0, 65536):
            sys.exit(0)
    seq += 1
    now = time.time()
    changed = [m.WireSandbox(f'agent-{{(seq * {CHANGED} + n) % {ROWS}}}', 'ready',
                             evidence=[('turn', str(seq))]) for n in range({CHANGED})]
    say(m.Delta('home', seq, now, now, sandboxes=changed))
    say(m.Pong(0.0))
"""
STREAM = f"""
hello()
rows('alpha')
block = b'x' * 16384
left, credit, shell, sent = {MEGABYTES} << 20, m.WINDOW, 0, 0
def pump():
    global left, credit
    while shell and left and credit > 0:
        say(m.ShellData(shell, block)); left -= len(block); credit -= len(block)
    if shell and not left:
        say(m.ShellEnded(shell, 'ended', 'done', 0))
for one in incoming():
    if isinstance(one, m.ShellOpen):
        shell = one.id; say(m.ShellOpen(one.id)); pump()
    elif isinstance(one, m.ShellWindow):
        credit += one.bytes; pump()
    elif isinstance(one, m.Ping):
        say(m.Pong(one.t))
"""


def main() -> None:
    """Print every figure."""
    asyncio.run(_all())


async def _all() -> None:
    with tempfile.TemporaryDirectory(prefix="wakedeck-bench-") as name:
        folder = Path(name)
        await _fleet(folder)
        await _at_rest_and_echo(folder)
        await _keys(folder)
        await _throughput(folder)


def _open(key: str, argv: list[str], gate: ConnectGate) -> OpenSource:
    table = RemoteTable(command=tuple(argv))
    return open_remote(key, table, SystemClock(), gate, False)


async def _cpu(seconds: float) -> float:
    """The share of a core this process takes for so long."""
    began, used = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - used) / (time.monotonic() - began)


async def _fleet(folder: Path) -> None:
    floor = await _cpu(2.0)
    before = _resident()
    gate = ConnectGate()
    argv = program(folder, FLEET)
    sources = [_open(f"host{n}", argv, gate) for n in range(HOSTS)]
    clock = SystemClock()
    board = Board(clock, [one.info for one in sources])
    pollers = Pollers(
        [one.observer for one in sources],
        dict.fromkeys((one.info.key for one in sources), 5.0),
        board,
        clock,
        jitter=random.Random(1),
        on_delta=lambda _: None,
        on_queue=lambda _: None,
    )
    began = time.monotonic()
    running = asyncio.create_task(pollers.run())
    try:
        while len(board.sandboxes) < HOSTS * ROWS and time.monotonic() - began < 120:
            await asyncio.sleep(0.1)
        connected = time.monotonic() - began
        share = await _cpu(SECONDS)
        stale = sum(one.stale for one in board.sandboxes.values())
        print(
            f"{HOSTS} hosts x {ROWS} sandboxes, {CHANGED * HOSTS} changes a second: near side "
            f"{share:.1%} of a core (aim 15 %, empty loop {floor:.1%}), memory "
            f"{_resident() - before:.0f} MB more, {_resident():.0f} MB in all (aim 150); all there "
            f"after {connected:.1f} s, {stale} rows stale"
        )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.gather(*(one.observer.close() for one in sources))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


async def _at_rest_and_echo(folder: Path) -> None:
    home = folder / "far"
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(embedded_world(home))
        host = None
        argv = far_side(home)
        carrier = "a pipe"
        if not sshd.missing():
            host = stack.enter_context(sshd.ssh_host(folder / "ssh"))
            argv = host.argv(*far_side(home))
            carrier = "ssh on loopback"
        heard = _counted()
        box = await stack.enter_async_context(live_remote(argv, folder / "locks"))
        seen = await box.until(lambda one: len(one.sandboxes) == 4)
        target = seen.sandboxes[0].id
        began, at = heard(), time.monotonic()
        await asyncio.sleep(SECONDS)
        rate = (heard() - began) / (time.monotonic() - at)
        host_of_world = world.read_record("host")
        assert host_of_world is not None
        stop_traffic(world)
        await asyncio.sleep(SETTLE_S)
        began, at = heard(), time.monotonic()
        await asyncio.sleep(2 * SECONDS)
        rest = (heard() - began) / (time.monotonic() - at)
        os.kill(host_of_world.pid, signal.SIGCONT)
        print(
            f"on the wire from one host: {rest:.0f} B/s at rest (aim 200), "
            f"{rate:.0f} B/s while its world is busy"
        )
        local = open_local("local", LocalTable(), SystemClock(), world.root)
        name = target.native_id.partition("/")[2]
        direct = local.actor.shell(SandboxId("local", name), ShellChoice())
        remote = box.source.actor.shell(target, ShellChoice())
        here, there = await _echoes(direct), await _echoes(remote)
        print(
            f"echo of a key over {carrier}: {there * 1000:.1f} ms, opened directly "
            f"{here * 1000:.1f} ms: {(there - here) * 1000:+.1f} ms (aim 5 above `ssh -t`)"
        )
        await local.observer.close()


async def _keys(folder: Path) -> None:
    """Two panels on the same world: one opens it itself, one is told of it by a far side."""
    home, near = folder / "direct", folder / "near"
    (near / ".config/wakedeck").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(embedded_world(home))
        argv = far_side(home)
        if not sshd.missing():
            argv = stack.enter_context(sshd.ssh_host(folder / "ssh3")).argv(*argv)
        (near / ".config/wakedeck/config.toml").write_text(
            f'[sources.box]\nkind = "remote"\ncommand = {json.dumps(argv)}\n'
        )
        screens = [
            await stack.enter_async_context(panel_program(PANEL, one)) for one in (home, near)
        ]
        for screen in screens:
            await screen.until(NAMES[-1], 60)
        await asyncio.sleep(SECONDS)
        shares = await asyncio.gather(*(idle_cpu(one, 3 * SECONDS) for one in screens))
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(KEY_ROUNDS):
            for times, screen in zip(took, screens, strict=True):
                times.extend(await key_latency(screen, KEYS))
        direct, remote = (sorted(times) for times in took)
        half, last = len(direct) // 2, int(len(direct) * 0.99)
        print(
            f"key to paint over a link: p50 {remote[half] * 1000:.0f} ms, "
            f"p99 {remote[last] * 1000:.0f} ms; opened directly p50 {direct[half] * 1000:.0f} ms, "
            f"p99 {direct[last] * 1000:.0f} ms: x{remote[half] / direct[half]:.2f} (aim 1.10)"
        )
        print(
            f"CPU of the panel over a link {shares[1]:.1f} % of a core, opened directly "
            f"{shares[0]:.1f} % (aim within 10 %)"
        )


def _counted() -> Callable[[], int]:
    """Bytes that sessions have received from now on."""
    total = 0
    plain = FarSession._received

    def received(self: FarSession, fd: int, data: bytes) -> None:
        nonlocal total
        total += len(data) if fd == 1 else 0
        plain(self, fd, data)

    FarSession._received = received  # type: ignore[method-assign]
    return lambda: total


async def _echoes(shell: Transport) -> float:
    """The median time of a key and its echo."""
    await shell.open(80, 24)
    try:
        await shell.write(b"cat\n")
        await asyncio.sleep(1.0)
        waits = []
        for number in range(40):
            mark = b"%c" % (97 + number % 26)
            began = time.monotonic()
            await shell.write(mark)
            while not isinstance(got := await shell.read(), CloseReason) and mark not in got:
                pass
            waits.append(time.monotonic() - began)
        return sorted(waits)[len(waits) // 2]
    finally:
        await shell.close()


async def _throughput(folder: Path) -> None:
    far = folder / "stream"
    far.mkdir()
    argv = program(far, STREAM)
    data = folder / "data"
    data.write_bytes(os.urandom(1 << 20) * MEGABYTES)
    floor_argv, carrier = ["cat", str(data)], "a pipe"
    async with AsyncExitStack() as stack:
        if not sshd.missing():
            host = stack.enter_context(sshd.ssh_host(folder / "ssh2"))
            argv, floor_argv = host.argv(*argv), host.argv("cat", str(data))
            carrier = "ssh on loopback"
        box = await stack.enter_async_context(live_remote(argv, folder / "locks"))
        seen = await box.until(lambda one: one.sandboxes)
        shell = box.source.actor.shell(seen.sandboxes[0].id, ShellChoice())
        began, got = time.monotonic(), 0
        await shell.open(80, 24)
        while not isinstance(data_read := await shell.read(), CloseReason):
            got += len(data_read)
        ours = got / (time.monotonic() - began) / 1e6
        began = time.monotonic()
        floor = await asyncio.create_subprocess_exec(
            *floor_argv, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        assert floor.stdout is not None
        read = 0
        while chunk := await floor.stdout.read(1 << 16):
            read += len(chunk)
        await floor.wait()
        plain = read / (time.monotonic() - began) / 1e6
        print(
            f"{MEGABYTES} MB over {carrier}: shell {ours:.0f} MB/s, cat {plain:.0f} MB/s: "
            f"{ours / plain:.2f} (aim 0.5)"
        )


if __name__ == "__main__":
    main()
