"""The panel's engine without a panel."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.clock import Clock
from services.models import Event
from services.sources.protocol.source import OpenSource
from tui.engine import Engine


def engine(
    state: Path,
    sources: Sequence[OpenSource],
    clock: Clock,
    heard: list[Event],
    *,
    intervals: Mapping[str, float] | None = None,
    seed: int = 1,
) -> Engine:
    """One over `sources`, with its journal and locks in `state`; events go to `heard`."""
    return Engine(
        sources,
        clock,
        intervals=intervals or {},
        journal=state / "journal.db",
        locks=state / "locks",
        read_only=False,
        jitter=random.Random(seed),
        on_delta=lambda _: None,
        on_queue=lambda _: None,
        on_attempt=lambda _: None,
        on_events=heard.extend,
    )
