"""How values read: spans and counts in a sentence; ages, durations and sizes in a column."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.text import sanitize
from services.text.signs import urgent_first

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def span(seconds: float) -> str:
    """A span as one says it: `20 s`, `24 min`, `3 h`, `12 days`."""
    span = max(0.0, seconds)
    if span < 120:
        return f"{span:.0f} s"
    if span < 7200:
        return f"{span / 60:.0f} min"
    if span < 172_800:
        return f"{span / 3600:.0f} h"
    return f"{span / 86_400:.0f} days"


def ago(seconds: float) -> str:
    """A span that lies behind; where it lies ahead, some clock is wrong."""
    if seconds < -2:
        return f"{span(-seconds)} ahead of our clock"
    return f"{span(seconds)} ago"


def plural(count: int, thing: str) -> str:
    """A count with its thing."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    """`text` as a sentence of its own, with its capital."""
    return sanitize.end_sentence(f"{text[:1].upper()}{text[1:]}")


def duration(seconds: float) -> str:
    """A length of time in at most six characters: `0.4s`, `12s`, `3m05`, `2h10`, `5d03h`."""
    if seconds < 0:
        seconds = 0.0
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def age(now: float, then: float | None) -> str:
    """How long ago, in whole seconds or coarser; `-` where it is not known."""
    if then is None:
        return "-"
    seconds = max(0, int(now - then))
    return f"{seconds}s" if seconds < _MINUTE else duration(seconds)


def age_order(now: float, then: float | None) -> int:
    """The number behind `age`: two ages that read the same are equal here; -1 for one unknown."""
    if then is None:
        return -1
    seconds = max(0, int(now - then))
    coarse = 1 if seconds < _HOUR else _MINUTE if seconds < _DAY else _HOUR
    return seconds // coarse * coarse


def countdown(now: float, due: float) -> str:
    """How long until `due`; `now` once it has passed."""
    left = due - now
    return "now" if left <= 0 else f"in {age(due, now)}"


def latency(seconds: float | None) -> str:
    """A round trip in milliseconds; `-` where there was none."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 9.95 else duration(seconds)


def latency_order(seconds: float | None) -> int:
    """The number behind `latency`: two that read the same are equal here; none is the longest."""
    if seconds is None:
        return 1 << 62
    return round(seconds * 1000) if seconds < 9.95 else round(seconds) * 1000


def clock_time(instant: float, *, with_date: bool = False) -> str:
    """Local wall-clock time; dashes where no calendar has the instant."""
    form = "%Y-%m-%d %H:%M:%S" if with_date else "%H:%M:%S"
    try:
        return datetime.fromtimestamp(instant).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def size(count: int) -> str:
    """A number of bytes or characters: `512`, `3.2k`, `1.4M`."""
    value = float(count)
    for unit in ("", "k", "M", "G"):
        if value < 1000 or unit == "G":
            return f"{count}" if unit == "" else f"{value:.1f}{unit}"
        value /= 1000
    return str(count)


def counts(pairs: Sequence[tuple[str, int]], most: int = 3) -> str:
    """The `most` urgent labels with their numbers, then how many rows are left."""
    ordered = urgent_first(tuple(pairs))
    shown = [f"{number} {label}" for label, number in ordered[:most]]
    rest = sum(number for _, number in ordered[most:])
    return ", ".join([*shown, f"{rest} more"] if rest else shown) or "empty"
