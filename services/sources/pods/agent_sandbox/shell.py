"""A shell in the pod that is behind a sandbox when it is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.errors import NotFoundError, ShellError, WakedeckError
from services.models import Retry, ShellState
from services.sources.pods.kube_shell import PodShell
from services.terminal.transport.base import CloseReason, require_open

_GONE = ("the pod was deleted", "the pod was replaced")


class BackingShell:
    """One shell; a transport that finds its pod by the sandbox's name."""

    def __init__(self, find: Callable[[], Awaitable[PodShell]], notice: str) -> None:
        """`find` gives a shell that is not open, in the pod of now."""
        self.notice = notice
        self._find = find
        self._inner: PodShell | None = None

    async def open(self, columns: int, lines: int) -> None:
        """Find the pod and open a shell in it.

        Raises:
            ShellError: there is none, or as `PodShell.open`.
        """
        try:
            self._inner = await self._find()
        except ShellError:
            raise
        except WakedeckError as error:
            retry = Retry.NO if isinstance(error, NotFoundError) else Retry.ASK
            raise ShellError(error.sentence, retry=retry, advice=error.advice) from error
        await self._inner.open(columns, lines)

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended; a pod that is gone may have another one after it."""
        got = await require_open(self._inner).read()
        if not isinstance(got, CloseReason) or not got.reason.startswith(_GONE):
            return got
        said = f"{got.reason}; opening again finds the pod its sandbox has then"
        retry = Retry.AUTO if got.state is ShellState.LOST else Retry.ASK
        return replace(got, reason=said, retry=retry)

    async def write(self, data: bytes) -> None:
        """Send input."""
        await require_open(self._inner).write(data)

    async def acknowledge(self) -> bool:
        """Wait for the pong behind what was written."""
        return await require_open(self._inner).acknowledge()

    async def ping(self) -> bool:
        """A pong, and whether the pod is still there."""
        return await require_open(self._inner).ping()

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        if self._inner is not None:
            await self._inner.resize(columns, lines)

    async def close(self) -> None:
        """Drop the connection and hang up the shell."""
        if self._inner is not None:
            await self._inner.close()
