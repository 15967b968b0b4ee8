"""Instants as the queue files spell them: SQLite's UTC text, ISO with a zone, bare dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_ZONED = re.compile(r"[zZ]|[+-]\d{2}:?\d{2}$", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"\s?([zZ]|[+-]\d{2}:?\d{2})",
    re.ASCII,
)
_LONGEST = 64


def utc_ms(text: object) -> float | None:
    """Milliseconds since the epoch, or None where it is no instant (upstream/nanoclaw: Timestamps).

    Text without a zone is UTC; fractions are cut to whole milliseconds.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    spelled = text.strip()
    match = _INSTANT.fullmatch(spelled if _ZONED.search(spelled) else f"{spelled}Z")
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=_zone(match.group(8)))
    except ValueError:
        return None
    whole = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return float(whole * 1000 + int((match.group(7) or "0").ljust(3, "0")[:3]))


def seconds(text: object) -> float | None:
    """Seconds since the epoch, or None where it is no instant."""
    at = utc_ms(text)
    return None if at is None else at / 1000


def sqlite_utc(at: float) -> str:
    """An instant as SQLite's `datetime('now')` would write it: UTC, whole seconds, no zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _zone(text: str) -> timezone:
    if text in ("z", "Z"):
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
