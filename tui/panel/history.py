"""Events from the journal that no pane holds: search results, a record's last day."""

from __future__ import annotations

from collections.abc import Sequence

from services.models import Event, GatewayId, SandboxId
from tui.engine import Engine
from widgets.panes.events import EventPane

DAY_S = 86_400.0
MAX_FOUND = 1000
"""Older events a search brings at most."""
MAX_OF_ONE = 400
"""Events of one record's last day at most."""


class EventHistory:
    """Queries the journal; results are oldest first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def fill(self, pane: EventPane, words: Sequence[str]) -> None:
        """Show in the pane what the journal knows of the words."""
        if words:
            pane.show_older(await self.search(words))

    async def search(self, words: Sequence[str]) -> tuple[Event, ...]:
        """Events that say the longest of the words; the pane judges the others."""
        if not words:
            return ()
        longest = max(words, key=len)
        found = await self._engine.journal.recent(MAX_FOUND, text=longest)
        return found[::-1]

    async def last_day(self, identity: SandboxId | GatewayId) -> tuple[Event, ...]:
        """What happened to one record within the last day, across restarts."""
        since = self._engine.clock.now() - DAY_S
        found = await self._engine.journal.recent(
            MAX_OF_ONE, source=identity.source, subject=identity.native_id, since=since
        )
        return found[::-1]
