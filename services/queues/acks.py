"""Acknowledgements and deliveries of a session kept between polls.

Upstream never prunes (upstream/nanoclaw: Nothing is pruned): acknowledgements and deliveries only
grow, and all but the newest are settled for good. A file that shrank is read whole again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from services.models import OutLabel
from services.queues.labels import OutboundFacts, is_deferred, outbound_label
from services.queues.stuck import ProcessingClaim


@dataclass(frozen=True, slots=True)
class Ack:
    """One processing_ack row."""

    message_id: str
    status: str
    changed: str


@dataclass(slots=True)
class AckTracker:
    """The acknowledgements of one session."""

    newest_row: int = 0
    """Of the finished ones: the number of a claim that went is given out again."""
    claims: tuple[ProcessingClaim, ...] = ()
    """In table order."""
    open: dict[str, Ack] = field(default_factory=dict)
    """Finished ones whose message is not yet known to be synced."""
    settled: set[str] = field(default_factory=set)

    def reset_if_changed(self, count: int) -> bool:
        """Whether a table of `count` rows has lost some, so that everything is read anew."""
        if count >= len(self.open) + len(self.settled):
            return False
        self.newest_row = 0
        self.open.clear()
        self.settled.clear()
        return True

    def add_rows(self, rows: Iterable[tuple[int, str, str, str]]) -> None:
        """Take in (row number, id, status, changed): every claim, and what is newer than known."""
        claims: list[ProcessingClaim] = []
        for number, message, status, changed in rows:
            if status == "processing":
                claims.append(ProcessingClaim(message, changed))
                self.open.pop(message, None)
                self.settled.discard(message)
                continue
            self.newest_row = max(self.newest_row, number)
            if message not in self.settled:
                self.open[message] = Ack(message, status, changed)
        self.claims = tuple(claims)

    def restart(self) -> None:
        """Forget everything: the table is not the one that was read."""
        self.newest_row, self.claims = 0, ()
        self.open.clear()
        self.settled.clear()

    def keep(self, messages: Set[str]) -> None:
        """Drop what was said of any other message: it is settled."""
        for gone in [one for one in self.open if one not in messages]:
            del self.open[gone]

    def settle(self, message: str) -> None:
        """The host has copied this one, or its message is gone."""
        if self.open.pop(message, None) is not None:
            self.settled.add(message)

    def find(self, message: str) -> Ack | None:
        """The acknowledgement of a message, without its time where it is settled."""
        for claim in self.claims:
            if claim.message_id == message:
                return Ack(message, "processing", claim.status_changed)
        if message in self.settled:
            return Ack(message, "completed", "")
        return self.open.get(message)


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


@dataclass(slots=True)
class DeliveryTracker:
    """The outbound rows of one session: those without an outcome, and the others counted."""

    newest_row: int = 0
    first: int = 0
    """Number of the first row of a long table: another one means that rows were taken away."""
    waiting: dict[str, SentMessage] = field(default_factory=dict)
    settled: Counter[OutLabel] = field(default_factory=Counter)

    def reset_if_changed(self, count: int, newer: int) -> bool:
        """Whether `count` rows, `newer` of them not seen yet, contradict what is remembered."""
        if count == len(self.waiting) + self.settled.total() + newer:
            return False
        self.restart(0)
        return True

    def restart(self, first: int) -> None:
        """Forget everything; the table now begins at row `first`."""
        self.first, self.newest_row = first, 0
        self.waiting.clear()
        self.settled.clear()

    def add_rows(self, rows: Iterable[tuple[int, str, SentMessage]]) -> None:
        """Take in rows not seen yet."""
        for number, message, sent in rows:
            self.newest_row = max(self.newest_row, number)
            self.waiting[message] = sent

    def deliver(self, deliveries: Mapping[str, Delivery]) -> None:
        """Settle the rows that have an outcome."""
        for message in [m for m in self.waiting if m in deliveries]:
            sent, delivery = self.waiting.pop(message), deliveries[message]
            self.settled[label_sent(sent, delivery, "")] += 1

    def counts(self, now_text: str) -> Counter[OutLabel]:
        """Every row by label at an instant."""
        total = Counter(self.settled)
        for sent in self.waiting.values():
            total[label_sent(sent, None, now_text)] += 1
        return total


def label_sent(sent: SentMessage, delivery: Delivery | None, now_text: str) -> OutLabel:
    """The label of an outbound row; `now_text` as `timestamps.sqlite_utc` spells it."""
    return outbound_label(
        OutboundFacts(
            kind=sent.kind,
            channel=sent.channel,
            delivery=(delivery.status or "delivered") if delivery else "",
            confirmed=delivery is not None and delivery.confirmed,
            deferred=delivery is None and is_deferred(sent.deliver_after, now_text),
        )
    )


def chunks(ids: Sequence[str], size: int = 500) -> Iterable[list[str]]:
    """Ids in portions one statement takes."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
