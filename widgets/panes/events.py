"""The timeline: what changed, and what the operator did about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from textual.message import Message

from services.models import Event, SandboxId, Severity
from services.text.signs import SEVERITIES
from widgets.panes.table_pane import TablePane, count_summary
from widgets.table.columns import Cell, Column
from widgets.table.counter import KeyedCounter
from widgets.table.filter import terms
from widgets.table.record_table import RecordTable
from widgets.table.stream_table import KEPT, StreamTable
from widgets.text.cell_text import Part
from widgets.text.instants import format_instant

_SIGN = 8
"""Cells of the longest sign with its word: all have their words, or none."""


class NumberedEvent(NamedTuple):
    """An event with its place in this pane: events have no name of their own."""

    number: int
    event: Event
    who: str = ""
    """What the operator calls whom it is about; empty: its source."""
    text: str = ""
    """What happened, without the subject."""
    several: bool = False
    """Events of several sources are here: a subject is named with its source."""

    @classmethod
    def of(cls, number: int, event: Event, name: str = "", several: bool = False) -> NumberedEvent:
        """Tell the subject from what happened to it; `name` is known for the subject's id."""
        for said in (f" is {event.after}", " is new here: ", " is no longer there"):
            subject, found, _ = event.text.partition(said)
            if found and event.kind in ("sandbox", "gateway"):
                text = event.text[len(subject) + len(" is ") :]
                return cls(number, event, subject, text, several)
        subject = name or event.subject
        text = event.text.removeprefix(f"{subject or event.source} ")
        text = text.replace(f": {subject or event.source} ", ": ", 1)
        return cls(number, event, subject, text, several)

    @property
    def subject(self) -> str:
        """What it is about."""
        source = self.event.source
        if not self.who or self.who == source:
            return source
        named = self.who.startswith(f"{source}/")
        return f"{source}/{self.who}" if self.several and not named else self.who


def _sign(row: NumberedEvent, _: float) -> Cell:
    sign = SEVERITIES[row.event.severity]
    return Cell.of(f"{sign}".strip().ljust(_SIGN), sign.tone, short=sign.glyph)


COLUMNS: tuple[Column[NumberedEvent], ...] = (
    Column(
        "time",
        "TIME",
        lambda r, now: Cell.of(format_instant(now, r.event.at), "dim"),
        width=8,
        live=True,
    ),
    Column(
        "sign",
        "",
        _sign,
        width=_SIGN,
        least=1,
        comfort=_SIGN,
        sort_key=lambda r, _: r.event.severity.value,
    ),
    Column(
        "subject",
        "SUBJECT",
        lambda r, _: Cell.of(r.subject, "calm"),
        width=18,
        least=10,
        widened=1,
        sort_key=lambda r, _: r.subject.casefold(),
    ),
    Column(
        "text",
        "WHAT HAPPENED",
        lambda r, _: Cell.of(r.text, "calm"),
        width=40,
        least=14,
        comfort=40,
        flex=1,
    ),
    Column(
        "source",
        "SOURCE",
        lambda r, _: Cell.of(r.event.source, "dim"),
        width=10,
        priority=3,
        sort_key=lambda r, _: r.event.source,
    ),
)


class EventPane(TablePane):
    """Events, newest last, at most `KEPT` of them."""

    number = "5"
    heading = "events"

    class Opened(Message):
        """Details of an event are asked for."""

        def __init__(self, event: Event) -> None:
            super().__init__()
            self.event = event

    class SearchRequested(Message):
        """The filter changed; `words` are those that must occur, none where it is cleared."""

        def __init__(self, words: tuple[str, ...]) -> None:
            super().__init__()
            self.words = words

    def __init__(
        self,
        *,
        name_of: Callable[[SandboxId], str] = lambda one: one.native_id,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`name_of` tells what the operator calls a sandbox."""
        super().__init__(id=id, classes=classes)
        self._name_of = name_of
        self._next = self._first = 0
        self._older: tuple[int, ...] = ()
        self._sources: set[str] = set()
        self._counter: KeyedCounter[int, Severity] = KeyedCounter()
        self._table: StreamTable[int, NumberedEvent] = StreamTable(
            COLUMNS,
            key=lambda r: r.number,
            search=_search,
            order=lambda r: r.number,
            empty=lambda: self.hint or "Nothing has happened yet.",
        )

    @property
    def current(self) -> Event | None:
        """The event under the cursor."""
        row = self._table.record()
        return row.event if row else None

    def tables(self) -> Sequence[StreamTable[int, NumberedEvent]]:
        """The one table."""
        return (self._table,)

    def streams(self) -> Sequence[StreamTable[int, NumberedEvent]]:
        """The one table."""
        return (self._table,)

    def show(self, events: Iterable[Event]) -> None:
        """Start anew with these, oldest first, as from the journal."""
        self._table.clear_records()
        self._older = ()
        self._sources = set()
        self._first, self._counter = self._next, KeyedCounter()
        self.apply(events)

    def apply(self, events: Iterable[Event]) -> None:
        """Append events, oldest first."""
        rows = self._numbered(events, self._next)
        self._next += len(rows)
        first_kept = max(self._first, self._next - KEPT)
        gone = range(self._first, first_kept)
        self._first = first_kept
        kept = [row for row in rows if row.number >= first_kept]
        self._table.reconcile(kept, gone)
        for number in gone:
            self._counter.drop(number)
        for row in kept:
            self._counter.put(row.number, row.event.severity)
        self.retitle()

    def show_older(self, events: Sequence[Event]) -> None:
        """Show older events while the filter stands, oldest first; skips those already held."""
        held = [row for row in self._table.records() if row.number >= 0]
        first = min(held, key=lambda row: row.number).event.at if held else float("inf")
        same = [row.event for row in held if row.event.at == first]
        older = [one for one in events if one.at <= first and one not in same]
        rows = self._numbered(older, -len(older))
        gone = set(self._older) - {row.number for row in rows}
        self._older = tuple(row.number for row in rows)
        unseen = self._table.unseen
        self._table.reconcile(rows, gone)
        for number in gone:
            self._counter.drop(number)
        for row in rows:
            self._counter.put(row.number, row.event.severity)
        self._table.unseen = unseen  # They are not new.
        self.retitle()

    def _numbered(self, events: Iterable[Event], first: int) -> list[NumberedEvent]:
        """Events as rows; a second source, which the panel is not, has those there named anew."""
        known, events = len(self._sources), list(events)
        self._sources |= {one.source for one in events if one.source}
        several = len(self._sources) > 1
        if several and known == 1:
            unseen = self._table.unseen
            self._table.reconcile([one._replace(several=True) for one in self._table.records()], ())
            self._table.unseen = unseen
        return [self._row(first + at, one, several) for at, one in enumerate(events)]

    def _row(self, number: int, event: Event, several: bool) -> NumberedEvent:
        subject = SandboxId(event.source, event.subject)
        name = self._name_of(subject) if event.subject else ""
        return NumberedEvent.of(number, event, name, several)

    def on_record_table_filtered(self, event: RecordTable.Filtered) -> None:
        """Request a search of the journal; without a filter its results are removed."""
        super().on_record_table_filtered(event)
        words = tuple(word for word, wanted in terms(event.text) if wanted)
        if not words and self._older:
            self.show_older(())
        self.post_message(self.SearchRequested(words))

    def count_parts(self) -> list[Part]:
        """How many turned worse, how many better, and what the operator did."""
        seen = self._counter.counts
        counts = [(sign, seen[severity]) for severity, sign in SEVERITIES.items() if sign.word]
        return count_summary(counts, 0, self.size.width - 4)

    def on_record_table_highlighted(self, event: RecordTable.Highlighted) -> None:
        """Nothing outside depends on the cursor here."""
        event.stop()

    def on_record_table_opened(self, event: RecordTable.Opened) -> None:
        """Post the pane's own message for it."""
        event.stop()
        row = self._table.record(event.key)
        if row is not None:
            self.post_message(self.Opened(row.event))


def _search(row: NumberedEvent) -> str:
    event = row.event
    return "\n".join(
        (
            SEVERITIES[event.severity].word,
            event.severity.value,
            event.source,
            event.subject,
            row.subject,
            event.kind,
            event.text,
            event.before,
            event.after,
        )
    )
