"""The sandbox that is meant where none is named: NemoClaw's default.

See upstream/openshell: NemoClaw; upstream/openshell: Reconnect order.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.config.sources import OpenShellTable
from services.models import SandboxId
from services.sources.openshell import nemoclaw_registry
from services.sources.openshell.records import Target


class NemoClawDefault:
    """Reads NemoClaw's register anew each time it is asked."""

    def __init__(self, source: str, table: OpenShellTable) -> None:
        self._source = source
        self._table = table

    async def default(self) -> SandboxId | None:
        """The default sandbox of the gateways that are shown; None where there is none."""
        place = self._table.registry
        listed = await asyncio.to_thread(
            nemoclaw_registry.read, Path(place).expanduser() if place else None
        )
        entry = next((one for one in listed.entries if one.name == listed.default), None)
        wanted = self._table.gateways
        if entry is None or (wanted and entry.gateway not in wanted):
            return None
        return SandboxId(self._source, Target(entry.gateway, entry.name).native)
