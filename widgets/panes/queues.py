"""The messages of one sandbox, in and out, merged or apart, as they come."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Notice
from textual.reactive import reactive

from services.models import Direction, Message, QueueSnapshot, SandboxId
from services.text.format import age
from widgets.panes.queue_counts import edge, open_count
from widgets.panes.queue_rows import COLUMNS, MessageKey, SeenMessage, key_of, merge, search_text
from widgets.panes.sparkline import sparkline
from widgets.panes.table_pane import TablePane
from widgets.table.columns import Column
from widgets.table.record_table import RecordTable
from widgets.table.stream_table import KEPT, StreamTable
from widgets.text.cell_text import Part, width_of

_TITLES = {Direction.IN: "→ IN", Direction.OUT: "← OUT"}
_EDGES = ((True, 24), (True, 12), (False, 12), (False, 6), (False, 0))
"""Words or signs alone, and the width of each chart: the first that fits the edge is taken."""
SIDE_BY_SIDE_WIDTH = 120
"""Cells from which the two queues, when apart, stand side by side."""
SAMPLES = 60
"""Samples kept for each sandbox."""
SANDBOXES = 64
"""Sandboxes whose samples are kept: those shown last."""
BREAK_S = 10.0
"""Seconds without a sample after which the chart has a gap."""

_Samples = deque[tuple[int, int] | None]


class QueueDepths:
    """A bounded history of queue depths by sandbox."""

    def __init__(self) -> None:
        self._samples: OrderedDict[SandboxId, _Samples] = OrderedDict()
        self._seen_at: dict[SandboxId, float] = {}

    def add(self, snapshot: QueueSnapshot) -> None:
        """Add a snapshot, unless it is the same as before or stale."""
        sandbox = snapshot.sandbox
        before = self._seen_at.get(sandbox)
        if snapshot.stale or snapshot.observed_at == before:
            return
        samples = self._samples.setdefault(sandbox, deque(maxlen=SAMPLES))
        self._samples.move_to_end(sandbox)
        if before is not None and snapshot.observed_at - before > BREAK_S:
            samples.append(None)
        samples.append((open_count(snapshot.inbound), open_count(snapshot.outbound)))
        self._seen_at[sandbox] = snapshot.observed_at
        if len(self._samples) > SANDBOXES:
            gone, _ = self._samples.popitem(last=False)
            del self._seen_at[gone]

    def parts(self, sandbox: SandboxId, direction: Direction, width: int) -> list[Part]:
        """The chart with its least and its most; empty while there is nothing to compare."""
        side = 0 if direction is Direction.IN else 1
        samples = self._samples.get(sandbox, ())
        drawn = sparkline([None if one is None else float(one[side]) for one in samples], width)
        if len(drawn.blocks) < 2 or drawn.low is None or drawn.high is None:
            return []
        return [(f" {drawn.blocks}", "busy"), (f" {drawn.low:.0f}–{drawn.high:.0f}", "dim")]


class QueuePane(TablePane):
    """One stream of both queues, or one of each; at most `KEPT` rows."""

    DEFAULT_CSS = """
    QueuePane {
        &.-wide > .table-pane--tables { layout: horizontal; }
        #queue-out { display: none; }
        &.-apart #queue-out { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "merge", "Merge or part in and out", id="queue.merge"),
        Binding("left,h", "side(0)", "To the inbound queue", show=False, id="queue.in"),
        Binding("right,l", "side(1)", "To the outbound queue", show=False, id="queue.out"),
    ]
    number = "3"
    heading = "queues"

    apart: reactive[bool] = reactive(False, init=False, toggle_class="-apart")
    """Whether each queue has its own rows."""

    class Opened(Notice):
        """The whole of a message is asked for."""

        def __init__(self, sandbox: SandboxId, message: Message) -> None:
            super().__init__()
            self.sandbox, self.message = sandbox, message

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._snapshot: QueueSnapshot | None = None
        self._sandbox: SandboxId | None = None
        self._name = ""
        self._empty_text = "No sandbox selected."
        self._now = 0.0
        self._in = self._make_table("queue-in")
        self._out = self._make_table("queue-out")
        self._rows: dict[MessageKey, SeenMessage] = {}
        self._depths = QueueDepths()

    @property
    def sandbox(self) -> SandboxId | None:
        """Whose queues are shown."""
        return self._sandbox

    @property
    def current(self) -> Message | None:
        """The message under the cursor."""
        row = self.table.record()
        return row.message if isinstance(row, SeenMessage) else None

    def tables(self) -> Sequence[StreamTable[MessageKey, SeenMessage]]:
        """Both queues, or the inbound one after the merge."""
        return (self._in, self._out)

    def streams(self) -> Sequence[StreamTable[MessageKey, SeenMessage]]:
        """Both queues follow what arrives."""
        return self.tables()

    def show(self, snapshot: QueueSnapshot | None, *, name: str = "", reason: str = "") -> None:
        """Show these queues; None for none, with the `reason` to give for it.

        Another sandbox than before starts anew and follows.
        """
        sandbox = snapshot.sandbox if snapshot else None
        if sandbox != self._sandbox or snapshot is None:
            self._rows.clear()
            for table in self.tables():
                table.clear_records()
        seen_at = self._snapshot.observed_at if self._snapshot else 0.0
        unchanged = snapshot is not None and _same_rows(snapshot, self._snapshot)
        self._sandbox, self._snapshot, self._name = sandbox, snapshot, name
        if snapshot is None:
            self._empty_text = reason or "No sandbox selected."
            self.stale = False
        else:
            self._depths.add(snapshot)
            self._empty_text = "Both queues are empty."
        if snapshot is not None and not unchanged:
            rows, gone = merge(self._rows.values(), snapshot.messages, seen_at, KEPT)
            self._rows = {key_of(row): row for row in rows}
            self._fill_tables(rows, gone)
            self.stale = snapshot.stale
        self._update_problem()
        self.retitle()

    def tick(self, now: float) -> None:
        """Another second."""
        super().tick(now)
        self._now = now
        self._update_problem()

    def subject_parts(self) -> list[Part]:
        """Whose queues they are."""
        name = self._name or (self._sandbox.native_id if self._sandbox else "")
        return [(f" {name}", "wait")] if name else []

    def count_parts(self) -> list[Part]:
        """Every label with its number, as signs alone where words do not fit."""
        if self._snapshot is None:
            return []
        room = self.size.width - 4
        parts: list[Part] = []
        bare_widths = {
            words: _width(self._edge(self._snapshot, words, 0)) for words in (True, False)
        }
        for words, chart in _EDGES:
            # Charts are drawn where there is room for the rest.
            if chart and bare_widths[words] > room:
                continue
            parts = self._edge(self._snapshot, words, chart)
            if _width(parts) <= room:
                break
        return parts

    def _edge(self, snapshot: QueueSnapshot, words: bool, chart: int) -> list[Part]:
        sides = (
            edge(
                way,
                counts,
                words=words,
                chart=self._depths.parts(snapshot.sandbox, way, chart) if chart else [],
            )
            for way, counts in (
                (Direction.IN, snapshot.inbound),
                (Direction.OUT, snapshot.outbound),
            )
        )
        first, second = sides
        return [*first, ("   ", ""), *second]

    def action_merge(self) -> None:
        """Part or merge the queues."""
        self.apart = not self.apart

    def action_side(self, side: int) -> None:
        """Give the keyboard to one of the two."""
        self.tables()[side].focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is one side while they are merged."""
        return self.apart if action == "side" else True

    def watch_apart(self) -> None:
        """Rebuild the tables; a paused cursor stays on its message."""
        following, looked_at = self.following, self.table.cursor_key
        if not self.apart and self._out.has_focus:
            self._in.focus()
        for table, way in zip(self.tables(), Direction, strict=True):
            table.clear_records()
            table.set_columns(_columns(way) if self.apart else COLUMNS)
        self._fill_tables(list(self._rows.values()), [])
        if not following and looked_at is not None:
            for table in self.tables():
                table.pause()
                table.select(looked_at)
        self.refresh_bindings()
        self.retitle()

    def watch_stale(self) -> None:
        """Rows that could not be refreshed are dimmed."""
        super().watch_stale()
        for table in self.tables():
            table.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """Side by side where both have room."""
        self.set_class(event.size.width >= SIDE_BY_SIDE_WIDTH, "-wide")
        super().on_resize(event)

    def on_record_table_highlighted(self, event: RecordTable.Highlighted) -> None:
        """Nothing outside depends on the cursor here."""
        event.stop()

    def on_record_table_opened(self, event: RecordTable.Opened) -> None:
        """Post the pane's own message for it."""
        event.stop()
        row = self._rows.get(event.key)
        if row is not None and self._sandbox is not None:
            self.post_message(self.Opened(self._sandbox, row.message))

    def _make_table(self, id: str) -> StreamTable[MessageKey, SeenMessage]:
        return StreamTable(
            COLUMNS,
            key=key_of,
            search=search_text,
            order=lambda row: row.place,
            stale=lambda row: self.stale or row.seen_at is not None,
            empty=lambda: self.hint or self._empty_text,
            id=id,
        )

    def _fill_tables(self, rows: Sequence[SeenMessage], gone: Sequence[MessageKey]) -> None:
        if not self.apart:
            self._in.reconcile(rows, gone)
            return
        for table, way in zip(self.tables(), Direction, strict=True):
            table.reconcile([r for r in rows if r.message.direction is way], gone)

    def _update_problem(self) -> None:
        snapshot = self._snapshot
        if snapshot is None or not (snapshot.problem or snapshot.stale):
            self.problem = ""
            return
        how_old = age(self._now or snapshot.observed_at, snapshot.observed_at)
        why = snapshot.problem or "not refreshed"
        self.problem = f"{why} · rows as of {how_old} ago"


def _width(parts: Sequence[Part]) -> int:
    return sum(width_of(text) for text, _ in parts)


def _same_rows(now: QueueSnapshot, before: QueueSnapshot | None) -> bool:
    """Whether nothing was read anew: only the instant differs."""
    if before is None or now.sandbox != before.sandbox or now.stale != before.stale:
        return False
    return now.messages is before.messages


def _columns(way: Direction) -> tuple[Column[SeenMessage], ...]:
    """The columns of one queue alone: its name instead of an arrow on every row."""
    first, *rest = (column for column in COLUMNS if column.id != "way")
    return (first._replace(title=_TITLES[way], gap=2), *rest)
