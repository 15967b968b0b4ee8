"""The shown state of a sandbox: its own, joined with that of its way in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter

from services.models import (
    Activity,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
    Staleness,
    as_stale,
)

CLOSED = (GatewayState.DOWN, GatewayState.HUNG, GatewayState.WRONG, GatewayState.ABSENT)
"""States of a way in through which nothing is reached."""
KEEP_THEIR_WORD = frozenset(
    (SandboxState.ASLEEP, SandboxState.DOWN, SandboxState.BROKEN, SandboxState.ABSENT)
)
"""States that are shown whatever the way in is."""

_OF_A_WAY = attrgetter("name", "state", "reason", "since")


def told_of_way(way: Gateway | None) -> object:
    """All that `shown` reads of a way in."""
    return None if way is None else _OF_A_WAY(way)


def shown(own: Sandbox, gateways: Mapping[GatewayId, Gateway]) -> Sandbox:
    """What is shown of a sandbox whose source says `own`, from the gateways as they stand.

    The first closed way counts; with none closed, one that settles. A way that is not known
    makes the row stale and never cuts it off; that a way is stale is told apart (`Staleness`).
    """
    if not own.needs:
        return own
    closed: Gateway | None = None
    settling: Gateway | None = None
    uncertain = False
    for need in own.needs:
        way = gateways.get(need)
        if way is None or way.state is GatewayState.UNKNOWN:
            uncertain = True
        if way is None:
            continue
        if closed is None and way.state in CLOSED:
            closed = way
        elif settling is None and way.state is GatewayState.SETTLING:
            settling = way
    row = as_stale(own) if uncertain and not own.stale else own
    way = closed or settling
    if way is None:
        return row
    why = way_reason(way)
    if own.state in KEEP_THEIR_WORD:
        known = why in own.reason or (way.reason and way.reason in own.reason)
        return row if known else replace(row, reason=f"{own.reason} {why}".strip())
    state = SandboxState.SETTLING if closed is None else SandboxState.CUT_OFF
    if own.state is state:
        return row if own.reason else replace(row, reason=why)
    if closed is None and own.state is SandboxState.UNKNOWN:
        return row
    return replace(
        row,
        state=state,
        own_state=own.state,
        reason=why,
        activity=Activity.NONE,
        tool="",
        since=way.since,
    )


def way_reason(way: Gateway) -> str:
    """What is wrong with a way in, in a sentence."""
    told = f"{way.name} is {way.state.value}"
    return f"{told}: {way.reason}" if way.reason else f"{told}."


class OwnRows:
    """Sandboxes that need a way in, as their sources say, and what stands behind each way."""

    def __init__(self) -> None:
        self._rows: dict[SandboxId, Sandbox] = {}
        self._behind: dict[GatewayId, dict[SandboxId, None]] = {}
        self._ways: dict[GatewayId, object] = {}
        """What each way in was when what stands behind it was last shown anew."""

    def get(self, key: SandboxId) -> Sandbox | None:
        """What its source says; None where it needs no way in."""
        return self._rows.get(key)

    def behind(self, gateways: Iterable[GatewayId]) -> list[Sandbox]:
        """What needs any of these, each once."""
        keys = {key: None for one in gateways for key in self._behind.get(one, ())}
        return [self._rows[key] for key in keys]

    def behind_changed(
        self, gateways: Iterable[GatewayId], ways: Mapping[GatewayId, Gateway]
    ) -> list[Sandbox]:
        """What needs any of these that is another way now; a latency alone changes nothing."""
        changed = []
        for key in gateways:
            way = ways.get(key)
            now = told_of_way(way)
            if now != self._ways.pop(key, None):
                changed.append(key)
            if now is not None:
                self._ways[key] = now
        return self.behind(changed)

    def keep(self, rows: Iterable[Sandbox], limit: float) -> None:
        """Take what a source says; what was confirmed before `limit` (epoch) is stale."""
        for row in rows:
            if not row.needs and not self._rows:
                continue
            known = self._rows.get(row.id)
            as_before = known is not None and known.needs == row.needs
            if known is not None and not as_before:
                self.forget((row.id,))
            if row.needs:
                old = row.observed_at < limit and not row.stale
                self._rows[row.id] = as_stale(row) if old else row
            if not as_before:
                for need in row.needs:
                    self._behind.setdefault(need, {})[row.id] = None

    def renew(self, rows: Mapping[SandboxId, Sandbox]) -> None:
        """Take later words of what is known, its ways in being the same."""
        self._rows.update(rows)

    def needs_as_known(self, row: Sandbox) -> bool:
        """Whether a row needs the ways in that it is known to need."""
        known = self._rows.get(row.id)
        return known is not None and known.needs == row.needs

    def mark_stale(self, rows: Iterable[Sandbox]) -> None:
        """These are shown as no longer current, and since when they are missing."""
        for row in rows:
            own = self._rows.get(row.id)
            if own is not None:
                self._rows[row.id] = replace(own, stale=True, missing_since=row.missing_since)

    def forget(self, keys: Iterable[SandboxId | GatewayId]) -> None:
        """These are gone."""
        for key in keys:
            own = self._rows.pop(key, None) if isinstance(key, SandboxId) else None
            if own is None:
                continue
            for need in own.needs:
                del self._behind[need][own.id]
                if not self._behind[need]:
                    del self._behind[need]


class StaleParts:
    """Kept as they change; each change says what it turned over."""

    def __init__(self) -> None:
        self.now = Staleness()

    def shown(self, row: Sandbox) -> Sandbox:
        """A sandbox as it is shown now."""
        return self.now.shown(row)

    def set_source(self, key: str, stale: bool) -> frozenset[str | GatewayId]:
        """Nothing current is known of the sandboxes of a source, or again."""
        if (key in self.now.sources) is stale:
            return frozenset()
        self.now = Staleness(self.now.sources ^ {key}, self.now.ways)
        return frozenset({key})

    def set_ways(
        self, rows: Iterable[Gateway], removed: Iterable[GatewayId] = ()
    ) -> frozenset[str | GatewayId]:
        """Ways in are as these rows say."""
        ways = self.now.ways
        stale = {row.id: row.stale for row in rows} | dict.fromkeys(removed, False)
        turned = frozenset(key for key, now in stale.items() if (key in ways) is not now)
        if turned:
            self.now = Staleness(self.now.sources, ways ^ turned)
        return turned


class ShownSandboxes(Mapping[SandboxId, Sandbox]):
    """Sandboxes by id, stale where what they belong to is."""

    def __init__(self, rows: Mapping[SandboxId, Sandbox], staleness: Staleness) -> None:
        self._rows, self._staleness = rows, staleness

    def __getitem__(self, key: SandboxId) -> Sandbox:
        return self._staleness.shown(self._rows[key])

    def __iter__(self) -> Iterator[SandboxId]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
