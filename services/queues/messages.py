"""Rows of both files as messages, in one order (upstream/nanoclaw: Order of messages)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from services.lazy_dataclass import dataclass
from services.models import Direction, InLabel, Message, OutLabel
from services.queues.acks import AckTracker, Delivery, label_sent
from services.queues.inbound import InboundRow, label_row
from services.queues.labels import ECHO, KNOWN_ACKS
from services.queues.outbound import OutboundRow
from services.queues.preview import preview
from services.queues.timestamps import seconds
from services.text.sanitize import sanitize

_ID = 200
_NAME = 60


@dataclass(frozen=True, slots=True)
class Page:
    """What one poll read for the page; rows newest first."""

    inbound: Sequence[InboundRow]
    outbound: Sequence[OutboundRow]
    acks: AckTracker
    deliveries: Mapping[str, Delivery]
    abandoned: frozenset[str]
    dated: bool | None = None


def sanitize_id(message: str) -> str:
    """A message id as it may be shown, and asked for again."""
    return sanitize(message, _ID)


def merge_pages(page: Page, now_text: str, *, alive: bool | None) -> tuple[Message, ...]:
    """Both directions, newest last: by time, then inbound first, then by number.

    An outbound stamp has whole seconds: a reply of the same second follows what it answers.
    """
    posted = {row.id: seconds(row.timestamp) for row in page.inbound}
    entries: list[tuple[float, int, float, int, Message]] = []
    last = -math.inf
    for order, row in enumerate(reversed(page.inbound)):
        at = posted[row.id]
        last = at if at is not None else last
        entries.append((last, 0, _number(row.seq), order, _received(row, page, alive)))
    last = -math.inf
    for order, sent in enumerate(reversed(page.outbound)):
        at = seconds(sent.timestamp)
        last = at if at is not None else last
        asked = posted.get(sent.reply_to or "")
        answers = asked is not None and 0 <= asked - last < 1
        when = asked if answers and asked is not None else last
        entries.append((when, 1, _number(sent.seq), order, _sent(sent, page, now_text)))
    entries.sort(key=lambda entry: entry[:4])
    return tuple(entry[4] for entry in entries)


def _number(seq: int | None) -> float:
    return math.inf if seq is None else seq


def _received(row: InboundRow, page: Page, alive: bool | None) -> Message:
    ack = page.acks.find(row.id)
    label = label_row(
        row.facts, ack.status if ack else "", alive, abandoned=row.id in page.abandoned
    )
    claimed = label in (InLabel.PROCESSING, InLabel.ORPHAN, InLabel.UNSYNCED)
    waits = label in (InLabel.SCHEDULED, InLabel.BACKOFF)
    note = ""
    if label is InLabel.UNKNOWN_STATUS:
        note = sanitize(row.status, _NAME)
    elif ack is not None and ack.status not in KNOWN_ACKS:
        note = sanitize(ack.status, _NAME)
    elif label is InLabel.CONTEXT and row.channel == ECHO:
        note = "echo of another session"
    return Message(
        direction=Direction.IN,
        id=sanitize_id(row.id),
        seq=row.seq,
        label=label,
        kind=sanitize(row.kind, _NAME),
        at=seconds(row.timestamp),
        text=preview(row.head, row.size),
        size=row.size,
        channel=sanitize(row.channel, _NAME),
        tries=row.tries,
        due_at=row.due_at if waits else None,
        since=seconds(ack.changed) if ack and claimed else None,
        note=note,
    )


def _sent(row: OutboundRow, page: Page, now_text: str) -> Message:
    delivery = page.deliveries.get(row.id)
    label = label_sent(row.sent, delivery, now_text, dated=page.dated)
    return Message(
        direction=Direction.OUT,
        id=sanitize_id(row.id),
        seq=row.seq,
        label=label,
        kind=sanitize(row.kind, _NAME),
        at=seconds(row.timestamp),
        text=preview(row.head, row.size),
        size=row.size,
        channel=sanitize(row.channel, _NAME),
        reply_to=None if row.reply_to is None else sanitize_id(row.reply_to),
        due_at=seconds(row.deliver_after) if label is OutLabel.DEFERRED else None,
        since=seconds(delivery.at) if delivery else None,
        note=sanitize(delivery.status, _NAME)
        if delivery and label is OutLabel.UNKNOWN_STATUS
        else "",
    )
