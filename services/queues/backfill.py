"""A session whose files have grown long, read for the first time: in strides, each lock short.

One read of a million rows would keep the other side from committing for as long as it takes
(upstream/nanoclaw: Reading safely).
"""

from __future__ import annotations

from pathlib import Path

from services.queues import inbound, outbound
from services.queues.acks import AckTracker, DeliveryTracker
from services.queues.incremental import InboundCounter, read_stride
from services.queues.readonly import off_loop, open_readonly
from services.queues.schema import SchemaCache

LONG_BYTES = 1 << 20
"""A larger file is read in strides the first time."""


async def catch_up_inbound(
    path: Path, shapes: SchemaCache, counter: InboundCounter, acks: AckTracker, now_text: str
) -> None:
    """Read on to the last row.

    Raises:
        QueueFileError: the file cannot be read.
    """
    done = False
    while not done:
        async with open_readonly(path) as db:
            shape = await shapes.of(db, path)
            if not shape.has("messages_in"):
                return
            done = await read_stride(db, shape, counter, now_text, acks)


async def catch_up_special(path: Path, shapes: SchemaCache, acks: AckTracker) -> None:
    """Find the acknowledgements with an unusual word.

    Raises:
        QueueFileError: the file cannot be read.
    """
    async with open_readonly(path) as db:
        await outbound.read_special_acks(db, await shapes.of(db, path), acks)


async def catch_up_acks(
    path: Path, shapes: SchemaCache, counter: InboundCounter, acks: AckTracker
) -> None:
    """Find the acknowledgements of what is open, however old they are.

    Raises:
        QueueFileError: the file cannot be read.
    """
    async with open_readonly(path) as db:
        shape = await shapes.of(db, path)
        await outbound.read_acks_of(db, shape, acks, counter.ids())
    counter.done(one for one in counter.cancelled() if acks.find(one) is not None)


async def catch_up_sent(
    sent: Path, posted: Path, shapes: SchemaCache, deliveries: DeliveryTracker
) -> None:
    """Read on to the last outbound row, settling what was delivered as it goes.

    Raises:
        QueueFileError: a file cannot be read.
    """
    done = False
    while not done:
        async with open_readonly(sent) as db:
            done = await outbound.read_sent_stride(db, await shapes.of(db, sent), deliveries)
        async with open_readonly(posted) as db:
            shape = await shapes.of(db, posted)
            found = await inbound.read_deliveries(db, shape, list(deliveries.waiting))
        await off_loop(len(found), lambda found=found: deliveries.deliver(found))  # type: ignore[misc]
