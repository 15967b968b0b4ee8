"""Repaints what changed and asks nobody else (upstream/terminal: Partial updates)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import NULL_REGION, Region
from textual.strip import Strip


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
            if lines := _changed_lines(shown, behind):
                yield region, lines, widget.render_lines(lines.translate(-region.offset))
                # Front to back: what lies wholly in this widget shows nothing of those behind it.
                behind = [one for one in behind if not shown.contains_region(one)]
                if not behind:
                    return


def _changed_lines(shown: Region, changed: Iterable[Region]) -> Region:
    """The lines of a widget between its first change and its last, in its whole width."""
    touched = [one for one in changed if one.overlaps(shown)]
    if not touched:
        return NULL_REGION
    top = max(shown.y, min(one.y for one in touched))
    bottom = min(shown.bottom, max(one.bottom for one in touched))
    return Region(shown.x, top, shown.width, bottom - top)
