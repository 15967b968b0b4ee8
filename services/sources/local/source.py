"""The embedded world as a configured source."""

from __future__ import annotations

from pathlib import Path

from services.clock import Clock
from services.models import Capability, Source
from services.sources import OpenSource
from services.sources.local.actor import LocalActor
from services.sources.local.layout import World
from services.sources.local.observer import LocalObserver
from services.sources.local.world import WorldLifecycle


def open_local(key: str, label: str, root: Path, clock: Clock) -> OpenSource:
    """Open it; touches neither disk nor network."""
    world = World(root)
    info = Source(key, "local", label, str(root), frozenset(Capability))
    return OpenSource(
        LocalObserver(info, world, clock),
        LocalActor(key, world, clock),
        WorldLifecycle(world),
    )
