"""A pod's shell over the channels of Kubernetes: session and emulator beside a client that reads.

The server is a process of its own. Prints bytes a second from the socket to the emulator and the
same for a plain client in one run, Ctrl-C to the prompt under `yes`, and memory while 1 GB passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from services.terminal.transport.base import CloseReason
from services.terminal.transport.k8s_channels import V5, ChannelFraming
from services.terminal.transport.websocket import WebSocketTransport
from tests.bench.panel import ROOT
from tests.support.kube_api import TOKEN, kube_api, pod
from tests.support.seen import Seen, seen

MEGABYTE = 1_000_000
PATH = "/api/v1/namespaces/default/pods/box/exec?command=bash&command=--norc"
STREAMS = "&stdin=true&stdout=true&tty=true"
LINE = "0123456789abcdef" * 4
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


async def serve() -> None:
    """One pod, until stdin ends."""
    with tempfile.TemporaryDirectory() as folder:
        async with kube_api(Path(folder)) as api:
            await api.put(pod("box"))
            print(api.peer.port, flush=True)
            await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """The URL of a shell on it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.wire", "serve"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stdin is not None
        port = int(await process.stdout.readline())
        yield f"ws://127.0.0.1:{port}{PATH}{STREAMS}"
        process.stdin.close()
        async with asyncio.timeout(20):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def flood(megabytes: int) -> str:
    return f"yes {LINE} | head -c {megabytes * MEGABYTE}; echo d''one\r"


async def plainly(url: str, megabytes: int) -> float:
    """Seconds a client needs that reads and does nothing else."""
    async with connect(
        url, additional_headers=HEADERS, subprotocols=[Subprotocol(V5)], compression=None
    ) as one:
        await one.send(b"\x00" + flood(megabytes).encode())
        begun, tail = time.perf_counter(), b""
        with contextlib.suppress(ConnectionClosed):
            while b"done\r\n" not in tail:
                frame = await one.recv()
                assert isinstance(frame, bytes)
                tail = (tail + frame[1:])[-64:]
        took = time.perf_counter() - begun
        await one.send(b"\x00exit\r")
        return took


def transport(url: str) -> WebSocketTransport:
    return WebSocketTransport(url, HEADERS, framing=ChannelFraming())


async def watched(one: Seen, megabytes: int, each: Callable[[], None]) -> float:
    """Seconds until the prompt is on the screen again."""
    one.type("clear\r")
    await one.until(lambda: one.prompted and "done" not in one.text)
    begun = time.perf_counter()
    one.type(flood(megabytes))

    def ended() -> bool:
        each()
        return "done\n" in one.text and one.prompted

    await one.until(ended, 600)
    return time.perf_counter() - begun


async def interrupted(one: Seen) -> float:
    """Seconds from Ctrl-C under `yes` to the prompt."""
    one.type("yes\r")
    await asyncio.sleep(2)
    begun = time.perf_counter()
    one.type("\x03")
    await one.until(lambda: one.prompted)
    return time.perf_counter() - begun


async def run() -> None:
    """Measure."""
    me = psutil.Process(os.getpid())
    async with server() as url:
        await plainly(url, 20)
        floor = await plainly(url, 200)
        async with seen(transport(url)) as one:
            ours = await watched(one, 200, lambda: None)
            print(
                f"200 MB: plain client {200 / floor:.0f} MB/s, session and emulator"
                f" {200 / ours:.0f} MB/s (x{floor / ours:.2f}),"
                f" {one.shell.skipped_bytes / MEGABYTE:.0f} MB skipped"
            )
            waits = [await interrupted(one) for _ in range(5)]
            print(
                "Ctrl-C to prompt under yes:",
                ", ".join(f"{wait * 1000:.0f}" for wait in waits),
                "ms",
            )
            before = me.memory_info().rss
            most = before

            def weigh() -> None:
                nonlocal most
                most = max(most, me.memory_info().rss)

            took = await watched(one, 1000, weigh)
            print(
                f"1 GB in {took:.1f} s: memory {before / MEGABYTE:.0f} MB before,"
                f" {most / MEGABYTE:.0f} MB at most"
            )
        last = transport(url)
        await last.open(80, 24)
        await last.write(b"exit 0\r")
        while not isinstance(await last.read(), CloseReason):
            pass
        await last.close()


def main() -> None:
    """Run it."""
    asyncio.run(run())


if __name__ == "__main__":
    asyncio.run(serve()) if sys.argv[1:] == ["serve"] else main()
