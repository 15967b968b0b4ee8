"""What host and container say about one session, as one bounded stream of harmless lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services import process
from services.clock import Clock
from services.errors import ProcessError
from services.sources.nanoclaw.containers import Container, Home, logs_argv
from services.sources.nanoclaw.follow import POLL_S, Tail, shown
from services.sources.nanoclaw.hostlog import TAIL
from services.sources.nanoclaw.install import Install
from services.sources.nanoclaw.runtime import Runtime

ROOM = 500
CONTAINER_POLL_S = 2.0
GOES = "container log: it vanishes when the container ends"
GONE = "container log: the container has ended, and its log with it"
NONE = "container log: no container runs"


async def stream(
    install: Install, runtime: Runtime, home: Home, clock: Clock
) -> AsyncIterator[str]:
    """Lines of both host logs that name the session, and its container's log while it lives."""
    lines: asyncio.Queue[str] = asyncio.Queue(ROOM)
    tasks = [
        asyncio.create_task(_host(install, home, clock, lines)),
        asyncio.create_task(_container(runtime, home, clock, lines)),
    ]
    try:
        while True:
            yield await lines.get()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _host(install: Install, home: Home, clock: Clock, lines: asyncio.Queue[str]) -> None:
    name = home[1].encode("utf-8", "surrogateescape")
    tails = (("host", Tail(install.log, TAIL)), ("host error", Tail(install.error_log, TAIL)))
    while True:
        more = False
        for word, tail in tails:
            raw = tail.more()
            more = more or bool(raw)
            for line in raw:
                if name in line:
                    await lines.put(f"{word}: {shown(line)}")
        if not more:
            await clock.sleep(POLL_S)
        else:
            await asyncio.sleep(0)


async def _container(runtime: Runtime, home: Home, clock: Clock, lines: asyncio.Queue[str]) -> None:
    said = ""
    while True:
        listing = await runtime.look()
        found = listing.by_home.get(home)
        if found is None:
            word = f"container log: {listing.problem}" if listing.problem else NONE
            if said not in (word, GONE):
                said = word
                await lines.put(word)
            await clock.sleep(CONTAINER_POLL_S)
            continue
        await lines.put(GOES)
        await _pour(found, lines)
        said = GONE
        await lines.put(GONE)
        await clock.sleep(CONTAINER_POLL_S)


async def _pour(container: Container, lines: asyncio.Queue[str]) -> None:
    told = process.lines(logs_argv(container.name), limit=1000)
    try:
        async for line in told:
            await lines.put(f"container: {line}")
    except ProcessError as error:
        await lines.put(f"container log: {error.sentence}")
    finally:
        await told.aclose()
