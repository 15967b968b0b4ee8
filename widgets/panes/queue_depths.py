"""How many messages stood open in each queue lately, for a small chart of it."""

from __future__ import annotations

from collections import OrderedDict, deque

from services.models import Direction, QueueSnapshot, SandboxId
from widgets.panes.queue_counts import open_count
from widgets.panes.sparkline import spark
from widgets.text.cell_text import Part

SAMPLES = 60
"""Looks that are kept of each sandbox."""
SANDBOXES = 64
"""Sandboxes whose looks are kept: those that were shown last."""
BREAK_S = 10.0
"""After this long without a look there is a gap, not a line, between two."""

_Looks = deque[tuple[int, int] | None]


class QueueDepths:
    """Takes every snapshot that is shown; bounded."""

    def __init__(self) -> None:
        self._looks: OrderedDict[SandboxId, _Looks] = OrderedDict()
        self._seen_at: dict[SandboxId, float] = {}

    def take(self, snapshot: QueueSnapshot) -> None:
        """One more look, unless it is the same one or one that failed."""
        sandbox = snapshot.sandbox
        before = self._seen_at.get(sandbox)
        if snapshot.stale or snapshot.observed_at == before:
            return
        looks = self._looks.setdefault(sandbox, deque(maxlen=SAMPLES))
        self._looks.move_to_end(sandbox)
        if before is not None and snapshot.observed_at - before > BREAK_S:
            looks.append(None)
        looks.append((open_count(snapshot.inbound), open_count(snapshot.outbound)))
        self._seen_at[sandbox] = snapshot.observed_at
        if len(self._looks) > SANDBOXES:
            gone, _ = self._looks.popitem(last=False)
            del self._seen_at[gone]

    def parts(self, sandbox: SandboxId, direction: Direction, width: int) -> list[Part]:
        """The chart with its least and its most; empty while there is nothing to compare."""
        side = 0 if direction is Direction.IN else 1
        looks = self._looks.get(sandbox, ())
        drawn = spark([None if one is None else float(one[side]) for one in looks], width)
        if len(drawn.blocks) < 2 or drawn.low is None or drawn.high is None:
            return []
        return [(f" {drawn.blocks}", "busy"), (f" {drawn.low:.0f}–{drawn.high:.0f}", "dim")]
