"""What is sent of a partial update: the cells that changed, and none to their left.

Textual's own update sends each widget's line from the widget's first cell on.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate


class CroppedUpdate(ChopsUpdate):
    """The spans of an update, cut on both sides."""

    def render_segments(self, console: Console) -> str:
        """The sequences for the terminal."""
        sequences: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                left = max(x, first)
                shown = strip.crop(left - x, min(end, last) - x)
                sequences += (Control.move_to(left, y).segment.text, shown.render(console))
        return "".join(sequences)


def cropped(update: RenderableType | None) -> RenderableType | None:
    """The same, cut where it is partial."""
    if isinstance(update, ChopsUpdate):
        return CroppedUpdate(update.chops, update.spans, update.chop_ends)
    return update
