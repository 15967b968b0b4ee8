"""One happening, one record: a transition is compared with the last record of its subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.lazy_dataclass import dataclass
from services.models import Event

LOOK_S = 6.0
"""What two looks at one happening may be apart, in seconds: the longest a look may take."""
_OBSERVED_KINDS = ("sandbox", "gateway", "source", "needs")
_SAME_INSTANT_S = 0.001
_CLOCKS_S = 1.0
"""A record later than now by more than this was dated by a clock that was set back since."""


@dataclass(frozen=True, slots=True)
class LastRecord:
    """What was recorded last of a subject: its state, and the instants of the evidence."""

    state: str
    at: float
    told_at: float | None = None


def is_transition(event: Event) -> bool:
    """Whether every panel that looks can see it happen; what an operator did is no such thing."""
    return event.kind in _OBSERVED_KINDS and bool(event.before or event.after)


def is_news(event: Event, last: LastRecord | None, now: float) -> bool:
    """Whether a transition still has to be recorded, after what was recorded last.

    It has, where its evidence is newer and its state another; the same state once more only where
    the state between was seen after the last record.
    """
    if last is None:
        return True
    if event.told_at is not None and last.told_at is not None:
        if abs(event.told_at - last.told_at) > _SAME_INSTANT_S:
            return event.told_at > last.told_at
        return event.after != last.state and event.at > last.at
    if last.at <= now + _CLOCKS_S and event.at <= last.at:
        return False
    if event.after != last.state:
        return True
    seen_between = event.before_at
    return seen_between is not None and last.at + LOOK_S < seen_between <= event.at


def not_among(recorded: Iterable[Event], seen: Iterable[Event]) -> list[Event]:
    """The recorded events without those that this panel saw too, each matched once."""
    unmatched = list(seen)
    left = []
    for event in recorded:
        for other in unmatched:
            if _same_happening(event, other):
                unmatched.remove(other)
                break
        else:
            left.append(event)
    return left


def _same_happening(one: Event, other: Event) -> bool:
    if (one.source, one.subject, one.kind, one.after) != (
        other.source,
        other.subject,
        other.kind,
        other.after,
    ):
        return False
    # A system that tells of its past does not tell what was before.
    told = one.told_at is not None or other.told_at is not None
    if one.before != other.before and not (told and not (one.before and other.before)):
        return False
    if is_transition(one):
        return abs(one.at - other.at) <= LOOK_S
    return one.at == other.at and one.text == other.text


class ShownHistory:
    """Which events of sources that tell of their own past were shown: each happening once."""

    def __init__(self) -> None:
        self._past: Sequence[Event] = ()
        self._telling: set[str] = set()
        self._last: dict[tuple[str, str, str], Event] = {}

    def begin(self, past: Sequence[Event]) -> None:
        """What was recorded before and is shown already."""
        self._past = past

    def fresh(self, events: Sequence[Event]) -> list[Event]:
        """Those of the events that were not shown yet, in their order."""
        told = [event for event in events if event.told_at is not None]
        self._telling |= {event.source for event in told}
        if not any(event.source in self._telling for event in events):
            return list(events)
        known = {id(event) for event in told} - {id(one) for one in not_among(told, self._past)}
        return [one for one in events if id(one) not in known and self._is_new(one)]

    def _is_new(self, event: Event) -> bool:
        if event.source not in self._telling or not is_transition(event):
            return True
        key = (event.source, event.subject, event.kind)
        last = self._last.get(key)
        if last is not None and (last.after == event.after or event.at < last.at):
            return False
        self._last[key] = event
        return True
