"""Instants in a column: time of day and age."""

from __future__ import annotations

from datetime import datetime

from services.text.format import age
from services.text.signs import STALE
from widgets.table.columns import Cell

_UNREADABLE = "--:--:--"


def format_instant(now: float, at: float | None) -> str:
    """The local time of day in eight cells, or the day where it is not today's."""
    if at is None:
        return _UNREADABLE
    try:
        then = datetime.fromtimestamp(at)
        same = then.date() == datetime.fromtimestamp(now).date()
        return then.strftime("%H:%M:%S" if same or not now else "%d %b")
    except (ValueError, OverflowError, OSError):
        return _UNREADABLE


def age_cell(now: float, observed_at: float, *, stale: bool) -> Cell:
    """How old an observation is; a stale one says so in a word, or short with its sign."""
    text = age(now, observed_at) if now else "-"
    return (
        Cell.of(f"stale {text}", "warn", f"{STALE.glyph}{text}") if stale else Cell.of(text, "dim")
    )
