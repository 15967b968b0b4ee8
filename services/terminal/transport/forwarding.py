"""What a transport hands on to another one that is made only when it is opened."""

from __future__ import annotations

from services.terminal.transport.base import Transport, require_open


class ForwardingShell:
    """Input, pings and sizes go to the inner shell; opening, reading and more are its owner's."""

    def __init__(self, notice: str) -> None:
        self.notice = notice
        self._inner: Transport | None = None

    async def write(self, data: bytes) -> None:
        """Send input; nothing once the connection is gone."""
        await require_open(self._inner).write(data)

    async def acknowledge(self) -> bool:
        """Wait for the pong behind what was written."""
        return await require_open(self._inner).acknowledge()

    async def ping(self) -> bool:
        """A pong, and whether what is behind it is still there, where that can be told."""
        return await require_open(self._inner).ping()

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        if self._inner is not None:
            await self._inner.resize(columns, lines)

    async def close(self) -> None:
        """Drop the connection."""
        if self._inner is not None:
            await self._inner.close()
