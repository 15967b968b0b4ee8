"""A NanoClaw install as a configured source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.clock import Clock
from services.models import Capability, Source
from services.sources import OpenSource
from services.sources.nanoclaw.actor import NanoClawActor
from services.sources.nanoclaw.confirmed_actions import NanoClawProposer
from services.sources.nanoclaw.observer import NanoClawObserver

NUDGE_TEXT = "The operator asks: please go on with what is waiting."
NUDGE_SENDER = "cli:local"


def open_nanoclaw(
    key: str,
    label: str,
    root: str,
    clock: Clock,
    *,
    nudge_text: str = "",
    nudge_sender: str = NUDGE_SENDER,
    candidates: Sequence[Path] | None = None,
) -> OpenSource:
    """Open it; touches neither disk nor network.

    An empty `root` means the only install among `candidates`, or in the usual places; an empty
    `nudge_text` the built-in words.
    """
    address = str(Path(root).expanduser()) if root else "found where one usually is"
    info = Source(key, "nanoclaw", label, address, frozenset(Capability))
    observer = NanoClawObserver(
        info,
        root,
        clock,
        nudge_text=nudge_text or NUDGE_TEXT,
        nudge_sender=nudge_sender,
        candidates=candidates,
    )
    return OpenSource(
        observer,
        NanoClawActor(key, root, observer, clock),
        proposer=NanoClawProposer(key, observer, clock),
    )
