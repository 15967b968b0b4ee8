"""Which pane has the keyboard, which is in sight, and which fills the screen."""

from __future__ import annotations

from textual import events
from textual.screen import Screen
from textual.widget import Widget

from tui.panel.compositor import ChangedCompositor
from tui.panel.layout import LOWER, NUMBERED, Pane, PaneGrid
from widgets.panes.shells import ShellPane


class PaneScreen(Screen[int]):
    """A screen of panes on a `PaneGrid`, each a widget whose id is its `Pane`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._compositor = ChangedCompositor()
        self._resumed = False

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """The first time, every widget has just been given its styles."""
        event.refresh_styles = event.refresh_styles and self._resumed
        self._resumed = True

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
        """Fill the screen with the pane the operator is in, or go back."""
        grid = self.query_one(PaneGrid)
        pane = self.focused_pane
        target = Pane.SANDBOXES if pane is Pane.REPAIR else pane
        grid.rearrange(zoomed=None if grid.pane_layout.zoomed is not None else target)
        if target is not pane:
            self._focus_frame(target)
