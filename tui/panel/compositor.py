"""Repaints what changed and asks nobody else (upstream/terminal: Partial updates)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip

NEAR = 3
"""So many lines between two changes cost less than asking their widget twice."""


class ChangedCompositor(Compositor):
    """Textual's own, but for a partial update it renders the changed lines of changed widgets.

    Textual 8 takes the box around every change and has each widget in it render all its lines: an
    age in the header and one in the last pane make that the whole screen, and what lies behind.
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
        if not self._changed:
            yield from super()._get_renders(crop)
            return
        behind: Sequence[Region] = self._changed
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            touched = [one for one in behind if one.overlaps(shown)]
            for lines in _changed_lines(shown, touched):
                yield region, lines, widget.render_lines(lines.translate(-region.offset))
            if touched:
                # Front to back: what lies wholly in this widget shows nothing of those behind it.
                behind = [one for one in behind if not shown.contains_region(one)]
                if not behind:
                    return


def _changed_lines(shown: Region, touched: Iterable[Region]) -> Iterator[Region]:
    """The lines of a widget that changed, in its whole width; near ones together."""
    spans = sorted((max(shown.y, one.y), min(shown.bottom, one.bottom)) for one in touched)
    top = bottom = spans[0][0] if spans else shown.y
    for first, last in spans:
        if first > bottom + NEAR:
            yield Region(shown.x, top, shown.width, bottom - top)
            top = first
        bottom = max(bottom, last)
    if bottom > top:
        yield Region(shown.x, top, shown.width, bottom - top)
