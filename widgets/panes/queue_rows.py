"""Messages of a queue as rows: which are still reported, and what their columns say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from services.models import Direction, InLabel, Message
from services.text.format import age, age_order, countdown
from services.text.signs import message_sign
from widgets.table.columns import Cell, Column
from widgets.text.cell_text import Part
from widgets.text.instants import format_instant

MessageKey: TypeAlias = tuple[Direction, str]
MOST_TRIES = 6
"""Claims before the host gives up (upstream/nanoclaw: Stuck agents)."""
_ARROWS = {Direction.IN: Cell.of("→", "busy"), Direction.OUT: Cell.of("←", "good")}


class SeenMessage(NamedTuple):
    """A message with when it was last reported and its place among the others."""

    message: Message
    place: int
    seen_at: float | None = None
    """Set once it is no longer reported because newer ones filled the page."""


def key_of(row: SeenMessage) -> MessageKey:
    """Its queue and id: ids are unique in one file only."""
    return (row.message.direction, row.message.id)


def _label(row: SeenMessage, _: float) -> Cell:
    sign = message_sign(row.message.label)
    return Cell.of(str(sign), sign.tone)


def _kind(row: SeenMessage, _: float) -> Cell:
    message = row.message
    whole = f"{message.kind}/{message.channel}" if message.channel else message.kind
    return Cell.of(whole, "dim", message.kind)


def _text(row: SeenMessage, _: float) -> Cell:
    settled = message_sign(row.message.label).tone == "dim"
    return Cell.of(row.message.text, "dim" if settled else "calm")


def _due(row: SeenMessage, now: float) -> Cell:
    """Which try it is, and when it goes on."""
    message = row.message
    if row.seen_at is not None:
        return Cell.of(f"seen {age(now, row.seen_at)} ago", "dim", age(now, row.seen_at))
    parts: list[Part] = []
    if message.tries:
        limit = f"/{MOST_TRIES}" if isinstance(message.label, InLabel) else ""
        parts.append((f"try {message.tries + 1}{limit}", "warn"))
    tail = ""
    if message.due_at is not None:
        tail = countdown(now, message.due_at)
    elif message.since is not None and message.label is InLabel.PROCESSING:
        tail = f"for {age(now, message.since)}"
    if tail:
        parts += [(" ", "")] if parts else []
        parts.append((tail, "calm"))
    return Cell(tuple(parts), ((tail, "calm"),) if tail else ())


COLUMNS: tuple[Column[SeenMessage], ...] = (
    Column(
        "time",
        "TIME",
        lambda r, now: Cell.of(format_instant(now, r.message.at), "dim"),
        width=8,
        gap=1,
        live=True,
    ),
    Column("way", "", lambda r, _: _ARROWS[r.message.direction], width=1, gap=1),
    Column(
        "label",
        "LABEL",
        _label,
        width=13,
        sort_key=lambda r, _: message_sign(r.message.label).word,
    ),
    Column(
        "kind",
        "KIND",
        _kind,
        width=16,
        least=8,
        priority=3,
        sort_key=lambda r, _: (r.message.kind, r.message.channel),
    ),
    Column("text", "TEXT", _text, width=36, least=14, comfort=36, flex=1),
    Column(
        "due",
        "DUE",
        _due,
        width=16,
        least=8,
        priority=2,
        sort_key=lambda r, now: (r.message.due_at is None, age_order(r.message.due_at or 0.0, now)),
        live=True,
    ),
)


def search_text(row: SeenMessage) -> str:
    """What a filter looks at."""
    message = row.message
    return "\n".join(
        (
            message.direction.value,
            message_sign(message.label).word,
            message.label.value,
            message.kind,
            message.channel,
            message.id,
            message.text,
        )
    )


def merge(
    held: Iterable[SeenMessage], page: Sequence[Message], seen_at: float, most: int
) -> tuple[list[SeenMessage], list[MessageKey]]:
    """Rows to show and keys to drop, after a new page of messages in their order.

    What is held but not on the page is gone, unless it stands before everything the page knows of
    its queue: then only the page ended there, and it stays, marked as last seen at `seen_at`.
    """
    before = {key_of(row): row for row in held}
    fresh = list(page)[-most:]
    keys = [(message.direction, message.id) for message in fresh]
    known = [before[key] for key in keys if key in before]
    rows: list[SeenMessage] = []
    place = _first_place(before.values(), keys, known, before)
    for message, key in zip(fresh, keys, strict=True):
        place = max(place, before[key].place) if key in before else place
        rows.append(SeenMessage(message, place))
        place += 1
    starts: dict[Direction, int] = {}
    for row in known:
        starts.setdefault(row.message.direction, row.place)
    on_page = set(keys)
    older = [
        row
        for key, row in before.items()
        if fresh and key not in on_page and row.place < starts.get(key[0], row.place + 1)
    ]
    older.sort(key=lambda row: row.place)
    kept = older[max(0, len(older) - (most - len(rows))) :]
    rows += [row if row.seen_at is not None else row._replace(seen_at=seen_at) for row in kept]
    shown = {key_of(row) for row in rows}
    return rows, [key for key in before if key not in shown]


def _first_place(
    held: Iterable[SeenMessage],
    keys: Sequence[MessageKey],
    known: Sequence[SeenMessage],
    before: Mapping[MessageKey, SeenMessage],
) -> int:
    """The place of the first message of a page: so that its known ones keep theirs."""
    if not known:
        return max((row.place for row in held), default=-1) + 1
    new_in_front = next(at for at, key in enumerate(keys) if key in before)
    return known[0].place - new_in_front
