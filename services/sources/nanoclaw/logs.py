"""What host and container say about one session, as bounded streams of records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from heapq import merge
from operator import itemgetter

from services.clock import Clock
from services.errors import NotFoundError, ProcessError
from services.logs.file_tail import POLL_S, FileTail
from services.logs.reader import LogRecord
from services.models import LogStream
from services.process import run
from services.sources.nanoclaw.containers import (
    AgentContainer,
    ContainerListings,
    SessionKey,
)
from services.sources.nanoclaw.docker_cli import logs_argv
from services.sources.nanoclaw.host_log import TAIL, dated, parse
from services.sources.nanoclaw.install import Install
from services.text.sanitize import sanitize

STREAMS = (
    LogStream("session", "this session"),
    LogStream("host", "host"),
    LogStream("errors", "host errors"),
    LogStream("container", "container"),
)
ROOM = 500
AT_ONCE = 8
"""Portions of 64 KiB of one file that are told together."""
CONTAINER_POLL_S = 2.0
LONGEST_WAIT_S = 30.0
EPHEMERAL_NOTE = "container log: it vanishes when the container ends"
ENDED_NOTE = "container log: the container has ended, and its log with it"
NO_CONTAINER_NOTE = "container log: no container runs"


async def stream(
    install: Install,
    listings: ContainerListings,
    session_key: SessionKey,
    clock: Clock,
    which: str = "",
) -> AsyncIterator[LogRecord]:
    """One of `STREAMS`; the first where `which` is empty.

    `session` are the lines of both host logs that name the session, and its container's log while
    it lives; the others are one log each, whole.

    Raises:
        NotFoundError: there is no such stream.
    """
    lines: asyncio.Queue[LogRecord] = asyncio.Queue(ROOM)
    tasks = [
        asyncio.create_task(one)
        for one in _producers(
            install, listings, session_key, clock, which or STREAMS[0].name, lines
        )
    ]
    try:
        while True:
            yield await lines.get()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _producers(
    install: Install,
    listings: ContainerListings,
    session_key: SessionKey,
    clock: Clock,
    which: str,
    lines: asyncio.Queue[LogRecord],
) -> list[Coroutine[object, object, None]]:
    host = FileTail(install.log, TAIL, "host log")
    errors = FileTail(install.error_log, TAIL, "host error log")
    match which:
        case "session":
            name = session_key[1].encode("utf-8", "surrogateescape")
            told = (("host: ", host), ("host error: ", errors))
            return [
                _files(told, name, clock, lines),
                _container(listings, session_key, clock, lines),
            ]
        case "host":
            return [_files((("", host),), b"", clock, lines)]
        case "errors":
            return [_files((("", errors),), b"", clock, lines)]
        case "container":
            return [_container(listings, session_key, clock, lines)]
    raise NotFoundError(f"A NanoClaw session has no log {sanitize(which, 40)!r}.")


async def _files(
    tails: tuple[tuple[str, FileTail], ...],
    name: bytes,
    clock: Clock,
    lines: asyncio.Queue[LogRecord],
) -> None:
    """Lines of the files in which `name` occurs, and what becomes of the files themselves.

    Lines that are found together are told in the order in which they were written. The logs have
    no dates: a line between two days says which one begins, unless it is today.
    """
    day = _day(clock.now())
    try:
        while True:
            found: list[list[tuple[float, str]]] = []
            for word, tail in tails:
                raw: list[bytes] = []
                for _ in range(AT_ONCE):
                    more = tail.more()
                    if tail.news:
                        await lines.put(LogRecord(tail.news, note=True))
                    if not more:
                        break
                    raw += more
                    await asyncio.sleep(0)
                found.append(_timed(word, raw, name, tail.modified_at))
            for at, line in merge(*found, key=itemgetter(0)):
                if at and day != (day := _day(at)):
                    await lines.put(LogRecord(f"— {day}"))
                await lines.put(LogRecord(line, at or None))
            await clock.sleep(POLL_S)
    finally:
        for _, tail in tails:
            tail.close()


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))


def _timed(word: str, raw: list[bytes], name: bytes, modified_at: float) -> list[tuple[float, str]]:
    """Each line that holds `name` with its instant, or that of the line before."""
    read = [parse(line.decode("utf-8", "replace")) for line in raw]
    instants = iter(dated([one for one in read if one is not None], modified_at))
    at, told = 0.0, []
    for line, one in zip(raw, read, strict=True):
        at = at if one is None else next(instants)[0]
        if name in line:
            told.append((at, word + line.decode("utf-8", "replace")))
    return told


async def _container(
    listings: ContainerListings,
    session_key: SessionKey,
    clock: Clock,
    lines: asyncio.Queue[LogRecord],
) -> None:
    last_note = followed = problem = ""
    since, wait_s = "10m", CONTAINER_POLL_S
    while True:
        listing = await listings.latest()
        found = listing.by_session.get(session_key)
        if found is None:
            word = f"container log: {listing.problem}" if listing.problem else NO_CONTAINER_NOTE
            if followed and not listing.problem:
                word, followed = ENDED_NOTE, ""
            if last_note not in (word, ENDED_NOTE):
                last_note = word
                await lines.put(LogRecord(word, note=True))
            await clock.sleep(CONTAINER_POLL_S)
            continue
        if found.id != followed:
            last_note, followed, problem = EPHEMERAL_NOTE, found.id, ""
            since, wait_s = "10m", CONTAINER_POLL_S
            await lines.put(LogRecord(EPHEMERAL_NOTE, note=True))
        began = clock.now()
        said = await _follow_container(found, since, lines)
        if said and said != problem:
            await lines.put(LogRecord(f"container log: {said}", note=True))
        problem = said
        if clock.now() - began > LONGEST_WAIT_S:
            wait_s = CONTAINER_POLL_S
        # It runs, and its log has ended all the same: taken up from here, and nothing said twice.
        since = f"{clock.now():.3f}"
        await clock.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


async def _follow_container(
    container: AgentContainer, since: str, lines: asyncio.Queue[LogRecord]
) -> str:
    """What it says until its log ends; why, where that is known."""
    told = run.lines(logs_argv(container.name, since), limit=1000)
    try:
        async for line in told:
            await lines.put(LogRecord(f"container: {line}"))
    except ProcessError as error:
        return error.sentence
    finally:
        await told.aclose()
    return ""
