"""The queue calls of an observer without queues."""

from __future__ import annotations

from services.errors import NotFoundError, UnavailableError
from services.models import Direction, QueueSnapshot, SandboxId

NO_QUEUES = "Pods have no queues."


class NoQueues:
    """The queue half of an observer."""

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        raise UnavailableError(NO_QUEUES)

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        raise NotFoundError(NO_QUEUES)
