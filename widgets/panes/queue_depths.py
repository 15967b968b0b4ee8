"""How many messages stood open in each queue lately, for a small chart of it."""

from __future__ import annotations

from collections import OrderedDict, deque

from services.models import Direction, QueueSnapshot, SandboxId
from widgets.panes.queue_counts import open_count
from widgets.panes.sparkline import sparkline
from widgets.text.cell_text import Part

SAMPLES = 60
"""Samples kept for each sandbox."""
SANDBOXES = 64
"""Sandboxes whose samples are kept: those shown last."""
BREAK_S = 10.0
"""Seconds without a sample after which the chart has a gap."""

_Samples = deque[tuple[int, int] | None]


class QueueDepths:
    """A bounded history of queue depths by sandbox."""

    def __init__(self) -> None:
        self._samples: OrderedDict[SandboxId, _Samples] = OrderedDict()
        self._seen_at: dict[SandboxId, float] = {}

    def add(self, snapshot: QueueSnapshot) -> None:
        """Add a snapshot, unless it is the same as before or stale."""
        sandbox = snapshot.sandbox
        before = self._seen_at.get(sandbox)
        if snapshot.stale or snapshot.observed_at == before:
            return
        samples = self._samples.setdefault(sandbox, deque(maxlen=SAMPLES))
        self._samples.move_to_end(sandbox)
        if before is not None and snapshot.observed_at - before > BREAK_S:
            samples.append(None)
        samples.append((open_count(snapshot.inbound), open_count(snapshot.outbound)))
        self._seen_at[sandbox] = snapshot.observed_at
        if len(self._samples) > SANDBOXES:
            gone, _ = self._samples.popitem(last=False)
            del self._seen_at[gone]

    def parts(self, sandbox: SandboxId, direction: Direction, width: int) -> list[Part]:
        """The chart with its least and its most; empty while there is nothing to compare."""
        side = 0 if direction is Direction.IN else 1
        samples = self._samples.get(sandbox, ())
        drawn = sparkline([None if one is None else float(one[side]) for one in samples], width)
        if len(drawn.blocks) < 2 or drawn.low is None or drawn.high is None:
            return []
        return [(f" {drawn.blocks}", "busy"), (f" {drawn.low:.0f}–{drawn.high:.0f}", "dim")]
