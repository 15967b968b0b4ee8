"""The half of a source that reads: nothing here, or below it, acts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from services.errors import NotFoundError, UnavailableError
from services.models import (
    Direction,
    Facts,
    LogStream,
    Observation,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    Source,
)

if TYPE_CHECKING:
    from services.logs.reader import LogRecord
    from services.sources.protocol.verdict import Verdict


class Observer(Protocol):
    """Reads the state of a source; read-only, bounded and cancellable."""

    @property
    def info(self) -> Source:
        """Who this is and what it can do."""

    async def observe(self) -> Observation:
        """Gateways and sandboxes now.

        Raises:
            UnavailableError: nothing could be learned; the sentence says why.
        """

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        """Counts by label and the newest `window` messages of each direction.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: this source has no queues.
        """

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        """One message's whole content, harmless, bounded at 1 MiB, secrets masked.

        Raises:
            NotFoundError: no such message.
        """

    async def probe(self, sandbox: SandboxId) -> Verdict:
        """Judge one sandbox now; a failure to look is an unknown verdict, not an exception."""

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        """What its log can be read from, the usual one first; empty where there is but one.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: nothing can be said just now.
        """

    def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        """Bounded records, oldest first, then as they come. No `stream`: the usual one.

        `since` is the instant of the last record told before, where one had an instant: what was
        written then may come again.

        Raises:
            LogEndedError: that was all, and no more can come.
            NotFoundError: no such sandbox or stream here.
            UnavailableError: there is no log, or it was lost; asking again may help.
        """

    async def close(self) -> None:
        """Release connections and caches; idempotent."""


@runtime_checkable
class NameFinder(Protocol):
    """An observer that can be asked for one sandbox by its name, without a list."""

    async def find(self, name: str) -> Sandbox | None:
        """The one of this name or native id; None where the system says that there is none.

        Raises:
            UnavailableError: that could not be learned.
        """


@runtime_checkable
class AsksToSignIn(Protocol):
    """An observer that shows a row to sign in on, instead of failing as a whole."""

    @property
    def signed_out(self) -> bool:
        """Whether the last look was refused for want of a credential."""


@runtime_checkable
class LongLists(Protocol):
    """An observer whose list can take longer than a poll: what came is shown meanwhile."""

    async def more(self) -> str:
        """Return when more of a list came: how far it is, empty where none is under way."""


@runtime_checkable
class Listens(Protocol):
    """An observer that hears when something changed, between two polls."""

    async def news(self) -> None:
        """Return when there is reason to poll before it is due; read-only."""


@runtime_checkable
class Describes(Protocol):
    """An observer that can tell more of a sandbox than its row, where somebody wants to read it."""

    async def describe(self, sandbox: SandboxId) -> Facts:
        """More facts, asked for now and bounded; none where there is no more to tell.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: that could not be learned.
        """


class NoQueues:
    """The queue calls of an observer whose sandboxes have no queues."""

    def __init__(self, reason: str) -> None:
        """`reason` is a sentence."""
        self._no_queues = reason

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        raise UnavailableError(self._no_queues)

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        raise NotFoundError(self._no_queues)
