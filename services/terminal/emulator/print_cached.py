"""Printing of short texts between two sequences, with a cache of their pieces."""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.print import CONTROL, TOKENS, Printing
from services.terminal.emulator.styles import Attribute
from services.terminal.emulator.widths import INVISIBLE, JOINS_LEFT, WIDE_SPACER

_SHORT: Final = 100
_LONGEST: Final = 200
"""Longer texts are printed by lines."""
_TEXTS_KEPT: Final = 4096
_UNCOMMON: Final = re.compile(r"[^\b\t\n\x0b\x0c\r -~]")


class CachedPrinting(Printing):
    """Prints with the cursor and attribute passed in, as the parser's loop holds them."""

    def print_text(  # noqa: PLR0912
        self, text: str | tuple[str, ...], x: int, y: int, attribute: Attribute
    ) -> tuple[int, int] | None:
        """Print short text with the common controls in it; where the cursor is then.

        For the fast state only; `x` is the number of columns where a wrap is pending. None, and
        nothing done, where the text needs a closer look.
        """
        if isinstance(text, tuple):
            pieces = text
        elif len(text) > _LONGEST:
            return None
        elif not text.isascii():
            return self._print_cells(text, x, y, attribute)
        elif text.isprintable():
            pieces = (text,)
        else:
            pieces = self.pieces(text)
        if not pieces or self.backwards:
            return None
        rows, columns = self.rows, self.columns
        bottom, last = self.bottom, self.lines - 1
        self.attribute = attribute
        for piece in pieces:
            if piece >= " ":
                row, end = rows[y], x + len(piece)
                if x == row.length and end <= columns:
                    row.spans.append((piece, attribute))
                    row.length = x = end
                    row.clean = 0
                    self.last = piece
                    continue
                rest = piece
                while x + len(rest) > columns:
                    if x < columns:
                        rows[y].write(x, rest[: columns - x], attribute)
                        rest = rest[columns - x :]
                    rows[y].wrapped = True
                    x, y = 0, self._below(y)
                rows[y].write(x, rest, attribute)
                x += len(rest)
                self.last = rest
            elif piece == "\r\n":
                if y == bottom:
                    self.scroll_line()
                elif y < last:
                    y += 1
                x = 0
            elif piece == "\r":
                x = 0
            elif piece == "\b":
                x = max(0, min(x, columns - 1) - 1)
            elif piece != "\t":
                x, y = min(x, columns - 1), self._below(y)
            elif x < columns:
                x = min((stop for stop in self.tabs if stop > x), default=columns - 1)
        return x, y

    def _below(self, y: int) -> int:
        """The line below one, which at the bottom margin has to come first."""
        if y == self.bottom:
            self.scroll_line()
            return y
        return y + 1 if y < self.lines - 1 else y

    def _print_cells(
        self, text: str, x: int, y: int, attribute: Attribute
    ) -> tuple[int, int] | None:
        kept = self.known_texts.get(text)
        if kept is None:
            kept = self._normalised(text)
        end = x + len(kept)
        if not kept or end > self.columns or self._may_join(x, y):
            return None
        self.rows[y].write(x, kept, attribute)
        self.last = kept
        return end, y

    def pieces(self, text: str) -> tuple[str, ...]:
        """ASCII as texts and controls; empty where it is long, or a control is uncommon."""
        if len(text) > _LONGEST or _UNCOMMON.search(text):
            return ()
        return tuple(TOKENS.findall(text))

    def _normalised(self, text: str) -> str:
        """Text normalised, for any place on the screen; empty where that depends on the place."""
        found = ""
        if not (CONTROL.search(text) or JOINS_LEFT.match(text) or INVISIBLE.search(text)):
            found = self.clusters.normalise(text)
        if len(text) <= _SHORT:
            if len(self.known_texts) >= _TEXTS_KEPT:
                self.known_texts.clear()
            self.known_texts[text] = found
        return found

    def _may_join(self, x: int, y: int) -> bool:
        """Whether the cell left of a column is a cluster that may take in what follows."""
        if x == 0:
            return False
        row = self.rows[y]
        char = row.char(x - 1)
        if char == WIDE_SPACER:
            char = row.char(x - 2)
        return char >= "\U00100000"
