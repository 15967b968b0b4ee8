"""Which lines a view shows: the tail, or a place in the scrollback that stays where it is."""

from __future__ import annotations

from services.terminal.cells import TerminalScreen


def screen_top(screen: TerminalScreen) -> int:
    """Absolute number of the first screen row."""
    return screen.history_base + screen.history_size


def end_of(screen: TerminalScreen) -> int:
    """Absolute number one past the last screen row."""
    return screen_top(screen) + screen.lines


class Viewport:
    """The first line on view, in absolute numbers; follows the tail until scrolled."""

    def __init__(self) -> None:
        self._top: int | None = None
        self._left_at = 0

    @property
    def following(self) -> bool:
        """Whether the tail is on view."""
        return self._top is None

    def top(self, screen: TerminalScreen, height: int) -> int:
        """Absolute number of the line to draw first."""
        tail = self._tail(screen, height)
        if self._top is None:
            return tail
        return min(max(self._top, screen.history_base), tail)

    def newer(self, screen: TerminalScreen) -> int:
        """Lines that arrived since the tail was left."""
        return 0 if self._top is None else max(0, end_of(screen) - self._left_at)

    def below(self, screen: TerminalScreen, height: int) -> int:
        """Lines between the view and the tail."""
        return self._tail(screen, height) - self.top(screen, height)

    def move(self, screen: TerminalScreen, height: int, lines: int) -> bool:
        """Go down by that many lines, up where negative; whether the view changed."""
        return self.go(screen, height, self.top(screen, height) + lines)

    def go(self, screen: TerminalScreen, height: int, top: int) -> bool:
        """Show that line first, as near as the ends allow; whether the view changed.

        A program on the alternate screen has no scrollback to look at.
        """
        before = self.top(screen, height)
        tail = self._tail(screen, height)
        if top >= tail or screen.modes.alternate_screen:
            return self.follow() and before != tail
        if self._top is None:
            self._left_at = end_of(screen)
        self._top = max(top, screen.history_base)
        return self._top != before

    def reveal(self, screen: TerminalScreen, height: int, line: int) -> bool:
        """Scroll just enough for a line to be seen, clear of the last line of the view."""
        top = self.top(screen, height)
        if line < top:
            return self.go(screen, height, line)
        if line < top + height - 1:
            return False
        return self.go(screen, height, line - height + 2)

    def follow(self) -> bool:
        """Back to the tail; whether it had been left."""
        left = self._top is not None
        self._top = None
        return left

    def shift(self, lines: int) -> None:
        """Lines were renumbered by a reflow: keep the distance from the end."""
        if self._top is not None:
            self._top += lines
            self._left_at += lines

    @staticmethod
    def _tail(screen: TerminalScreen, height: int) -> int:
        return screen_top(screen) + max(0, screen.lines - height)
