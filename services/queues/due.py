"""Due, starved and scheduled rows of an inbound file, as the host counts them."""

from __future__ import annotations

from services.lazy_dataclass import dataclass

DUE_PREFETCH = 10
"""As many rows as a runner looks at in one poll (upstream/nanoclaw: Prompt batch)."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What an install's code does with its queue files (upstream/nanoclaw: Generations)."""

    prefetch: int = DUE_PREFETCH
    oldest_first: bool | None = False
    """Which rows a runner takes first; None: not known, so nothing is called starved."""
    dated: bool | None = False
    """Whether `deliver_after` is compared as an instant, and not as text."""


RULES = QueueRules()
"""Those of the oldest code."""


@dataclass(frozen=True, slots=True)
class DueFacts:
    """What the host would find to do."""

    due: int = 0
    """The host's own count, which looks neither at acknowledgements nor at kinds."""
    starved: bool = False
    """A due row has so many others in front that a runner never sees it."""
    order_unknown: bool = False
    """More is due than a runner takes at once, and nothing tells in which order it does."""
    oldest_response: str | None = None
    """Timestamp of the oldest answer that nobody took."""
    newest: str | None = None
    """Timestamp of the newest row."""
    waiting: int = 0
    """Due rows that no runner has answered for yet: what the next sweep wakes for."""
    waiting_since: float | None = None
    """When the oldest of those became due, seconds since the epoch."""
    next_at: float | None = None
    """When the next row falls due."""
    next_tries: int = 0
    """How often that row was reset before."""
