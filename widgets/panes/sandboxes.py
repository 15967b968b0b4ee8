"""Every sandbox: its state and why, its queues, and how old that knowledge is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from textual.message import Message
from textual.reactive import reactive

from services.models import (
    Activity,
    Direction,
    GatewayId,
    Sandbox,
    SandboxId,
    SandboxState,
    Staleness,
)
from services.text.format import age_order
from services.text.signs import IDLE, NEEDS_YOU, SANDBOXES, Sign, sandbox_sign
from widgets.panes import queue_counts
from widgets.panes.binding_rows import keys_of
from widgets.panes.table_pane import TablePane, count_summary
from widgets.table.columns import Cell, Column
from widgets.table.counter import KeyedCounter
from widgets.table.record_model import Aside, Overlay
from widgets.table.record_table import RecordTable
from widgets.text.cell_text import Part
from widgets.text.instants import age_cell

_URGENCY = {state: place for place, state in enumerate(SANDBOXES)}


def urgency(sandbox: Sandbox | None) -> tuple[bool, int, bool]:
    """The order of need: what waits for a person, what is broken, what is cut off, the rest."""
    if sandbox is None:
        return True, len(_URGENCY), True
    working = sandbox.activity is Activity.WORKING
    return not sandbox.needs_me, _URGENCY[sandbox.state], not working


def _state(sandbox: Sandbox, _: float) -> Cell:
    sign = sandbox_sign(sandbox)
    return Cell.of(str(sign), sign.tone)


def _why(sandbox: Sandbox, _: float) -> Cell:
    """What is wrong or asked; where nothing is, the tool at work or what the source says."""
    if sandbox.needs_me:
        rest = sandbox.reason.removeprefix(sandbox.needs_me).strip()
        reason = f" · {rest}" if rest else ""
        asked = f"{NEEDS_YOU.glyph} {sandbox.needs_me}"
        return Cell(((asked, NEEDS_YOU.tone), (reason, "calm")))
    if sandbox.reason and sandbox.state is not SandboxState.READY:
        return Cell.of(sandbox.reason, "calm")
    parts: list[Part] = []
    if sandbox.tool and sandbox.state is SandboxState.READY:
        parts.append((sandbox.tool, "busy"))
    elif sandbox.activity is Activity.WORKING and not sandbox.reason:
        parts.append((sandbox.activity.value, "busy"))
    if sandbox.reason:
        parts += [(" · ", "dim")] if parts else []
        parts.append((sandbox.reason, "dim"))
    return Cell(tuple(parts))


def needs_attention(sandbox: Sandbox) -> bool:
    """Whether somebody should look: it waits for a person, or is in trouble."""
    idle_fault = sandbox.state is SandboxState.ASLEEP and not sandbox.asleep_by_design
    return (
        bool(sandbox.needs_me)
        or idle_fault
        or _URGENCY[sandbox.state] <= _URGENCY[SandboxState.UNKNOWN]
    )


def _gateway(sandbox: Sandbox, _: float) -> Cell:
    return Cell.of(sandbox.gateway.native_id if sandbox.gateway else "–", "dim")


_STATE: Column[Sandbox] = Column(
    "state", "STATE", _state, width=10, sort_key=lambda s, _: urgency(s), flash=True
)
_NAME: Column[Sandbox] = Column(
    "name",
    "SANDBOX",
    lambda s, _: Cell.of(s.name, "calm"),
    width=20,
    least=12,
    widened=3,
    flex=1,
    sort_key=lambda s, _: s.name.casefold(),
)
_NAMED: Column[Sandbox] = _NAME._replace(
    render=lambda s, _: Cell.of(f"{s.id.source}/{s.name}", "calm")
)
"""Where two sources have a sandbox of one name, so that no width shows them alike."""
_WHY: Column[Sandbox] = Column(
    "why",
    "WHY",
    _why,
    width=44,
    least=14,
    comfort=24,
    widened=3,
    flex=4,
    sort_key=lambda s, _: (not s.tool, s.tool.casefold(), s.reason.casefold()),
    spills=needs_attention,
)
_IN: Column[Sandbox] = Column(
    "in",
    "IN →",
    lambda s, _: queue_counts.cell(Direction.IN, s.inbound),
    width=28,
    least=8,
    priority=1,
    sort_key=lambda s, _: -queue_counts.open_count(s.inbound),
)
_OUT: Column[Sandbox] = Column(
    "out",
    "OUT ←",
    lambda s, _: queue_counts.cell(Direction.OUT, s.outbound),
    width=22,
    least=5,
    priority=2,
    sort_key=lambda s, _: -queue_counts.open_count(s.outbound),
)
_AGE: Column[Sandbox] = Column(
    "age",
    "AGE",
    lambda s, now: age_cell(now, s.observed_at, stale=s.stale),
    width=11,
    least=6,
    align="right",
    sort_key=lambda s, now: age_order(now, s.observed_at),
    live=True,
)
_SOURCE: Column[Sandbox] = Column(
    "source",
    "SOURCE",
    lambda s, _: Cell.of(s.id.source, "dim"),
    width=14,
    least=10,
    priority=4,
    sort_key=lambda s, _: s.id.source,
)
_GATEWAY: Column[Sandbox] = Column(
    "gateway",
    "GATEWAY",
    _gateway,
    width=16,
    least=10,
    priority=5,
    sort_key=lambda s, _: str(s.gateway or ""),
)
_NOTHING: Mapping[SandboxId, Sandbox] = MappingProxyType({})
ONLY_NEEDING = f'"{NEEDS_YOU.word}"'
"""The filter that shows what needs somebody."""
_ALWAYS = (_STATE, _NAME, _WHY, _IN, _OUT, _AGE)
COLUMNS: tuple[Column[Sandbox], ...] = (*_ALWAYS, _SOURCE, _GATEWAY)
"""Every column; the last two are shown where there are several sources or gateways."""


class _CountKey(NamedTuple):
    """The values by which a sandbox is counted."""

    urgency: tuple[int, bool]
    sign: Sign
    stale: bool
    source: str
    needs: tuple[GatewayId, ...]


def _count_key(sandbox: Sandbox) -> _CountKey:
    """An idle one counts as ready, as everywhere."""
    sign = sandbox_sign(sandbox)
    sign = SANDBOXES[SandboxState.READY] if sign == IDLE else sign
    of = (sandbox.id.source, sandbox.needs)
    return _CountKey(urgency(sandbox)[1:], sign, sandbox.stale, *of)


class SandboxPane(TablePane):
    """The table of all sandboxes with their states and queues."""

    number = "1"
    heading = "sandboxes"

    progress: reactive[str] = reactive("", init=False)
    """What is being done to many of them; empty for nothing."""

    class Highlighted(Message):
        """The cursor is on another sandbox, or on none."""

        def __init__(self, sandbox: SandboxId | None) -> None:
            super().__init__()
            self.sandbox = sandbox

    class Opened(Message):
        """Details of a sandbox are asked for."""

        def __init__(self, sandbox: SandboxId) -> None:
            super().__init__()
            self.sandbox = sandbox

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._counter: KeyedCounter[SandboxId, _CountKey] = KeyedCounter()
        self._staleness = Staleness()
        self._table: RecordTable[SandboxId, Sandbox] = RecordTable(
            _ALWAYS,
            key=lambda s: s.id,
            search=_search,
            order=lambda s: (s.id.source, s.name.casefold(), s.id.native_id),
            aside=_STOCK,
            stale=lambda s: s.stale,
            ghost=_gone,
            empty=lambda: self.hint or "No sandbox seen yet.",
        )

    @property
    def current(self) -> SandboxId | None:
        """The sandbox under the cursor."""
        return self._table.cursor_key

    @property
    def marked(self) -> tuple[SandboxId, ...]:
        """The marked sandboxes that are shown."""
        return self._table.marked

    def record(self, sandbox: SandboxId | None = None) -> Sandbox | None:
        """A sandbox as shown; the one under the cursor by default."""
        return self._table.record(sandbox)

    def select(self, sandbox: SandboxId) -> bool:
        """Put the cursor on a sandbox; False where it is not shown."""
        return self._table.select(sandbox)

    def select_next_needing(self) -> bool:
        """Put the cursor on the next one that needs somebody, by urgency; False for none."""
        rows = (self._table.record(key) for key in self._table.keys)
        needing = [row.id for row in rows if row is not None and needs_attention(row)]
        needing.sort(key=lambda key: urgency(self._table.record(key)))
        if not needing:
            return False
        at = needing.index(self.current) + 1 if self.current in needing else 0
        return self.select(needing[at % len(needing)])

    def toggle_only_needing(self) -> None:
        """Show those that need somebody alone, by urgency, or all in their order again."""
        off = self.filter_text == ONLY_NEEDING
        self.set_filter("" if off else ONLY_NEEDING)
        self._table.sort_by(None if off else "state")

    def tables(self) -> Sequence[RecordTable[SandboxId, Sandbox]]:
        """The one table."""
        return (self._table,)

    def apply(
        self,
        upserted: Iterable[Sandbox],
        removed: Iterable[SandboxId] = (),
        renewed: Mapping[SandboxId, Sandbox] = _NOTHING,
        *,
        staleness: Staleness | None = None,
        at: float | None = None,
    ) -> None:
        """Take a delta of the board of `at`; of the `renewed` only the age is another.

        `staleness` is what makes rows stale that do not say so themselves; None: as before.
        """
        if staleness is not None and staleness != self._staleness:
            self._staleness = staleness
            self._table.set_overlay(Overlay(staleness.shown, self._word) if staleness else None)
            self.retitle()
        self._table.renew(renewed)
        change = self._table.reconcile(upserted, removed, at=at)
        if change.added or change.removed:
            self._show_where_there_are_several()
        for key in change.removed:
            self._counter.drop(key)
        for key in (*change.added, *(key for key, _, _ in change.updated)):
            record = self._table.record(key)
            if record is None or record.stock:
                self._counter.drop(key)
            else:
                self._counter.put(key, _count_key(record))
        if change.added or change.updated or change.removed:
            self.retitle()

    def _word(self, row: Sandbox) -> str:
        """What finds a row because of what it belongs to."""
        return _STALE if self._staleness.holds(row.id.source, row.needs) else ""

    def _show_where_there_are_several(self) -> None:
        """A source or a gateway is named on every row only where that tells rows apart."""
        rows = tuple(self._table.records())
        sources = {(row.name, row.id.source) for row in rows}
        alike = len({name for name, _ in sources}) < len(sources)
        columns = [_NAMED if alike and one is _NAME else one for one in _ALWAYS]
        columns += [_SOURCE] if len({row.id.source for row in rows}) > 1 else []
        columns += [_GATEWAY] if len({row.gateway for row in rows}) > 1 else []
        if tuple(columns) != tuple(self._table.columns):
            self._table.set_columns(tuple(columns))

    def badge_parts(self) -> list[Part]:
        """How far a verb is with many, and what the marks are for."""
        if self.progress:
            cancel = keys_of(self.screen, "repair.cancel")
            hint = f" · {cancel} cancels" if cancel else ""
            return [(f"▸ {self.progress}", "busy"), (hint, "dim")]
        verbs = [
            keys_of(self.screen, f"repair.{verb}")
            for verb in ("wake", "reconnect")
            if self._table.marked
        ]
        return [(f"{' '.join(verbs)} act on them", "dim")] if any(verbs) else []

    def watch_progress(self) -> None:
        """The title says it."""
        self.retitle()

    def count_parts(self) -> list[Part]:
        """How many are in which state, the most urgent first."""
        signs: Counter[Sign] = Counter()
        stale = 0
        for counted, number in sorted(
            self._counter.counts.items(), key=lambda pair: pair[0].urgency
        ):
            if counted.stale or self._staleness.holds(counted.source, counted.needs):
                stale += number
            else:
                signs[counted.sign] += number
        return count_summary(signs.items(), stale, self.size.width - 4)

    def on_record_table_highlighted(self, event: RecordTable.Highlighted) -> None:
        """Post the pane's own message for it."""
        event.stop()
        self.post_message(self.Highlighted(event.key))

    def on_record_table_opened(self, event: RecordTable.Opened) -> None:
        """Post the pane's own message for it."""
        event.stop()
        self.post_message(self.Opened(event.key))


def _gone(sandbox: Sandbox, since: str) -> Sandbox:
    """What is shown of a sandbox that went away while it was selected."""
    return replace(
        sandbox,
        state=SandboxState.ABSENT,
        reason=since,
        activity=Activity.NONE,
        tool="",
        stale=False,
    )


_STALE = "stale"
_STOCK: Aside[Sandbox] = Aside("pool", lambda sandbox: sandbox.stock)
"""Sandboxes that nobody has claimed are shown where they are asked for."""


def _search(sandbox: Sandbox) -> str:
    return "\n".join(
        (
            str(sandbox_sign(sandbox)),
            sandbox.state.value,
            NEEDS_YOU.word if needs_attention(sandbox) else "",
            sandbox.needs_me,
            sandbox.name,
            str(sandbox.id),
            sandbox.tool,
            sandbox.reason,
            str(sandbox.gateway or ""),
            _STALE if sandbox.stale else "",
            _STOCK.word if sandbox.stock else "",
            *sandbox.aliases,
            *(label for label, _ in (*sandbox.inbound, *sandbox.outbound) if label),
        )
    )
