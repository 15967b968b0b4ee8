"""How values read on the screen: ages, durations, sizes, counts."""

from __future__ import annotations

from datetime import datetime

from services.models import Counts

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


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


def countdown(now: float, due: float) -> str:
    """How long until `due`; `now` once it has passed."""
    left = due - now
    return "now" if left <= 0 else f"in {age(due, now)}"


def latency(seconds: float | None) -> str:
    """A round trip in milliseconds; `-` where there was none."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 9.95 else duration(seconds)


def clock_time(instant: float, *, with_date: bool = False) -> str:
    """Local wall-clock time."""
    form = "%Y-%m-%d %H:%M:%S" if with_date else "%H:%M:%S"
    return datetime.fromtimestamp(instant).strftime(form)


def size(count: int) -> str:
    """A number of bytes or characters: `512`, `3.2k`, `1.4M`."""
    value = float(count)
    for unit in ("", "k", "M", "G"):
        if value < 1000 or unit == "G":
            return f"{count}" if unit == "" else f"{value:.1f}{unit}"
        value /= 1000
    return str(count)


def counts(pairs: Counts, most: int = 3) -> str:
    """The first `most` labels with their numbers, then how many rows are left."""
    shown = [f"{number} {label}" for label, number in pairs[:most]]
    rest = sum(number for _, number in pairs[most:])
    return ", ".join([*shown, f"{rest} more"] if rest else shown) or "empty"
