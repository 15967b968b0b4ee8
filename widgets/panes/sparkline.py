"""A sparkline: samples as a row of block characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = "×"


class Sparkline(NamedTuple):
    """A sparkline and the range it stands for."""

    blocks: str
    """One character for each sample, oldest first; `×` where there was no answer."""
    low: float | None
    high: float | None


def sparkline(samples: Sequence[float | None], width: int) -> Sparkline:
    """The newest `width` samples, each as high as its share of the highest.

    Bars stand on zero, so a small wobble of a large value looks small. None and values that are
    not finite are gaps; negative ones count as zero. `low` and `high` are of the samples drawn.
    """
    shown = list(samples)[-width:] if width > 0 else []
    known = [max(0.0, s) for s in shown if s is not None and math.isfinite(s)]
    high = max(known, default=None)
    drawn = "".join(
        _GAP if s is None or not math.isfinite(s) else _bar(max(0.0, s), high or 0.0) for s in shown
    )
    return Sparkline(drawn, min(known, default=None), high)


def _bar(value: float, high: float) -> str:
    if high <= 0:
        return _BLOCKS[0]
    return _BLOCKS[min(len(_BLOCKS) - 1, int(value / high * len(_BLOCKS)))]
