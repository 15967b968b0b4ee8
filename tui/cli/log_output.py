"""A sandbox's log on stdout: what is there, or that and what comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

import click

from services.board.refusals import refusals
from services.config.settings import Settings
from services.errors import ConfigError, UnavailableError
from services.logs.follower import LogFollower, log_line
from services.logs.reader import LogEndedError, LogRecord
from services.models import Capability, LogLine, LogStream, Sandbox
from services.sources.protocol.source import OpenSource
from tui.cli.event_loop import run_command
from tui.cli.query_report import ProbedSources, probed_sources

FIRST_S = 10.0
"""How long a log is waited for that has said nothing."""
QUIET_S = 1.0
"""A log that has said nothing for this long has told what was there."""
LONGEST_S = 5.0
"""A log that never stops is read this long."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What is asked for."""

    stream: str = ""
    """Empty: the usual one."""
    follow: bool = False
    tail: int | None = None
    """At most so many of the newest lines there are; None: all."""


def run(settings: Settings, typed: str, request: LogRequest) -> int:
    """Print it; 0, also where there are no lines.

    Raises:
        NotFoundError, AmbiguousError: no such sandbox, or several.
        ConfigError: no such stream; the sentence names those there are.
        UnavailableError: there is no log.
    """

    async def work() -> int:
        async with probed_sources(settings) as probed:
            sandbox = await probed.sandbox(typed)
            source = probed.sources[sandbox.id.source]
            _refuse(sandbox, source)
            stream = await _stream(sandbox, source, request.stream)
            if request.follow:
                await _follow(probed, source, sandbox, stream, request.tail)
            else:
                await _once(source, sandbox, stream, request.tail)
        return 0

    return run_command(work())


def streams(settings: Settings, typed: str) -> int:
    """Print the streams of a sandbox's log, the usual one first: name and title."""

    async def work() -> int:
        async with probed_sources(settings) as probed:
            sandbox = await probed.sandbox(typed)
            source = probed.sources[sandbox.id.source]
            _refuse(sandbox, source)
            for one in await source.observer.log_streams(sandbox.id):
                click.echo(f"{one.name:<12}  {one.title}")
        return 0

    return run_command(work())


def _refuse(sandbox: Sandbox, source: OpenSource) -> None:
    why = refusals(source.info, sandbox).get(Capability.LOGS)
    if why is not None:
        raise UnavailableError(f"There is no log of {sandbox.name}: {why}.")


async def _stream(sandbox: Sandbox, source: OpenSource, wanted: str) -> str:
    if not wanted:
        return ""
    known: Sequence[LogStream] = await source.observer.log_streams(sandbox.id)
    names = [one.name for one in known]
    if names and wanted not in names:
        raise ConfigError(
            f"The log of {sandbox.name} has no stream {wanted!r}.",
            advice=f"There are: {', '.join(names)}.",
        )
    return wanted


class _Tail:
    """Prints what comes; of what was there at the beginning the newest lines alone."""

    def __init__(self, most: int | None, on_broken: Callable[[OSError], None]) -> None:
        self._held: deque[LogLine] | None = None if most is None else deque(maxlen=most)
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._due: asyncio.TimerHandle | None = None

    def deliver(self, lines: Sequence[LogLine]) -> None:
        """Print them, or hold them until the source has been quiet for a while."""
        if self._held is None:
            self._print(lines)
            return
        self._print([line for line in lines if line.ours])
        self._held.extend(line for line in lines if not line.ours)
        now = self._loop.time()
        self._until = self._until or now + LONGEST_S
        if self._due is not None:
            self._due.cancel()
        self._due = self._loop.call_at(min(now + QUIET_S, self._until), self.release)

    def release(self) -> None:
        """What was there has come: print the end of it, and what follows at once."""
        if self._due is not None:
            self._due.cancel()
        held, self._held = self._held, None
        self._print(held or ())

    def _print(self, lines: Iterable[LogLine]) -> None:
        try:
            for line in lines:
                click.echo(line.text, err=line.ours)
        except OSError as error:
            self._on_broken(error)


async def _follow(
    probed: ProbedSources, source: OpenSource, sandbox: Sandbox, stream: str, tail: int | None
) -> None:
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_broken(error: OSError) -> None:
        if not broken.done():
            broken.set_exception(error)

    printed = _Tail(tail, on_broken)

    def opened(since: float | None) -> AsyncIterator[LogRecord]:
        return source.observer.logs(sandbox.id, stream, since)

    follower = LogFollower(opened, printed.deliver, lambda _why, _at: None, probed.clock)
    task = asyncio.create_task(follower.run())
    try:
        await asyncio.wait({task, broken}, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            broken.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        printed.release()


async def _once(source: OpenSource, sandbox: Sandbox, stream: str, tail: int | None) -> None:
    """Lines until the source has been quiet for a while, has ended, or never stops."""
    newest: deque[str] = deque(maxlen=tail)
    told = source.observer.logs(sandbox.id, stream)
    loop = asyncio.get_running_loop()
    until, quiet_s = loop.time() + FIRST_S, FIRST_S
    try:
        while (left := until - loop.time()) > 0:
            async with asyncio.timeout(min(quiet_s, left)):
                line = log_line(await anext(told))
            if quiet_s == FIRST_S:
                until, quiet_s = loop.time() + LONGEST_S, QUIET_S
            if line.ours or tail is None:
                click.echo(line.text, err=line.ours)
            else:
                newest.append(line.text)
    except (StopAsyncIteration, TimeoutError, LogEndedError):
        pass
    except UnavailableError as error:
        if quiet_s == FIRST_S:
            raise
        click.echo(f"— {error.sentence}", err=True)
    finally:
        if (close := getattr(told, "aclose", None)) is not None:
            await close()
    for text in newest:
        click.echo(text)
