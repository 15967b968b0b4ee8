"""One configured system: its halves, and what else it may bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from services.models import SandboxId, Source
from services.sources.protocol.actor import Actor
from services.sources.protocol.observer import Observer

if TYPE_CHECKING:
    from services.sources.protocol.proposer import Proposer


class Lifecycle(Protocol):
    """Starts and stops what lives as long as the panel: the embedded world."""

    async def enter(self) -> bool:
        """Start it unless it is up. True where it was started.

        Raises:
            UnavailableError: it does not start.
        """

    async def leave(self) -> None:
        """Let go of it; idempotent."""


class DefaultSandbox(Protocol):
    """Says which sandbox is meant where none is named."""

    async def default(self) -> SandboxId | None:
        """The one meant; None where nobody says."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """One configured system, ready to serve."""

    observer: Observer
    actor: Actor
    lifecycle: Lifecycle | None = None
    proposer: Proposer | None = None
    default_sandbox: DefaultSandbox | None = None
    attachment: str = ""
    """What a shell called `AGENT` is attached to, and what ending it does; empty where none is."""

    @property
    def info(self) -> Source:
        """Who this is."""
        return self.observer.info
