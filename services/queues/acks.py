"""Acknowledgements and deliveries of a session kept between polls.

Upstream never prunes (upstream/nanoclaw: Nothing is pruned): acknowledgements and deliveries only
grow, and all but the newest are settled for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class AckTracker:
    """The acknowledgements of one session, as far as they matter."""

    newest_row: int = 0
    """Of the finished ones: the number of a claim that went is given out again."""
    claims: tuple[ProcessingClaim, ...] = ()
    """In table order."""
    open: dict[str, Ack] = field(default_factory=dict)
    """Finished ones whose message is not yet known to be synced."""
    special: dict[str, Ack] = field(default_factory=dict)
    """Those with another word than the three usual ones: what it says is never copied."""

    def add_rows(self, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Take in (row number, id, status, changed): every claim, and what is newer than known."""
        claims: list[ProcessingClaim] = []
        for number, message, status, changed in rows:
            self.special.pop(message, None)
            if status == "processing":
                claims.append(ProcessingClaim(message, changed))
                self.open.pop(message, None)
                continue
            self.newest_row = max(self.newest_row, number)
            ack = Ack(message, status, changed)
            if status in KNOWN_ACKS:
                self.open[message] = ack
            else:
                self.open.pop(message, None)
                self.special[message] = ack
        self.claims = tuple(claims)

    def restart(self) -> None:
        """Forget everything: the table is not the one that was read."""
        self.newest_row, self.claims = 0, ()
        self.open.clear()
        self.special.clear()

    def keep(self, messages: Set[str]) -> None:
        """Drop what was said of any other message: it is settled."""
        for gone in [one for one in self.open if one not in messages]:
            del self.open[gone]

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


@dataclass(slots=True)
class DeliveryTracker:
    """The outbound rows of one session: those without an outcome, and the others counted."""

    newest_row: int = 0
    first: int = 0
    """Number of the first row of a long table: another one means that rows were taken away."""
    waiting: dict[str, SentMessage] = field(default_factory=dict)
    settled: Counter[OutLabel] = field(default_factory=Counter)
    dated: bool | None = None
    """Whether the host compares `deliver_after` as an instant, and not as text."""
    failed_at: list[float] = field(default_factory=list)
    """When the newest failed deliveries were given up, in the order they were read."""

    def restart(self, first: int) -> None:
        """Forget everything; the table now begins at row `first`."""
        self.first, self.newest_row = first, 0
        self.waiting.clear()
        self.settled.clear()
        self.failed_at = []

    def add_rows(self, rows: Iterable[tuple[int, str, SentMessage]]) -> None:
        """Take in rows not seen yet."""
        for number, message, sent in rows:
            self.newest_row = max(self.newest_row, number)
            self.waiting[message] = sent

    def deliver(self, deliveries: Mapping[str, Delivery]) -> None:
        """Settle the rows that have an outcome."""
        for message in [m for m in self.waiting if m in deliveries]:
            sent, delivery = self.waiting.pop(message), deliveries[message]
            label = label_sent(sent, delivery, "")
            self.settled[label] += 1
            if label is OutLabel.FAILED and (at := seconds(delivery.at)) is not None:
                self.failed_at = [*self.failed_at, at][-_MOST_FAILED:]

    def counts(self, now_text: str) -> Counter[OutLabel]:
        """Every row by label at an instant."""
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
