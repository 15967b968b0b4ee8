"""Draws and sends what is seen and has changed (upstream/terminal: Partial updates)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip

NEAR = 3
"""So many lines between two that are drawn cost less than asking their widget twice."""


class ChangedCompositor(Compositor):
    """Textual's own, but it draws only lines of which something is seen and has to be drawn.

    Textual 8 has each widget in the box around every change render all its lines, also those that
    lie behind others: an age in the header and one in the last pane make that the whole screen.
    """

    _changed: tuple[Region, ...] = ()

    def render_partial_update(self) -> ChopsUpdate | None:
        """As Textual does; the regions are kept for `_get_renders`."""
        self._changed = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = ()

    def _get_renders(
        self, crop: Region | None = None
    ) -> Iterable[tuple[Region, Region, list[Strip]]]:
        screen = self.size.region
        # Of each line the cells still to be drawn, one bit for each column.
        wanted = [0] * screen.height
        for one in self._changed or (crop or screen,):
            seen = one.intersection(screen)
            for y in seen.line_range:
                wanted[y] |= _bits(seen)
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip).intersection(screen)
            cells = _bits(shown)
            lines = [y for y in shown.line_range if wanted[y] & cells]
            for part in _together(shown, lines):
                yield region, part, widget.render_lines(part.translate(-region.offset))
            for y in lines:  # Front to back: those behind it show nothing here.
                wanted[y] &= ~cells


def _bits(region: Region) -> int:
    return ((1 << region.width) - 1) << region.x


def _together(shown: Region, lines: Sequence[int]) -> Iterator[Region]:
    """These lines of a widget in its whole width; near ones in one piece."""
    first = last = lines[0] if lines else 0
    for y in lines:
        if y > last + NEAR:
            yield Region(shown.x, first, shown.width, last + 1 - first)
            first = y
        last = y
    if lines:
        yield Region(shown.x, first, shown.width, last + 1 - first)


class CroppedUpdate(ChopsUpdate):
    """The spans of an update, cut on both sides.

    Textual's own sends each widget's line from the widget's first cell on.
    """

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
