"""A shell in the pod that is behind a sandbox when it is opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.errors import NotFoundError, ShellError, WakedeckError
from services.models import Retry, ShellState
from services.sources.pods.kube_shell import PodShell
from services.terminal.transport.base import CloseReason, require_open
from services.terminal.transport.forwarding import ForwardingShell

_GONE = ("the pod was deleted", "the pod was replaced")


class BackingShell(ForwardingShell):
    """One shell; a transport that finds its pod by the sandbox's name."""

    def __init__(self, find: Callable[[], Awaitable[PodShell]], notice: str) -> None:
        """`find` gives a shell that is not open, in the pod of now."""
        super().__init__(notice)
        self._find = find

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
