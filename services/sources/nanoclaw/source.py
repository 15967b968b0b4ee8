"""A NanoClaw install as a configured source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.clock import Clock
from services.config.sources import NanoClawTable
from services.models import Capability, Source
from services.sources.nanoclaw.actor import NanoClawActor
from services.sources.nanoclaw.confirmed_actions import NanoClawProposer
from services.sources.nanoclaw.observer import NanoClawObserver
from services.sources.protocol.source import OpenSource

NUDGE_TEXT = "The operator asks: please go on with what is waiting."


def open_nanoclaw(
    key: str,
    table: NanoClawTable,
    clock: Clock,
    *,
    candidates: Sequence[Path] | None = None,
) -> OpenSource:
    """Open it; touches neither disk nor network.

    Without a root it is the only install among `candidates`, or in the usual places.
    """
    root = table.root
    address = str(Path(root).expanduser()) if root else "found where one usually is"
    info = Source(key, "nanoclaw", table.label, address, frozenset(Capability))
    observer = NanoClawObserver(
        info,
        root,
        clock,
        nudge_text=table.nudge_text or NUDGE_TEXT,
        nudge_sender=table.nudge_sender,
        candidates=candidates,
    )
    return OpenSource(
        observer,
        NanoClawActor(key, root, observer, clock),
        proposer=NanoClawProposer(key, observer, clock),
    )
