"""A terminal without input or output of its own: bytes in, rows and damage out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from services.terminal.cells import Cursor, PromptMark, ScreenRow, TerminalModes
from services.terminal.emulator.dispatch import OBEYED_CONTROLS
from services.terminal.emulator.modes import report_size, terminal_modes
from services.terminal.emulator.parser import SequenceParser
from services.terminal.emulator.reflow import reflow_slice, resize
from services.terminal.emulator.reports import report_colour_scheme
from services.terminal.emulator.screen import Screen

SMALLEST_WIDTH = 2
"""A cell may be two columns wide."""


class Emulator:
    """What a program sees as its terminal and a view draws (`cells.TerminalScreen`).

    `reply` receives every answer for the program. `palette` gives the theme's colours as
    `colours` keys them, for programs that ask. The clipboard may be written (never read) only
    where `allow_clipboard` is set, and then through `on_clipboard`; titles are told to programs
    only where `allow_title_report` is set (upstream/terminal: Answers).
    """

    def __init__(
        self,
        columns: int,
        lines: int,
        reply: Callable[[bytes], None] | None = None,
        *,
        history: int = 10_000,
        palette: Mapping[int, int] | None = None,
        allow_clipboard: bool = False,
        allow_title_report: bool = False,
        on_clipboard: Callable[[str], None] | None = None,
    ) -> None:
        self._screen = Screen(
            max(columns, SMALLEST_WIDTH), max(lines, 1), reply, max(history, 0), OBEYED_CONTROLS
        )
        self._screen.palette = dict(palette or {})
        self._screen.allow_clipboard = allow_clipboard
        self._screen.allow_title_report = allow_title_report
        self._screen.on_clipboard = on_clipboard
        self._stream = SequenceParser(self._screen)

    @property
    def reply(self) -> Callable[[bytes], None] | None:
        """Who receives every answer for the program; may be set at any time."""
        return self._screen.reply

    @reply.setter
    def reply(self, receiver: Callable[[bytes], None] | None) -> None:
        self._screen.reply = receiver

    @property
    def palette(self) -> Mapping[int, int]:
        """The theme's colours as `colours` keys them; may be set at any time."""
        return self._screen.palette

    @palette.setter
    def palette(self, colours: Mapping[int, int]) -> None:
        screen = self._screen
        was_dark = screen.dark
        screen.palette = dict(colours)
        if screen.dark != was_dark and 2031 in screen.modes.private:
            report_colour_scheme(screen)

    def feed(self, data: bytes, cells: int | None = None) -> None:
        """Take output of the program, cut anywhere; never raises.

        `cells` bounds the work, counted in cells changed beyond plain printing: the rest waits
        in `unparsed` for the next call, which may bring no data.
        """
        screen, history = self._screen, self._screen.history
        self._stream.feed(data, cells)
        while history.waiting and screen.cost <= screen.cost_limit and not self._stream.unparsed:
            reflow_slice(screen)

    @property
    def unparsed(self) -> int:
        """Characters that were taken and wait to be parsed."""
        return len(self._stream.unparsed)

    @property
    def unreflowed(self) -> int:
        """Scrollback lines that wait to be brought to the width; not to be seen until then."""
        return len(self._screen.history.waiting)

    def resize(self, columns: int, lines: int, *, sliced: bool = False) -> None:
        """Take a new size: the main screen reflows, the alternate one is cut or padded.

        With `sliced` the older lines of the scrollback wait in `unreflowed` for the next calls
        of `feed`, which brings them to the width after what it parses, within its bound.
        """
        screen = self._screen
        before = screen.columns, screen.lines
        resize(screen, max(columns, SMALLEST_WIDTH), max(lines, 1))
        while screen.history.waiting and not sliced:
            reflow_slice(screen)
        if before != (screen.columns, screen.lines) and 2048 in screen.modes.private:
            report_size(screen)

    @property
    def columns(self) -> int:
        """Width in cells."""
        return self._screen.columns

    @property
    def lines(self) -> int:
        """Height in cells."""
        return self._screen.lines

    @property
    def rows(self) -> Sequence[ScreenRow]:
        """The visible rows, top first."""
        return self._screen.rows

    @property
    def display(self) -> list[str]:
        """The visible rows as text, padded with blanks to the full width."""
        to_text = self._screen.clusters.to_text
        return [to_text(row.content.ljust(self.columns)) for row in self._screen.rows]

    @property
    def history_base(self) -> int:
        """Absolute number of the oldest kept scrollback line."""
        return self._screen.history.base

    @property
    def history_size(self) -> int:
        """How many scrollback lines are kept."""
        return len(self._screen.history)

    def history_row(self, number: int) -> ScreenRow:
        """The scrollback line of that absolute number.

        Raises:
            IndexError: it was never there or has been dropped.
        """
        return self._screen.history.row(number)

    @property
    def cursor(self) -> Cursor:
        """The cursor; with a wrap pending it stands on the last column."""
        screen = self._screen
        return Cursor(
            column=screen.cursor.x,
            line=screen.cursor.y,
            visible=25 in screen.modes.private,
            shape=screen.cursor.shape,
            blinking=screen.cursor.style % 2 == 1 or screen.cursor.style == 0,
        )

    @property
    def modes(self) -> TerminalModes:
        """What the program asked of keys, paste and mouse."""
        return terminal_modes(self._screen)

    @property
    def title(self) -> str:
        """What OSC 0 or 2 last said, bounded and harmless."""
        return self._screen.title

    @property
    def folder(self) -> str:
        """The working folder OSC 7 last said, bounded and harmless."""
        return self._screen.folder

    @property
    def prompt_marks(self) -> list[PromptMark]:
        """The marks of the shell in what is kept, oldest first; those of the alternate screen's
        programs are not taken."""
        screen, history = self._screen, self._screen.history
        top = history.base + len(history)
        rows = screen.other_rows if screen.on_alternate else screen.rows
        return [PromptMark(line, *mark) for line, mark in history.marks] + [
            PromptMark(top + y, *mark) for y, row in enumerate(rows) for mark in row.marks
        ]

    @property
    def bells(self) -> int:
        """How many bells have rung since the start."""
        return self._screen.bells

    @property
    def colours(self) -> Mapping[int, int]:
        """Palette entries the program redefined, as `cells.TerminalScreen.colours` keys them."""
        return self._screen.colours

    def take_damage(self) -> frozenset[int] | None:
        """Screen rows that changed since last asked; None means all of them."""
        screen = self._screen
        rows, damage_base = screen.rows, screen.damage_base
        changed = [row.take_damage() for row in rows]
        screen.damage_base = list(rows)
        if damage_base is None:
            return None
        return frozenset(
            y
            for y, (row, before) in enumerate(zip(rows, damage_base, strict=True))
            if changed[y] or row is not before
        )
