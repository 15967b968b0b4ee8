"""Acknowledgements and deliveries of a session kept between polls.

Upstream never prunes (upstream/nanoclaw: Nothing is pruned): acknowledgements and deliveries only
grow, and all but the newest are settled for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import field
from types import MappingProxyType

from services.lazy_dataclass import dataclass
from services.models import OutLabel
from services.queues.labels import KNOWN_ACKS, OutboundFacts, is_deferred, outbound_label
from services.queues.stuck import ProcessingClaim
from services.queues.timestamps import seconds


@dataclass(frozen=True, slots=True)
class Ack:
    """One processing_ack row."""

    message_id: str
    status: str
    changed: str


# Of ten thousand sessions most have nothing here: one empty value for all of them.
_NO_ACKS: Mapping[str, Ack] = MappingProxyType({})


@dataclass(slots=True)
class AckTracker:
    """The acknowledgements of one session, as far as they matter."""

    newest_row: int = 0
    """Of the finished ones: the number of a claim that went is given out again."""
    claims: tuple[ProcessingClaim, ...] = ()
    """In table order."""
    open: Mapping[str, Ack] = field(default_factory=lambda: _NO_ACKS)
    """Finished ones whose message is not yet known to be synced."""
    special: Mapping[str, Ack] = field(default_factory=lambda: _NO_ACKS)
    """Those with another word than the three usual ones: what it says is never copied."""

    def add_rows(self, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Take in (row number, id, status, changed): every claim, and what is newer than known."""
        claims: list[ProcessingClaim] = []
        finished, special = dict(self.open), dict(self.special)
        for number, message, status, changed in rows:
            special.pop(message, None)
            finished.pop(message, None)
            if status == "processing":
                claims.append(ProcessingClaim(message, changed))
                continue
            self.newest_row = max(self.newest_row, number)
            kept = finished if status in KNOWN_ACKS else special
            kept[message] = Ack(message, status, changed)
        self.claims = tuple(claims)
        self.open, self.special = finished or _NO_ACKS, special or _NO_ACKS

    def restart(self) -> None:
        """Forget everything: the table is not the one that was read."""
        self.newest_row, self.claims = 0, ()
        self.open = self.special = _NO_ACKS

    def keep(self, messages: Set[str]) -> None:
        """Drop what was said of any other message: it is settled."""
        if self.open:
            kept = {one: ack for one, ack in self.open.items() if one in messages}
            self.open = kept or _NO_ACKS

    def find(self, message: str) -> Ack | None:
        """The acknowledgement of a message that is not settled."""
        for claim in self.claims:
            if claim.message_id == message:
                return Ack(message, "processing", claim.status_changed)
        return self.open.get(message) or self.special.get(message)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivered row."""

    status: str
    confirmed: bool
    at: str


@dataclass(frozen=True, slots=True)
class SentMessage:
    """What decides the label of a messages_out row, but for its delivery."""

    kind: str
    channel: str
    deliver_after: str | None
    deliver_at: float | None = None
    """What SQLite makes of that, seconds since the epoch; None: no instant."""
    addressed: bool = True


_NONE_WAIT: Mapping[str, SentMessage] = MappingProxyType({})
_NONE_SENT: Mapping[OutLabel, int] = MappingProxyType({})


@dataclass(slots=True)
class DeliveryTracker:
    """The outbound rows of one session: those without an outcome, and the others counted."""

    newest_row: int = 0
    first: int = 0
    """Number of the first row of a long table: another one means that rows were taken away."""
    waiting: Mapping[str, SentMessage] = field(default_factory=lambda: _NONE_WAIT)
    settled: Mapping[OutLabel, int] = field(default_factory=lambda: _NONE_SENT)
    dated: bool | None = None
    """Whether the host compares `deliver_after` as an instant, and not as text."""
    failed_at: tuple[float, ...] = ()
    """When the newest failed deliveries were given up, in the order they were read."""

    def restart(self, first: int) -> None:
        """Forget everything; the table now begins at row `first`."""
        self.first, self.newest_row = first, 0
        self.waiting, self.settled, self.failed_at = _NONE_WAIT, _NONE_SENT, ()

    def add_rows(self, rows: Iterable[tuple[int, str, SentMessage]]) -> None:
        """Take in rows not seen yet."""
        waiting = dict(self.waiting)
        for number, message, sent in rows:
            self.newest_row = max(self.newest_row, number)
            waiting[message] = sent
        self.waiting = waiting or _NONE_WAIT

    def deliver(self, deliveries: Mapping[str, Delivery]) -> None:
        """Settle the rows that have an outcome."""
        settled, waiting = dict(self.settled), dict(self.waiting)
        for message in [m for m in waiting if m in deliveries]:
            sent, delivery = waiting.pop(message), deliveries[message]
            label = label_sent(sent, delivery, "")
            settled[label] = settled.get(label, 0) + 1
            if label is OutLabel.FAILED and (at := seconds(delivery.at)) is not None:
                self.failed_at = (*self.failed_at, at)[-_MOST_FAILED:]
        self.settled, self.waiting = settled or _NONE_SENT, waiting or _NONE_WAIT

    def counts(self, now_text: str) -> Mapping[OutLabel, int]:
        """Every row by label at an instant."""
        if not self.waiting:
            return self.settled
        total = Counter(self.settled)
        for sent in self.waiting.values():
            total[label_sent(sent, None, now_text, dated=self.dated)] += 1
        return total


def label_sent(
    sent: SentMessage, delivery: Delivery | None, now_text: str, *, dated: bool | None = None
) -> OutLabel:
    """The label of an outbound row; `now_text` as `timestamps.sqlite_utc` spells it.

    See upstream/nanoclaw: Generations, for what is meant by `dated`.
    """
    waits = delivery is None and sent.deliver_after is not None
    later = is_deferred(sent.deliver_after, now_text)
    if dated and sent.deliver_at is not None:
        later = sent.deliver_at > (seconds(now_text) or 0.0)
    unreadable = bool(dated) and sent.deliver_at is None
    return outbound_label(
        OutboundFacts(
            kind=sent.kind,
            channel=sent.channel,
            delivery=(delivery.status or "delivered") if delivery else "",
            confirmed=delivery is not None and delivery.confirmed,
            deferred=waits and later,
            addressed=sent.addressed,
            unreadable=waits and unreadable,
        )
    )


_MOST_FAILED = 20


def chunks(ids: Sequence[str], size: int = 500) -> Iterable[list[str]]:
    """Ids in portions one statement takes."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
