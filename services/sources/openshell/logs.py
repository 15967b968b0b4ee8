"""A sandbox's log: its streams, and one run of the command that tails them.

See upstream/openshell: Logs.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError, ProcessError, UnavailableError
from services.logs.reader import LogRecord
from services.models import LogStream
from services.process.run import lines
from services.sources.openshell.cli import Cli, environment
from services.sources.openshell.cli_text import error_text
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.records import Target
from services.text.sanitize import sanitize

HISTORY = 200
REMEMBERED = 2000
"""So many are asked for when the stream is taken up."""
_LONGEST = 2000
_LINE = re.compile(r"^\[(\d{9,11})(?:\.(\d{1,3}))?\]\s+(.*)$")

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


async def read(
    cli: Cli,
    client: OpenShellClient,
    table: OpenShellTable,
    target: Target,
    clock: Clock,
    since: float | None,
) -> AsyncIterator[LogRecord]:
    """One run of the log, oldest first: the same instant, source and message is the same record.

    Raises:
        UnavailableError: the stream was lost; asking again may help.
    """
    words: list[str] = []
    try:
        tools = await client.toolset()
        asked = [*scope(target, tools), "logs", target.name, "--tail", *_filters(table)]
        asked += _from(since, clock.now())
        argv = cli.argv(*asked, gateway=target.gateway)
        async with aclosing(lines(argv, env=environment(), limit=_LONGEST)) as told:
            async for line in told:
                at = instant(line)
                if at is None:
                    words = [*words[-20:], line]
                else:
                    yield LogRecord(readable(line), at, " ".join(line.split()))
        why = "it ended"
    except ProcessError as error:
        why = error_text("\n".join(words)) or error.sentence
    raise UnavailableError(f"The log stream was lost ({why}).")


def _filters(table: OpenShellTable) -> list[str]:
    level = ["--level", table.log_level] if table.log_level else []
    return level + (["--source", table.log_source] if table.log_source else [])


def _from(last: float | None, now: float) -> list[str]:
    if last is None:
        return ["-n", str(HISTORY)]
    return ["-n", str(REMEMBERED), "--since", f"{max(1, int(now - last) + 5)}s"]
