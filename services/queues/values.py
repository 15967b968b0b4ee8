"""Cells of a foreign table as the types they should have had."""

from __future__ import annotations


def text(value: object) -> str:
    """A cell as text, whatever type it was stored with."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def optional(value: object) -> str | None:
    """A cell as text, NULL kept."""
    return None if value is None else text(value)


def number(value: object) -> int | None:
    """A cell as a whole number, or None."""
    return value if isinstance(value, int) else None


def epoch(value: object) -> float | None:
    """Seconds since the epoch from SQLite's `strftime('%s', …)`, or None."""
    try:
        return None if value is None else float(int(text(value)))
    except ValueError:
        return None
