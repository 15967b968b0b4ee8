"""Mouse handling of a terminal: reported to the program if it asked, else selection and links."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.timer import Timer

from services.terminal.cells import MouseMode
from widgets.terminal.canvas import TerminalCanvas
from widgets.terminal.keys import encode
from widgets.terminal.links import link_at
from widgets.terminal.mouse import MouseAction, MouseInput, encode_mouse
from widgets.terminal.selection import Selection, Unit

WHEEL_LINES = 3
DRAG_SCROLL_EVERY = 0.05
CLICK_GAP = 0.5
"""Seconds within which a further click on the same cell counts as a double or triple one."""
UNITS = (Unit.CELL, Unit.WORD, Unit.LINE)


class Pointer:
    """The mouse of one terminal view; Shift keeps it from the program.

    See upstream/terminal: Keys mouse and paste.
    """

    def __init__(
        self,
        canvas: TerminalCanvas,
        send: Callable[[bytes], None],
        selected: Callable[[], None],
        follow_link: Callable[[str], None],
    ) -> None:
        self._canvas = canvas
        self._send = send
        self._selected = selected
        self._follow_link = follow_link
        self._reported = 0
        self._reported_cell = (-1, -1)
        self._drag: Selection | None = None
        self._moved = False
        self._clicks = 0
        self._clicked_at = (-1, -1, -1.0)
        self._edge: Timer | None = None
        self._edge_step = 0
        self._edge_column = 0

    def press(self, event: events.MouseDown) -> None:
        """A button went down."""
        canvas = self._canvas
        if self._for_program(event):
            canvas.capture_mouse()
            self._reported = event.button
            self._report(MouseAction.PRESS, event, event.button)
            return
        if event.button != 1 or canvas.terminal is None:
            return
        if canvas.pill_at(event.x, event.y):
            canvas.follow_tail()
            return
        x, y, when = self._clicked_at
        again = (x, y) == (event.x, event.y) and event.time - when <= CLICK_GAP
        self._clicks = self._clicks % len(UNITS) + 1 if again else 1
        self._clicked_at = (event.x, event.y, event.time)
        position = canvas.position_at(event.x, event.y)
        self.hover(event.x, event.y)
        canvas.capture_mouse()
        self._moved = self._clicks > 1
        if event.shift and canvas.selection is not None and self._clicks == 1:
            self._drag = canvas.selection
            self._extend(event.x, event.y)
            return
        block = event.meta and self._clicks == 1
        self._drag = Selection(position, position, Unit.BLOCK if block else UNITS[self._clicks - 1])
        canvas.select(self._drag if self._moved else None)

    def move(self, event: events.MouseMove) -> None:
        """The mouse moved."""
        if self._reported:
            self._report(MouseAction.MOVE, event, self._reported)
        elif self._drag is not None:
            self._dragged(event.x, event.y)
        elif self._for_program(event):
            if not event.button:  # a drag that began elsewhere is not the program's
                self._report(MouseAction.MOVE, event, 0)
        else:
            self.hover(event.x, event.y)

    def release(self, event: events.MouseUp) -> None:
        """A button went up."""
        canvas = self._canvas
        if self._reported:
            button, self._reported = self._reported, 0
            canvas.release_mouse()
            self._report(MouseAction.RELEASE, event, button)
            return
        if self._drag is None:
            return
        self._drag = None
        self._stop_edge()
        canvas.release_mouse()
        if self._moved:
            self._selected()
        elif canvas.link is not None:
            self._follow_link(canvas.link.url)

    def wheel(self, event: events.MouseEvent, action: MouseAction) -> None:
        """One notch of the wheel."""
        canvas = self._canvas
        modes = canvas.modes
        down = action is MouseAction.WHEEL_DOWN
        if self._for_program(event):
            self._reported_cell = (-1, -1)
            self._report(action, event, 0)
        elif action not in (MouseAction.WHEEL_UP, MouseAction.WHEEL_DOWN):
            return
        elif modes.alternate_screen:
            arrow = (
                encode("down" if down else "up", None, modes) if modes.alternate_scroll else None
            )
            if arrow:
                self._send(arrow * WHEEL_LINES)
        else:
            canvas.scroll_view(WHEEL_LINES if down else -WHEEL_LINES)
            self.hover(event.x, event.y)

    def hover(self, x: int, y: int) -> None:
        """Show where the link under the mouse leads."""
        canvas = self._canvas
        screen = canvas.terminal
        inside = 0 <= y < canvas.size.height and 0 <= x < canvas.size.width
        canvas.show_link(
            link_at(screen, canvas.position_at(x, y)) if screen and inside else None, y
        )

    def leave(self) -> None:
        """The mouse is elsewhere."""
        self._canvas.show_link(None, 0)

    def stop(self) -> None:
        """Forget what was going on."""
        self._stop_edge()
        self._drag = None
        self._reported = 0

    def _for_program(self, event: events.MouseEvent) -> bool:
        wanted = self._canvas.modes.mouse is not MouseMode.OFF
        return wanted and not event.shift and self._canvas.viewport.following

    def _report(self, action: MouseAction, event: events.MouseEvent, button: int) -> None:
        screen = self._canvas.terminal
        if screen is None:
            return
        column = max(0, min(event.x, screen.columns - 1))
        line = max(0, min(event.y, screen.lines - 1))
        if action is MouseAction.MOVE and (column, line) == self._reported_cell:
            return
        self._reported_cell = (column, line)
        held = MouseInput(action, column, line, button, event.shift, event.meta, event.ctrl)
        if data := encode_mouse(held, self._canvas.modes):
            self._send(data)

    def _dragged(self, x: int, y: int) -> None:
        height = self._canvas.size.height
        self._edge_column = x
        self._edge_step = y if y < 0 else max(0, y - height + 1)
        if self._edge_step and self._edge is None:
            self._edge = self._canvas.set_interval(DRAG_SCROLL_EVERY, self._scroll_edge)
        elif not self._edge_step:
            self._stop_edge()
        self._extend(x, y)

    def _extend(self, x: int, y: int) -> None:
        if self._drag is None:
            return
        position = self._canvas.position_at(x, max(0, min(y, self._canvas.size.height - 1)))
        if position != self._drag.anchor or self._moved:
            self._moved = True
            self._canvas.select(self._drag.moved(position))

    def _scroll_edge(self) -> None:
        self._canvas.scroll_view(self._edge_step)
        self._extend(self._edge_column, -1 if self._edge_step < 0 else self._canvas.size.height)

    def _stop_edge(self) -> None:
        if self._edge is not None:
            self._edge.stop()
            self._edge = None
