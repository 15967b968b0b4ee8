"""Keyboard selection: its cursor and its keys."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len

from services.terminal.cells import TerminalScreen
from widgets.terminal.canvas import TerminalCanvas
from widgets.terminal.rows import CellPosition, logical_line, row_at
from widgets.terminal.selection import WORD, Selection, Unit
from widgets.terminal.viewport import end_of, screen_top


class KeyboardSelection:
    """Moves a selection cursor over screen and scrollback and selects text with it."""

    def __init__(
        self,
        canvas: TerminalCanvas,
        copy: Callable[[bool], None],
        start: CellPosition | None = None,
    ) -> None:
        self._canvas = canvas
        self._copy = copy
        screen = canvas.terminal
        if start is None and screen is not None:
            start = CellPosition(screen_top(screen) + screen.cursor.line, screen.cursor.column)
            top = canvas.viewport.top(screen, canvas.size.height)
            last = top + canvas.size.height - 1
            start = CellPosition(max(top, min(start.line, last)), start.column)
        self._position = start or CellPosition(0, 0)
        canvas.select(None)
        canvas.show_selection_cursor(self._position)

    @property
    def status(self) -> str:
        """The line of help."""
        if self._canvas.selection is None:
            return " select · arrows move · Space mark · V whole lines · R block · Esc close "
        return " select · Enter copy · Y copy with colours · o other end · Esc close "

    def press(self, key: str, character: str | None) -> bool:
        """Take a key; False ends the selecting."""
        screen = self._canvas.terminal
        if screen is None or key in ("escape", "q"):
            self.end()
            return False
        if key in ("enter", "y", "Y", "shift+y"):
            if self._canvas.selection is not None:
                self._copy(key in ("Y", "shift+y"))
            self.end()
            return False
        if key in ("space", "v"):
            self._mark(Unit.CELL)
        elif key in ("V", "shift+v"):
            self._mark(Unit.LINE)
        elif key in ("R", "shift+r", "ctrl+v"):
            self._mark(Unit.BLOCK)
        elif key == "o" and (selection := self._canvas.selection) is not None:
            self._canvas.select(Selection(selection.head, selection.anchor, selection.unit))
            self._go(screen, selection.anchor)
        elif (position := self._moved(screen, key)) is not None:
            self._go(screen, position)
        return True

    def insert(self, text: str) -> None:
        """A paste means nothing here."""

    def end(self) -> None:
        """Take the operator's cursor away."""
        self._canvas.show_selection_cursor(None)
        self._canvas.select(None)

    def _mark(self, unit: Unit) -> None:
        selection = self._canvas.selection
        if selection is not None and selection.unit is unit:
            self._canvas.select(None)
        else:
            anchor = selection.anchor if selection is not None else self._position
            self._canvas.select(Selection(anchor, self._position, unit))

    def _go(self, screen: TerminalScreen, position: CellPosition) -> None:
        line = max(screen.history_base, min(position.line, end_of(screen) - 1))
        self._position = CellPosition(line, max(0, min(position.column, screen.columns - 1)))
        self._canvas.show_selection_cursor(self._position)
        if self._canvas.selection is not None:
            self._canvas.select(self._canvas.selection.moved(self._position))

    def _moved(self, screen: TerminalScreen, key: str) -> CellPosition | None:
        line, column = self._position.line, self._position.column
        page = max(1, self._canvas.size.height - 1)
        lines = {"pageup": -page, "ctrl+b": -page, "pagedown": page, "ctrl+f": page}
        lines |= {"up": -1, "k": -1, "down": 1, "j": 1}
        lines |= {"ctrl+u": -(page // 2), "ctrl+d": page // 2}
        if key in lines:
            return CellPosition(line + lines[key], column)
        if key in ("left", "h"):
            return CellPosition(line, column - 1)
        if key in ("right", "l"):
            return CellPosition(line, column + 1)
        if key in ("home", "0"):
            return CellPosition(line, 0)
        if key in ("end", "dollar_sign"):
            row = row_at(screen, line)
            return CellPosition(line, cell_len(row.text) - 1 if row is not None else 0)
        if key == "g":
            return CellPosition(screen.history_base, 0)
        if key in ("G", "shift+g"):
            return CellPosition(end_of(screen) - 1, 0)
        if key in ("w", "ctrl+right"):
            return next_word(screen, self._position)
        if key in ("b", "ctrl+left"):
            return previous_word(screen, self._position)
        return None


def next_word(screen: TerminalScreen, position: CellPosition) -> CellPosition:
    """Where the next word begins."""
    line = logical_line(screen, position.line)
    index = line.index(position)
    for match in WORD.finditer(line.text):
        if match.start() > index and not match.group().isspace():
            return line.position(match.start())
    return CellPosition(line.first + len(line.texts), 0)


def previous_word(screen: TerminalScreen, position: CellPosition) -> CellPosition:
    """Where the word before begins."""
    line = logical_line(screen, position.line)
    index = line.index(position)
    found = [
        match.start()
        for match in WORD.finditer(line.text)
        if match.start() < index and not match.group().isspace()
    ]
    if found:
        return line.position(found[-1])
    return CellPosition(max(screen.history_base, line.first - 1), 0)
