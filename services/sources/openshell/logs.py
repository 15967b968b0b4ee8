"""A sandbox's log, followed across lost connections without a line twice.

See upstream/openshell: Logs.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError, ProcessError, UnavailableError
from services.models import LogStream
from services.process.run import lines
from services.sources.openshell.cli import Cli, environment
from services.sources.openshell.cli_text import ErrorKind, error_kind, error_text
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.records import Target
from services.text.sanitize import sanitize

HISTORY = 200
REMEMBERED = 2000
"""Lines that are known again when the stream is taken up."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
_LONGEST = 2000
_LINE = re.compile(r"^\[(\d{9,11})(?:\.(\d{1,3}))?\]\s+(.*)$")
_HOPELESS = (
    ErrorKind.USAGE,
    ErrorKind.IDENTITY,
    ErrorKind.AUTH,
    ErrorKind.MISSING,
    ErrorKind.UNKNOWN_NAME,
)


STREAMS = (
    LogStream("usual", "usual"),
    LogStream("sandbox", "sandbox"),
    LogStream("gateway", "gateway"),
    LogStream("warnings", "warnings"),
    LogStream("debug", "debug"),
)
_FILTERS = {
    "sandbox": ("", "sandbox"),
    "gateway": ("", "gateway"),
    "warnings": ("warn", "all"),
    "debug": ("debug", "all"),
}
"""Level and source by stream; an empty level is the configured one."""


def filtered(table: OpenShellTable, stream: str) -> OpenShellTable:
    """The table a stream is followed with; `usual` or none: as configured.

    Raises:
        NotFoundError: there is no such stream.
    """
    if stream in ("", STREAMS[0].name):
        return table
    if stream not in _FILTERS:
        raise NotFoundError(f"OpenShell has no log {sanitize(stream, 40)!r}.")
    level, source = _FILTERS[stream]
    return msgspec.structs.replace(table, log_level=level or table.log_level, log_source=source)


def readable(line: str) -> str:
    """A log line with its instant as UTC time of day; any other line as it is."""
    match = _LINE.match(line)
    if match is None:
        return line
    at = time.strftime("%H:%M:%S", time.gmtime(int(match[1])))
    return f"{at}.{(match[2] or '0').ljust(3, '0')}Z {match[3]}"


def instant(line: str) -> float | None:
    """Seconds since the epoch of a log line; None where it has none."""
    match = _LINE.match(line)
    return None if match is None else float(f"{match[1]}.{match[2] or 0}")


class SeenLines:
    """Lines already shown: the same instant, source and message is the same line."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._known: set[str] = set()

    def first(self, line: str) -> bool:
        """Whether it is new; it is not afterwards."""
        key = " ".join(line.split())
        if key in self._known:
            return False
        self._known.add(key)
        self._order.append(key)
        if len(self._order) > REMEMBERED:
            self._known.discard(self._order.popleft())
        return True


async def follow(
    cli: Cli, client: OpenShellClient, table: OpenShellTable, target: Target, clock: Clock
) -> AsyncIterator[str]:
    """Harmless lines, oldest first, for ever; a lost stream is taken up where it was lost.

    Ends where the CLI says that asking again cannot help.
    """
    memory, wait_s = SeenLines(), FIRST_WAIT_S
    last: float | None = None
    while True:
        began = clock.monotonic()
        words: list[str] = []
        try:
            tools = await client.toolset()
            asked = [*scope(target, tools), "logs", target.name, "--tail", *_filters(table)]
            asked += _from(last, clock.now())
            argv = cli.argv(*asked, gateway=target.gateway)
            async with aclosing(lines(argv, env=environment(), limit=_LONGEST)) as told:
                async for line in told:
                    at = instant(line)
                    if at is None:
                        words = [*words[-20:], line]
                        continue
                    last = at if last is None else max(last, at)
                    if memory.first(line):
                        yield readable(line)
            why = "the stream ended"
        except ProcessError as error:
            why = error_text("\n".join(words)) or error.sentence
        except UnavailableError as error:
            why = error.sentence
        if error_kind("\n".join(words)) in _HOPELESS:
            yield f"— the log cannot be followed: {why}"
            return
        if clock.monotonic() - began > LONGEST_WAIT_S:
            wait_s = FIRST_WAIT_S
        yield f"— the log stream was lost ({why}); taken up again in {wait_s:g} s"
        await clock.sleep(wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _filters(table: OpenShellTable) -> list[str]:
    level = ["--level", table.log_level] if table.log_level else []
    return level + (["--source", table.log_source] if table.log_source else [])


def _from(last: float | None, now: float) -> list[str]:
    if last is None:
        return ["-n", str(HISTORY)]
    return ["-n", str(REMEMBERED), "--since", f"{max(1, int(now - last) + 5)}s"]
