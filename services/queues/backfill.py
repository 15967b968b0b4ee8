"""A session whose files have grown long, read for the first time: in strides, each lock short.

One read of a million rows would keep the other side from committing for as long as it takes
(upstream/nanoclaw: Reading safely).
"""

from __future__ import annotations

from pathlib import Path

from services.queues import inbound, outbound
from services.queues.acks import AckTracker, DeliveryTracker
from services.queues.inbound_counter import InboundCounter
from services.queues.incremental import read_stride
from services.queues.readonly import open_readonly
from services.queues.schema import SchemaCache

LONG_BYTES = 1 << 20
"""A larger file is read in strides the first time."""


def catch_up_inbound(
    path: Path, shapes: SchemaCache, counter: InboundCounter, acks: AckTracker, now_text: str
) -> None:
    """Read on to the last row.

    Raises:
        QueueFileError: the file cannot be read.
    """
    done = False
    while not done:
        with open_readonly(path) as db:
            shape = shapes.of(db)
            if not shape.has("messages_in"):
                return
            done = read_stride(db, shape, counter, now_text, acks)


def catch_up_special(path: Path, shapes: SchemaCache, acks: AckTracker) -> None:
    """Find the acknowledgements with an unusual word.

    Raises:
        QueueFileError: the file cannot be read.
    """
    with open_readonly(path) as db:
        outbound.read_special_acks(db, shapes.of(db), acks)


def catch_up_acks(
    path: Path, shapes: SchemaCache, counter: InboundCounter, acks: AckTracker
) -> None:
    """Find the acknowledgements of what is open, however old they are.

    Raises:
        QueueFileError: the file cannot be read.
    """
    with open_readonly(path) as db:
        shape = shapes.of(db)
        outbound.read_acks_of(db, shape, acks, counter.ids())
    counter.done(one for one in counter.abandoned() if acks.find(one) is not None)


def catch_up_sent(
    sent: Path, posted: Path, shapes: SchemaCache, deliveries: DeliveryTracker
) -> None:
    """Read on to the last outbound row, settling what was delivered as it goes.

    Raises:
        QueueFileError: a file cannot be read.
    """
    done = False
    while not done:
        with open_readonly(sent) as db:
            done = outbound.read_sent_stride(db, shapes.of(db), deliveries)
        with open_readonly(posted) as db:
            shape = shapes.of(db)
            found = inbound.read_deliveries(db, shape, list(deliveries.waiting))
        deliveries.deliver(found)
