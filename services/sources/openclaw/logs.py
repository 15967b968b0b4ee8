"""The log of a gateway: its file on this machine, or what it tells of it over its connection.

See upstream/openclaw: The log.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

from services.agents.openclaw.fields import count, table
from services.agents.openclaw.link import GatewayLink
from services.agents.openclaw.wire import LEAST_S
from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError, parse_json
from services.logs.file_tail import POLL_S, FileTail
from services.logs.reader import LogRecord
from services.sources.openclaw.layout import StateDirectory
from services.text.format import clock_time

FOLDER = Path("/", "tmp", "openclaw")
_TAIL: dict[str, object] = {"limit": 300, "maxBytes": 128 * 1024}
_MOST = 1000
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


async def follow_file(
    place: StateDirectory, clock: Clock, folder: Path = FOLDER
) -> AsyncIterator[LogRecord]:
    """The lines of the newest of its files, one a day; for ever.

    Raises:
        UnavailableError: there is none that is ours.
    """
    path = _newest(place, folder)
    if path is None:
        raise UnavailableError(f"There is no log of it in {folder} that belongs to this user.")
    yield LogRecord(f"— {path}: every gateway of this user and profile writes there", note=True)
    tail = FileTail(path)
    try:
        while True:
            lines = tail.more()
            if tail.news:
                yield LogRecord(tail.news, note=True)
            for line in lines:
                yield to_record(line.decode("utf-8", "replace"))
            if lines:
                continue
            newer = _newest(place, folder)
            if newer is not None and newer != path:
                tail.close()
                path, tail = newer, FileTail(newer, start=1 << 30)
            await clock.sleep(POLL_S)
    finally:
        tail.close()


async def follow_told(link: GatewayLink, clock: Clock) -> AsyncIterator[LogRecord]:
    """The same over a connection, asked for as seldom as everything else.

    Raises:
        UnavailableError: it is not connected, or does not answer.
    """
    cursor = -1
    while True:
        params = _TAIL if cursor < 0 else {**_TAIL, "cursor": cursor}
        fields = table(await link.call("logs.tail", params))
        lines = fields.get("lines")
        if fields.get("reset") is True and cursor >= 0:
            yield LogRecord("— the log was begun anew", note=True)
        if fields.get("truncated") is True and cursor >= 0:
            yield LogRecord("— some lines are left out", note=True)
        for line in (lines if isinstance(lines, list) else [])[:_MOST]:
            if isinstance(line, str):
                yield to_record(line)
        cursor = count(fields.get("cursor"))
        await clock.sleep(LEAST_S)


def to_record(line: str) -> LogRecord:
    """A line of JSON as one reads it; another one as it is."""
    try:
        fields = table(parse_json(line))
    except UnfitError:
        return LogRecord(line)
    message, level = fields.get("message"), table(fields.get("_meta")).get("logLevelName")
    at = _instant(fields.get("time"))
    if not isinstance(message, str):
        return LogRecord(line)
    words = [clock_time(at)] if at is not None else []
    words += [level] if isinstance(level, str) and level != "INFO" else []
    return LogRecord(" ".join((*words, message)), at)


def _instant(value: object) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _newest(place: StateDirectory, folder: Path) -> Path | None:
    """The newest file in a folder that nobody else may have made."""
    middle = f"{place.profile}-" if place.profile else ""
    try:
        if folder.lstat().st_uid != os.getuid():
            return None
        found = sorted(folder.glob(f"openclaw-{middle}{_DAY}.log"))
        ours = [one for one in found if one.lstat().st_uid == os.getuid() and not one.is_symlink()]
    except OSError:
        return None
    return ours[-1] if ours else None
