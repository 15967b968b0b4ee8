"""Escape sequence parser: whole sequences by table, broken ones by the state machine.

A `pyte.ByteStream` for its decoding; its character loop and its events are replaced
(upstream/terminal: What pyte lacks). Whatever the pieces bytes arrive in, the effect is the same.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import pyte

from services.terminal.emulator import sequences
from services.terminal.emulator.dispatch import (
    ERASE_TO_END,
    GENERAL,
    MOVES,
    NOTHING,
    PLACE,
    STYLE,
    UNKNOWN,
    begins,
)
from services.terminal.emulator.machine import SequenceMachine
from services.terminal.emulator.print import write
from services.terminal.emulator.print_cached import (
    LONGEST_PRINTED,
    pieces_of,
    print_text,
    print_wrapped,
)
from services.terminal.emulator.row import LONGEST_LOG
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.sequences import ESC

_SHORT: Final = 32
"""Longer pieces seldom come again."""
_SHORT_STYLE: Final = 12
_BEFORE_FINAL: Final = frozenset("[0123456789;:")
"""What may stand before the final of SGR: most of what is not SGR is told by it."""
_SEQUENCE_COST: Final = 160
"""What a sequence costs besides the cells it changes, in cells."""
_CLOSER, _LINES = -1, -2
"""Instead of the width of a text: it takes a closer look; a text, a newline and a text."""


class SequenceParser(pyte.ByteStream):
    """Parses bytes and drives a screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._machine = SequenceMachine(screen)
        self.unparsed = ""
        """What was taken and not parsed yet."""
        super().__init__()

    def feed(self, data: bytes, cells: int | None = None) -> None:  # type: ignore[override]
        """Take bytes, cut anywhere; never raises.

        With `cells` it stops after about so much work beyond plain printing and keeps the rest.
        """
        screen = self.screen
        screen.cost_limit = sys.maxsize if cells is None else screen.cost + cells
        decoder = self.utf8_decoder
        # In UTF-8 the first byte of a C1 control is 0xC2: looking for bytes is quick.
        controls = b"\xc2" in data or decoder.getstate()[0] == b"\xc2"
        text = decoder.decode(data)
        if controls:
            text = sequences.spell_out_c1(text)
        if self.unparsed:
            text, self.unparsed = self.unparsed + text, ""
        if screen.adrift and not screen.cursor.pending:
            screen.update_flags()
        if self._machine.busy:
            text = text[self._machine.resume(text, 0) :]
            if screen.cost > screen.cost_limit:
                self.unparsed = text
                return
        if ESC not in text:
            if text:
                self.unparsed = write(screen, text)
            return
        pieces = text.split(ESC)
        if pieces[0]:
            rest = write(screen, pieces[0])
            if rest or screen.cost > screen.cost_limit:
                pieces[0] = rest
                self.unparsed = ESC.join(pieces)
                return
            if screen.adrift and not screen.cursor.pending:
                screen.update_flags()
        self._run(pieces, text.isascii())
        for row in screen.rows:
            if len(row.log) > LONGEST_LOG:
                row.settle()

    def _run(self, pieces: list[str], ascii_only: bool) -> None:  # noqa: PLR0912, PLR0915
        """Obey what follows each escape in turn: the loop in which the time goes.

        A piece is a sequence without its escape and the text up to the next one; what it means is
        looked up as a whole. The cursor, its row and its style live in locals while text is
        printed, styles change and the cursor is put somewhere; for anything else they go back to
        the screen first.
        """
        screen = self.screen
        memo, cursor = screen.memo, screen.cursor
        learning, learnt = memo.learns(len(pieces)), STYLE
        meanings, positions = memo.meanings, memo.positions
        apply_sgr = screen.attributes.apply_sgr
        columns = screen.columns
        scroll = screen.scroll_line
        rows, x, y, attribute = screen.rows, cursor.x, cursor.y, cursor.attribute
        bottom, lowest = screen.margins.bottom, screen.lines - 1
        fast = screen.fast
        plain, protected = screen.plain, screen.protected
        if fast and cursor.pending:
            x = columns
        transitions = attribute.transitions
        last = ""
        second: Any = None
        text: Any
        each = iter(pieces)
        next(each)
        for piece in each:
            if fast:
                meaning = meanings.get(piece)
                if meaning is not None:
                    kind, first, second, text, width = meaning
                else:
                    # A regular expression would find any sequence, and costs as much as the rest.
                    reached = place = None
                    if learnt == PLACE:
                        first, mark, text = piece.partition("H")
                        place = positions.get(first) if mark else None
                    if place is None:
                        first, mark, text = piece.partition("m")
                        reached = transitions.get(first) if mark else None
                        learnt = STYLE
                        if reached is None and mark and first[-1:] in _BEFORE_FINAL:
                            reached = apply_sgr(attribute, first)
                            learnt = UNKNOWN
                    if reached is not None:
                        attribute = reached
                        transitions = reached.transitions
                        if len(first) > _SHORT_STYLE:
                            # A colour in full seldom comes again with the same text.
                            if not text:
                                continue
                            learnt = UNKNOWN
                        kind = NOTHING
                    else:
                        if place is None:
                            sequence, mark, text = piece.partition("H")
                            place = positions.get(sequence) if mark else None
                        if place is not None:
                            kind = PLACE
                            first, second = place
                        else:
                            kind, first, second, text = begins(screen, piece)
                        learnt = kind
                    width = _CLOSER
                    if ascii_only or text.isascii():
                        if text.isprintable():
                            width = len(text)
                        else:
                            parts = text.partition("\r\n")
                            if (
                                parts[0].isprintable()
                                and parts[2].isprintable()
                                and len(text) <= LONGEST_PRINTED
                            ):
                                text = parts
                                width = _LINES
                            elif learning:
                                text = pieces_of(text) or text
                    if learning and learnt != UNKNOWN and len(piece) <= _SHORT:
                        learning = memo.learn(piece, (learnt, first, second, text, width))
            else:
                kind, text, width = UNKNOWN, "", 0
            if kind == NOTHING:
                pass
            elif kind == STYLE:
                try:
                    attribute = transitions[first]
                except KeyError:
                    attribute = apply_sgr(attribute, first) or attribute
                transitions = attribute.transitions
            elif kind == PLACE:
                y, x = first, second
            elif kind == ERASE_TO_END and not protected:
                if x == columns:
                    x -= 1
                row = rows[y]
                if row.length < 0 < x and not row.wide:
                    row.log += x, " " * (columns - x), attribute.blank
                    row.clean = 0
                elif x != row.length or not attribute.plain:
                    row.erase(x, columns, attribute.blank)
                row.wrapped = False
            else:
                cursor.y = y
                cursor.attribute = attribute
                if last:
                    screen.last = last
                    last = ""
                if fast:
                    cursor.pending = x == columns
                    cursor.x = x - 1 if x == columns else x
                else:
                    cursor.x = x
                if kind >= ERASE_TO_END:
                    first(screen, second)
                    x, y = cursor.x, cursor.y
                    if cursor.pending and kind != MOVES:
                        x = columns
                else:
                    if kind == GENERAL:
                        first(screen, *second)
                    else:
                        text = self._machine.obey(piece, pieces, each)
                        width = _CLOSER
                    screen.cost += _SEQUENCE_COST
                    if screen.adrift and not screen.cursor.pending:
                        screen.update_flags()
                    rows, cursor = screen.rows, screen.cursor
                    x, y = cursor.x, cursor.y
                    fast = screen.fast
                    if not fast:
                        width = _CLOSER
                    bottom = screen.margins.bottom
                    protected = screen.protected
                    if fast and cursor.pending:
                        x = columns
                    attribute = cursor.attribute
                    transitions = attribute.transitions
                if screen.cost > screen.cost_limit:
                    shown = text if isinstance(text, str) else "".join(text)
                    self.unparsed = shown + sequences.joined(each)
                    if self.unparsed:
                        break
            if width > 0:
                end = x + width
                if end <= columns:
                    row = rows[y]
                    length = row.length
                    if x == length:
                        row.spans += text, attribute
                        row.length = end
                    elif length < 0 and not row.wide:
                        row.log += x, text, attribute
                    elif x > length >= 0:
                        row.spans += " " * (x - length), plain, text, attribute
                        row.length = end
                    elif row.wide:
                        row.write(x, text, attribute)
                    else:
                        row.log = [x, text, attribute]
                        row.length = -1
                    row.clean = 0
                    x = end
                    last = text
                    continue
            if width == _LINES:
                head, _, text = text
                cursor.attribute = attribute
                if head:
                    end = x + len(head)
                    row = rows[y]
                    if x == row.length and end <= columns:
                        row.spans += head, attribute
                        row.length = end
                        row.clean = 0
                    else:
                        x, y = print_wrapped(screen, head, x, y)
                    last = head
                if y == bottom:
                    scroll()
                elif y < lowest:
                    y += 1
                x = 0
                if text:
                    x = len(text)
                    row = rows[y]
                    if not row.length and x <= columns:
                        row.spans += text, attribute
                        row.length = x
                        row.clean = 0
                    else:
                        x, y = print_wrapped(screen, text, 0, y)
                    last = text
                continue
            if not text:
                continue
            if last:
                screen.last = last
                last = ""
            if fast:
                place = print_text(screen, text, x, y, attribute)
                if place is not None:
                    x, y = place
                    continue
                cursor.pending = x == columns
                cursor.x = x - 1 if x == columns else x
            else:
                cursor.x = x
            cursor.y = y
            cursor.attribute = attribute
            rest = write(screen, text if isinstance(text, str) else "".join(text))
            if rest or screen.cost > screen.cost_limit:
                self.unparsed = rest + sequences.joined(each)
                if self.unparsed:
                    return
            if screen.adrift and not screen.cursor.pending:
                screen.update_flags()
            rows, cursor, bottom = screen.rows, screen.cursor, screen.margins.bottom
            x, y = cursor.x, cursor.y
            fast = screen.fast
            if fast and cursor.pending:
                x = columns
            attribute = cursor.attribute
            transitions = attribute.transitions
        cursor.y = y
        cursor.attribute = attribute
        if fast:
            cursor.pending = x == columns
            cursor.x = x - 1 if x == columns else x
        else:
            cursor.x = x
        if last:
            screen.last = last
