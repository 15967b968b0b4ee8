"""The embedded world as a configured source."""

from __future__ import annotations

from pathlib import Path

from services.clock import Clock
from services.config.sources import LocalTable
from services.sources.local.actor import LocalActor
from services.sources.local.info import local_info
from services.sources.local.layout import World
from services.sources.local.observer import LocalObserver
from services.sources.local.world import WorldLifecycle
from services.sources.protocol.source import OpenSource


def open_local(key: str, table: LocalTable, clock: Clock, root: Path) -> OpenSource:
    """Open the world of the folder `root`; touches neither disk nor network."""
    world = World(root)
    return OpenSource(
        LocalObserver(local_info(key, table, root), world, clock),
        LocalActor(key, world, clock),
        WorldLifecycle(world),
    )
