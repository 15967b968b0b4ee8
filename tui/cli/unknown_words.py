"""Words of other systems that this panel has no meaning for, as the journal has them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Event, UnknownWord

_MOST = 2000
_SAID = "this panel does not know it"
"""What the board says of each such word."""


async def unknown_words(journal: Path) -> tuple[tuple[UnknownWord, int], ...]:
    """Each word with how many panels met it, the most frequent first."""
    if not journal.exists():
        return ()
    store = Journal(journal, SystemClock())
    try:
        await store.open()
        events = await store.recent(_MOST, text=_SAID)
    finally:
        await store.close()
    counted = Counter(map(_word, (one for one in events if one.kind == "word")))
    return tuple(counted.most_common())


def to_json(words: tuple[tuple[UnknownWord, int], ...]) -> list[dict[str, Any]]:
    """For `doctor --json`."""
    return [
        {"source": one.source, "place": one.place, "word": one.word, "seen": number}
        for one, number in words
    ]


def lines(words: tuple[tuple[UnknownWord, int], ...]) -> list[str]:
    """For `doctor`; empty where there is none."""
    if not words:
        return []
    told = [f"  ? {one.source}: {one.place} {one.word!r} ({number}×)" for one, number in words]
    return ["", "Words of other systems that this panel does not know", *told]


def _word(event: Event) -> UnknownWord:
    return UnknownWord(event.source, event.before, event.after)
