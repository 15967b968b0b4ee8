"""Input of any size sent up to a command, compared by digest, never all in memory.

There is no deadline for the whole: one that makes no progress is what fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import psutil

from services.models import SandboxId
from services.sources.protocol.actor import Actor
from services.terminal.exec.requests import CollectedOutput, ExecRequest, collect_output

VARIABLE = "WAKEDECK_TRANSFER_MB"
"""How much the tests send up; the soak sends fifty."""
STALLED_S = 60.0
PIECE = 1 << 16


def megabytes(otherwise: float) -> int:
    """Bytes to send: so many megabytes, unless more are asked for."""
    return int(max(float(os.environ.get(VARIABLE, "0")), otherwise) * 1_000_000)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What became of one."""

    done: CollectedOutput
    sent: str
    """The digest of what was sent."""
    seconds: float
    grown: int
    """Most memory this process had beyond what it began with."""

    @property
    def whole(self) -> bool:
        """Whether the far end read each byte and ended well."""
        return (self.done.code, self.done.stdout.split()[:1]) == (0, [self.sent.encode()])


async def send_up(
    actor: Actor,
    sandbox: SandboxId,
    size: int,
    argv: tuple[str, ...] = ("sha256sum",),
    at: Callable[[int], None] = lambda _: None,
) -> Transfer:
    """Send that many bytes to a command; `at` hears how many are on their way."""
    me, digest, began = psutil.Process(), hashlib.sha256(), time.monotonic()
    before = most = me.memory_info().rss
    chance = random.Random(size)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(STALLED_S) as limit:

        async def given() -> AsyncIterator[bytes]:
            nonlocal most
            for start in range(0, size, PIECE):
                data = chance.randbytes(min(PIECE, size - start))
                digest.update(data)
                yield data
                limit.reschedule(loop.time() + STALLED_S)
                most = max(most, me.memory_info().rss)
                at(start + len(data))

        request = ExecRequest(argv, stdin=given())
        done = await collect_output(actor.exec(sandbox, request))
    seconds = time.monotonic() - began
    return Transfer(done, digest.hexdigest(), seconds, most - before)
