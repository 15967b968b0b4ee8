"""Every gateway: its state, how fast it answers and how that went lately."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from textual.message import Message

from services.models import Gateway, GatewayId, GatewayState
from services.text.format import age_order, latency, latency_order
from services.text.signs import GATEWAYS
from widgets.panes.sparkline import sparkline
from widgets.panes.table_pane import TablePane, count_summary
from widgets.table.columns import Cell, Column
from widgets.table.record_table import RecordTable
from widgets.text.cell_text import Part
from widgets.text.instants import age_cell

PROBES = 30
"""How many of the last probes are drawn."""
NARROW = 12
_URGENCY = {
    GatewayState.DOWN: 0,
    GatewayState.HUNG: 1,
    GatewayState.WRONG: 2,
    GatewayState.UNKNOWN: 3,
    GatewayState.SETTLING: 4,
    GatewayState.READY: 5,
    GatewayState.ABSENT: 6,
}


class ProbedGateway(NamedTuple):
    """A gateway with the round trips of its last probes, oldest first; None is no answer."""

    gateway: Gateway
    trips: tuple[float | None, ...] = ()


def urgency(state: GatewayState) -> int:
    """The order of states, the most urgent first."""
    return _URGENCY[state]


def _state(row: ProbedGateway, _: float) -> Cell:
    sign = GATEWAYS[row.gateway.state]
    return Cell.of(str(sign), sign.tone)


def _trouble(gateway: Gateway) -> int:
    """Trouble stands above all that serves or is not there; both keep their places."""
    return int(_URGENCY[gateway.state] >= _URGENCY[GatewayState.SETTLING])


def needs_attention(gateway: Gateway) -> bool:
    """Whether somebody should look: it is not known, or in trouble."""
    return not _trouble(gateway)


def _latency(row: ProbedGateway, _: float) -> Cell:
    seconds = row.gateway.latency_s
    return Cell.of(latency(seconds), "dim" if seconds is None else "calm")


def _trend(row: ProbedGateway, _: float) -> Cell:
    if row.gateway.state is GatewayState.READY and all(trip is None for trip in row.trips):
        return Cell.of("", "dim")  # It serves without a round trip to measure.
    return Cell.of(
        sparkline(row.trips, PROBES).blocks, "busy", short=sparkline(row.trips, NARROW).blocks
    )


def _range(row: ProbedGateway, _: float) -> Cell:
    drawn = sparkline(row.trips, PROBES)
    if drawn.low is None or drawn.high is None:
        return Cell.of("–", "dim")
    return Cell.of(f"{drawn.low * 1000:.0f}–{drawn.high * 1000:.0f} ms", "dim")


COLUMNS: tuple[Column[ProbedGateway], ...] = (
    Column(
        "state",
        "STATE",
        _state,
        width=10,
        sort_key=lambda r, _: _URGENCY[r.gateway.state],
        flash=True,
    ),
    Column(
        "name",
        "GATEWAY",
        lambda r, _: Cell.of(r.gateway.name, "calm"),
        width=18,
        least=8,
        widened=2,
        flex=1,
        sort_key=lambda r, _: r.gateway.name.casefold(),
    ),
    Column(
        "reason",
        "WHY",
        lambda r, _: Cell.of(r.gateway.reason, "calm"),
        width=34,
        least=12,
        widened=2,
        flex=4,
        sort_key=lambda r, _: r.gateway.reason.casefold(),
        spills=lambda r: needs_attention(r.gateway),
    ),
    Column(
        "latency",
        "LATENCY",
        _latency,
        width=7,
        priority=1,
        align="right",
        sort_key=lambda r, _: latency_order(r.gateway.latency_s),
    ),
    Column("trend", "LAST PROBES", _trend, width=PROBES, least=NARROW, priority=3),
    Column("range", "MIN–MAX", _range, width=12, priority=4),
    Column(
        "address",
        "ADDRESS",
        lambda r, _: Cell.of(r.gateway.address, "dim"),
        width=26,
        least=18,
        priority=5,
        sort_key=lambda r, _: r.gateway.address,
    ),
    Column(
        "age",
        "AGE",
        lambda r, now: age_cell(now, r.gateway.observed_at, stale=r.gateway.stale),
        width=10,
        least=6,
        align="right",
        sort_key=lambda r, now: age_order(now, r.gateway.observed_at),
        live=True,
    ),
)


class GatewayPane(TablePane):
    """Gateways; it remembers the round trips of what it was shown, a probe each."""

    number = "2"
    heading = "gateways"

    class Highlighted(Message):
        """The cursor is on another gateway, or on none."""

        def __init__(self, gateway: GatewayId | None) -> None:
            super().__init__()
            self.gateway = gateway

    class Opened(Message):
        """Details of a gateway are asked for."""

        def __init__(self, gateway: GatewayId) -> None:
            super().__init__()
            self.gateway = gateway

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._trips: dict[GatewayId, deque[float | None]] = {}
        self._probed: dict[GatewayId, float] = {}
        self._table: RecordTable[GatewayId, ProbedGateway] = RecordTable(
            COLUMNS,
            key=lambda r: r.gateway.id,
            search=_search,
            order=lambda r: (
                _trouble(r.gateway),
                r.gateway.id.source,
                r.gateway.name.casefold(),
                r.gateway.id,
            ),
            stale=lambda r: r.gateway.stale,
            ghost=_gone,
            empty=lambda: self.hint or "No gateway seen yet.",
        )

    @property
    def current(self) -> GatewayId | None:
        """The gateway under the cursor."""
        return self._table.cursor_key

    def record(self, gateway: GatewayId | None = None) -> Gateway | None:
        """A gateway as shown; the one under the cursor by default."""
        row = self._table.record(gateway)
        return row.gateway if row else None

    def select(self, gateway: GatewayId) -> bool:
        """Put the cursor on a gateway; False where it is not shown."""
        return self._table.select(gateway)

    def tables(self) -> Sequence[RecordTable[GatewayId, ProbedGateway]]:
        """The one table."""
        return (self._table,)

    def apply(
        self,
        upserted: Iterable[Gateway],
        removed: Iterable[GatewayId] = (),
        *,
        at: float | None = None,
    ) -> None:
        """Take a delta of the board of `at`; every new instant of observation is one probe."""
        gone = tuple(removed)
        for key in gone:
            self._trips.pop(key, None)
            self._probed.pop(key, None)
        self._table.reconcile([self._probe(gateway) for gateway in upserted], gone, at=at)
        self.retitle()

    def count_parts(self) -> list[Part]:
        """How many are in which state, the most urgent first."""
        rows = [row.gateway for row in self._table.records()]
        seen = Counter(row.state for row in rows if not row.stale)
        counts = [
            (GATEWAYS[state], seen[state]) for state in sorted(seen, key=_URGENCY.__getitem__)
        ]
        return count_summary(counts, sum(row.stale for row in rows), self.size.width - 4)

    def on_record_table_highlighted(self, event: RecordTable.Highlighted) -> None:
        """Post the pane's own message for it."""
        event.stop()
        self.post_message(self.Highlighted(event.key))

    def on_record_table_opened(self, event: RecordTable.Opened) -> None:
        """Post the pane's own message for it."""
        event.stop()
        self.post_message(self.Opened(event.key))

    def _probe(self, gateway: Gateway) -> ProbedGateway:
        trips = self._trips.setdefault(gateway.id, deque(maxlen=PROBES))
        if not gateway.stale and self._probed.get(gateway.id) != gateway.observed_at:
            self._probed[gateway.id] = gateway.observed_at
            trips.append(gateway.latency_s)
        return ProbedGateway(gateway, tuple(trips))


def _gone(row: ProbedGateway, since: str) -> ProbedGateway:
    """What is shown of a gateway that went away while it was selected."""
    gateway = replace(
        row.gateway, state=GatewayState.ABSENT, reason=since, latency_s=None, stale=False
    )
    return row._replace(gateway=gateway)


def _search(row: ProbedGateway) -> str:
    gateway = row.gateway
    return "\n".join(
        (
            gateway.state.value,
            gateway.name,
            str(gateway.id),
            gateway.reason,
            gateway.address,
            "stale" if gateway.stale else "",
        )
    )
