"""Which pane has the keyboard, which is in sight, and which fills the screen."""

from __future__ import annotations

from textual import events
from textual.screen import Screen
from textual.widget import Widget

from tui.panel.layout import LOWER, NUMBERED, Pane, PaneGrid, regions
from widgets.panes.shells import ShellPane


class PaneScreen(Screen[int]):
    """A screen of panes on a `PaneGrid`, each a widget whose id is its `Pane`."""

    _before = Pane.SANDBOXES
    """The pane that had the keyboard before a shell took it."""
    _left: Pane | None = None
    """The pane that was just left, until the next key is pressed."""
    _acted_on: Pane | None = None
    """That pane while this key is obeyed."""
    _zoomed_from: Pane | None = None
    """Where the keyboard goes back to when a pane zoomed from elsewhere is not any more."""

    def on_key(self, _: events.Key) -> None:
        self._acted_on, self._left = self._left, None

    def leave(self, pane: Pane) -> None:
        """The keyboard comes back from a pane that had every key; the pane stays in sight."""
        grid = self.query_one(PaneGrid)
        if grid.pane_layout.zoomed is pane:
            self._focus_frame(pane)
        else:
            width, height = grid.size
            beside = pane in regions(width, height, self._before, grid.pane_layout.zoomed)
            self.focus_pane(self._before if beside else Pane.SANDBOXES)
        self._left = pane

    def _focus_frame(self, pane: Pane) -> None:
        """Give the keyboard to a pane without its taking every key."""
        widget = self.query_one(f"#{pane.value}")
        if isinstance(widget, ShellPane):
            widget.focus_inside(typing=False)
        else:
            widget.focus()

    def focus_pane(self, pane: Pane) -> None:
        """Give the keyboard to a pane, showing it first where it is not in sight."""
        grid = self.query_one(PaneGrid)
        grid.rearrange(
            lower=pane if pane in LOWER else None, zoomed=pane if grid.pane_layout.zoomed else None
        )
        self.query_one(f"#{pane.value}").focus()

    @property
    def focused_pane(self) -> Pane:
        """The pane that has the keyboard; the sandboxes while none has."""
        for node in self.focused.ancestors_with_self if self.focused else ():
            if isinstance(node, Widget) and node.id in {pane.value for pane in Pane}:
                return Pane(node.id)
        return Pane.SANDBOXES

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        pane = self.focused_pane
        if pane not in (Pane.SHELL, Pane.REPAIR):
            self._before = pane
        grid = self.query_one(PaneGrid)
        grid.rearrange(lower=pane if pane in LOWER else None, zoomed=grid.pane_layout.zoomed)

    def action_pane(self, name: str) -> None:
        """Focus a pane by its number."""
        self.focus_pane(Pane(name))

    def action_cycle(self, step: int) -> None:
        """Focus the next pane."""
        pane = self.focused_pane
        at = NUMBERED.index(pane) if pane in NUMBERED else 0
        self.focus_pane(NUMBERED[(at + step) % len(NUMBERED)])

    def action_zoom(self) -> None:
        """Fill the screen with the pane the operator is in or has just left, or go back."""
        grid = self.query_one(PaneGrid)
        focused = self.focused_pane
        if (zoomed := grid.pane_layout.zoomed) is not None:
            grid.rearrange(zoomed=None)
            if self._zoomed_from is not None and focused is zoomed:
                self.focus_pane(self._zoomed_from)
            self._zoomed_from = None
            return
        pane = self._acted_on or focused
        target = Pane.SANDBOXES if pane is Pane.REPAIR else pane
        grid.rearrange(zoomed=target)
        self._zoomed_from = focused if target is not focused else None
        if self._zoomed_from is not None:
            self._focus_frame(target)
