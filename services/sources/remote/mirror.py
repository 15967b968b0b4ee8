"""The rows of a far side as they were last told, in this panel's names and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from services.clock import Clock
from services.models import (
    Capability,
    Event,
    Gateway,
    GatewayId,
    Sandbox,
    SandboxId,
    Unknown,
    UnknownWord,
    seen_again,
)
from services.text.redact import redact_line
from services.wire.incoming import MOST_FACTS, Incoming, capabilities, is_id, number
from services.wire.messages import Delta, Hello, SourceInfo

R = TypeVar("R", Gateway, Sandbox)
MOST_ROWS = 20_000
"""Rows of one far side; what is beyond is left out, and said."""
MOST_SOURCES = 64
MOST_EVENTS = 1000
KEPT_DELETED = 1000
_ACTS = (Capability.WAKE, Capability.RECONNECT, Capability.SHELL, Capability.EXEC)


@dataclass
class FarSource:
    """One source of the far side."""

    info: SourceInfo
    incoming: Incoming
    missing: tuple[tuple[Capability, str], ...]
    gateways: dict[str, Gateway] = field(default_factory=dict)
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    seq: int = 0
    complete: bool = False
    """Whether the whole picture was told on this link."""
    broken: bool = False
    """A delta was missed: nothing is taken before the next whole picture."""
    at: float | None = None
    renewed_at: float = 0.0
    followers: set[str] = field(default_factory=set)
    """Ids of sandboxes whose age is that of `at`."""
    problem: str = ""
    unknown: tuple[tuple[str, str], ...] = ()
    left_out: int = 0
    """Rows with ids that cannot be shown, or beyond the bound."""
    listed: set[str] = field(default_factory=set)
    """Ids of the whole picture that is being told: `g` or `s` and the id."""
    filling: bool = False


class Mirror:
    """Takes deltas in; gives rows. `way` is the row of the link, which everything here needs."""

    def __init__(self, near: str, way: GatewayId, clock: Clock, only: Iterable[str] = ()) -> None:
        self.far: dict[str, FarSource] = {}
        self._near = near
        self._way = way
        self._clock = clock
        self._only = frozenset(only)
        self._offset_s = 0.0
        self._doubts: list[float] = []
        self._deleted: dict[GatewayId | SandboxId, None] = {}
        self._events: list[Event] = []

    @property
    def offset_s(self) -> float:
        """This machine's clock less the far side's; 0 where they agree within half a second."""
        return self._offset_s

    @property
    def complete(self) -> bool:
        """Whether every source was told whole, or said why it cannot be."""
        return all(one.complete for one in self.far.values())

    def begin(self, hello: Hello) -> None:
        """A new link: rows of before stay, as they were, until its sources are told whole."""
        before = self.far
        self._doubts = []
        self._offset_s = 0.0
        self._set_offset(self._clock.now() - (number(hello.now) or self._clock.now()))
        self.far = {}
        for info in hello.sources[:MOST_SOURCES]:
            if (
                not is_id(info.key)
                or "/" in info.key
                or (self._only and info.key not in self._only)
            ):
                continue
            label = redact_line(info.label or info.key, 60)
            missing = capabilities(info.capabilities, info.unavailable, label)
            if hello.read_only:
                why = "It is served read-only there"
                missing |= {one: missing.get(one, why) for one in _ACTS}
            found = FarSource(
                info, Incoming(self._near, info.key, self._offset_s), tuple(missing.items())
            )
            if (old := before.get(info.key)) is not None:
                found.gateways, found.sandboxes = old.gateways, old.sandboxes
            self.far[info.key] = found
        for key, old in before.items():
            if key not in self.far:
                self._delete(row.id for row in old.gateways.values())
                self._delete(row.id for row in old.sandboxes.values())

    def lost(self) -> None:
        """The link is gone: nothing here is current any more."""
        for one in self.far.values():
            one.gateways = {k: _stale(row) for k, row in one.gateways.items()}
            one.sandboxes = {k: _stale(row) for k, row in one.sandboxes.items()}
            one.followers.clear()
            one.complete = False

    def take(self, delta: Delta) -> bool:
        """Take a delta in; False where one before it is missing: the whole has to be told again."""
        far = self.far.get(delta.source)
        if far is None:
            return True
        # Parts of one telling come late together: they are one look at the clock.
        if not delta.more and self._note_clock(delta.now):
            for one in self.far.values():
                one.incoming.offset_s = self._offset_s
                one.broken = True
        if delta.full:
            far.broken, far.filling, far.listed, far.left_out = False, True, set(), 0
        elif delta.seq != far.seq + 1:
            far.broken = True
        far.seq = delta.seq
        if far.broken:
            return False
        at = number(delta.at)
        far.at = far.at if at is None else at
        self._rows(far, delta)
        self._remove(far, delta)
        if delta.link is not None:
            far.problem = redact_line(delta.link.problem)
        if delta.unknown is not None:
            far.unknown = tuple((one, redact_line(why)) for one, why in delta.unknown[:200])
        for place, word in delta.words[: max(0, MOST_FACTS - len(far.incoming.words))]:
            word_of_far = UnknownWord(self._near, redact_line(place, 60), redact_line(word, 60))
            far.incoming.words.append(word_of_far)
        self.happened(
            event for row in delta.events if (event := far.incoming.event(row)) is not None
        )
        if not delta.more:
            far.complete = True
            if far.filling:
                self._forget_unlisted(far)
        return True

    def happened(self, events: Iterable[Event]) -> None:
        """Keep events for the next look; beyond the bound the oldest go."""
        self._events = [*self._events, *events][-MOST_EVENTS:]

    def take_events(self) -> tuple[Event, ...]:
        """What happened there since it was last asked."""
        taken, self._events = tuple(self._events), []
        return taken

    def take_words(self) -> tuple[UnknownWord, ...]:
        """Words nobody here knows, since it was last asked."""
        words = [word for one in self.far.values() for word in one.incoming.words]
        for one in self.far.values():
            one.incoming.words = []
        return tuple(dict.fromkeys(words))

    @property
    def deleted(self) -> frozenset[GatewayId | SandboxId]:
        """What the far side lately told to be gone."""
        return frozenset(self._deleted)

    @property
    def interval_s(self) -> float:
        """The longest time from look to look of its sources."""
        waits = (number(one.info.interval_s) or 0.0 for one in self.far.values())
        return min(max(waits, default=0.0), 600.0)

    def gateways(self) -> Iterator[Gateway]:
        """Every gateway of the far side."""
        for one in self.far.values():
            yield from one.gateways.values()

    def sandboxes(self, renew_s: float) -> Iterator[Sandbox]:
        """Every sandbox; ages are renewed once they are this old, so that the rest stays as is."""
        for one in self.far.values():
            if one.at is not None and one.at - one.renewed_at >= renew_s:
                now_at = one.at + self._offset_s
                for key in one.followers:
                    one.sandboxes[key] = seen_again(one.sandboxes[key], now_at)
                one.gateways = {
                    key: row if row.stale else replace(row, observed_at=now_at)
                    for key, row in one.gateways.items()
                }
                one.renewed_at = one.at
            yield from one.sandboxes.values()

    def unknown(self) -> Iterator[tuple[GatewayId | None, Unknown[Sandbox]]]:
        """Lists of the far side that could not be had."""
        for key, one in self.far.items():
            if one.problem:
                yield None, Unknown(f"{key}: {one.problem}")
            elif not one.complete:
                yield None, Unknown(f"{key} has not been told yet.")
            if one.left_out:
                yield None, Unknown(f"{key}: {one.left_out} rows cannot be shown.")
            for gateway, why in one.unknown:
                known = is_id(gateway)
                yield one.incoming.gateway_id(gateway) if known else None, Unknown(f"{key}: {why}")

    def split(self, sandbox: SandboxId) -> tuple[FarSource, str] | None:
        """The far source and the id there of a sandbox; None where there is no such source."""
        key, _, native = sandbox.native_id.partition("/")
        far = self.far.get(key)
        return None if far is None or not native else (far, native)

    def _rows(self, far: FarSource, delta: Delta) -> None:
        at = far.at if far.at is not None else delta.now
        for gateway in delta.gateways:
            if self._admits(far, "g", gateway.id, far.gateways):
                far.gateways[gateway.id] = far.incoming.gateway(gateway, at)
        for sandbox in delta.sandboxes:
            if not self._admits(far, "s", sandbox.id, far.sandboxes):
                continue
            row = far.incoming.sandbox(sandbox, at, far.missing, self._way)
            far.sandboxes[sandbox.id] = row
            self._deleted.pop(row.id, None)
            if row.stale or sandbox.observed_at is not None:
                far.followers.discard(sandbox.id)
            else:
                far.followers.add(sandbox.id)

    def _admits(
        self, far: FarSource, kind: str, id: str, there: dict[str, Gateway] | dict[str, Sandbox]
    ) -> bool:
        total = sum(len(one.gateways) + len(one.sandboxes) for one in self.far.values())
        if not is_id(id) or (id not in there and total >= MOST_ROWS):
            far.left_out += 1
            return False
        if far.filling:
            far.listed.add(kind + id)
        return True

    def _remove(self, far: FarSource, delta: Delta) -> None:
        for one in delta.removed.gateways:
            if (gateway := far.gateways.pop(one, None)) is not None:
                self._delete((gateway.id,))
        for one in delta.removed.sandboxes:
            far.followers.discard(one)
            if (sandbox := far.sandboxes.pop(one, None)) is not None:
                self._delete((sandbox.id,))

    def _forget_unlisted(self, far: FarSource) -> None:
        gateways = [key for key in far.gateways if f"g{key}" not in far.listed]
        sandboxes = [key for key in far.sandboxes if f"s{key}" not in far.listed]
        self._delete(far.gateways.pop(key).id for key in gateways)
        self._delete(far.sandboxes.pop(key).id for key in sandboxes)
        far.followers.difference_update(sandboxes)
        far.filling, far.listed = False, set()

    def _delete(self, ids: Iterable[GatewayId | SandboxId]) -> None:
        for one in ids:
            self._deleted[one] = None
        while len(self._deleted) > KEPT_DELETED:
            del self._deleted[next(iter(self._deleted))]

    def _note_clock(self, theirs: float) -> bool:
        """Take a look at the far clock; whether our idea of it changed.

        What arrives late makes the far clock look behind and never ahead: that is believed at
        once, a clock further behind only after three deltas.
        """
        known = number(theirs)
        if known is None:
            return False
        seen = self._clock.now() - known
        if seen > self._offset_s + 0.5:
            self._doubts.append(seen)
            if len(self._doubts) < 3:
                return False
            seen = min(self._doubts)
        elif seen > self._offset_s - 0.5:
            self._doubts = []
            return False
        self._doubts = []
        return self._set_offset(seen)

    def _set_offset(self, seen: float) -> bool:
        wanted = 0.0 if abs(seen) < 0.5 else seen
        changed = wanted != self._offset_s
        self._offset_s = wanted
        return changed


def _stale(row: R) -> R:
    return row if row.stale else replace(row, stale=True)
