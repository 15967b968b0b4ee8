"""Escape sequence parser: whole sequences by table, broken ones by a state machine.

A `pyte.ByteStream` for its decoding; its character loop and its events are replaced
(upstream/terminal: What pyte lacks). Whatever the pieces bytes arrive in, the effect is the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator
from operator import length_hint
from typing import Any, Final, cast

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
    perform,
)
from services.terminal.emulator.print import draw, write
from services.terminal.emulator.print_cached import pieces_of, print_text
from services.terminal.emulator.row import LONGEST_LOG
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.sequences import ESC, SEQUENCE

_ENDED: Final = re.compile(r"\](?:R|P[0-9A-Fa-f]{7}|[^\x07\x18\x1a]*\x07)")
"""A string that ends in its own piece."""
_OPEN: Final = re.compile(r"\][^\x07\x18\x1a]*|[PX^_][^\x18\x1a]*")
_STRING_END: Final = re.compile(r"[\x07\x18\x1a\x1b]")

_SHORT: Final = 32
"""Longer pieces seldom come again."""
_SHORT_STYLE: Final = 12
_BEFORE_FINAL: Final = frozenset("[0123456789;:")
"""What may stand before the final of SGR: most of what is not SGR is told by it."""
_SEQUENCE_COST: Final = 160
"""What a sequence costs besides the cells it changes, in cells."""
_CHARACTER_COST: Final = 32
"""What a character of a sequence that arrives in pieces costs, in cells."""
_GROUND, _ESCAPE, _CONTROL, _STRING, _STRING_ESCAPE = range(5)


class SequenceParser(pyte.ByteStream):
    """Parses bytes and drives a screen."""

    def __init__(self, screen: Screen) -> None:
        self._state = _GROUND
        self.screen = screen
        self.unparsed = ""
        """What was taken and not parsed yet."""
        super().__init__()
        self._initialize_parser()

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
        if self._state != _GROUND:
            text = text[self._resume(text, 0) :]
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
        learning = memo.learns(len(pieces))
        meanings, positions = memo.meanings, memo.positions
        apply_sgr = screen.attributes.apply_sgr
        columns = screen.columns
        rows, x, y, attribute = screen.rows, cursor.x, cursor.y, cursor.attribute
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
                        sequence, mark, text = piece.partition("H")
                        place = positions.get(sequence)
                        if mark and place is not None:
                            kind = PLACE
                            first, second = place
                        else:
                            kind, first, second, text = begins(screen, piece)
                        learnt = kind
                    printable = (ascii_only or text.isascii()) and text.isprintable()
                    width = len(text) if printable else -1
                    if learning and learnt != UNKNOWN and len(piece) <= _SHORT:
                        kept = text
                        if not printable and (ascii_only or text.isascii()):
                            kept = pieces_of(text) or text
                        learning = memo.learn(piece, (learnt, first, second, kept, width))
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
                if x != row.length or not attribute.plain:
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
                        text = self._obey(piece, pieces, each)
                        width = -1
                    screen.cost += _SEQUENCE_COST
                    if screen.adrift and not screen.cursor.pending:
                        screen.update_flags()
                    rows, cursor = screen.rows, screen.cursor
                    x, y = cursor.x, cursor.y
                    fast = screen.fast
                    if not fast:
                        width = -1
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
                    elif x > length >= 0:
                        row.spans += " " * (x - length), plain, text, attribute
                        row.length = end
                    elif row.wide:
                        row.write(x, text, attribute)
                    elif length >= 0:
                        row.log = [x, text, attribute]
                        row.length = -1
                    else:
                        row.log += x, text, attribute
                    row.clean = 0
                    x = end
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
            rows, cursor = screen.rows, screen.cursor
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

    def _obey(self, piece: str, pieces: list[str], each: Iterator[str]) -> str:
        """Obey a sequence that is not worth remembering; the text after it.

        A string may end in the next piece, and a broken sequence anywhere.
        """
        screen = self.screen
        match = SEQUENCE.match(piece) or _ENDED.match(piece)
        if match is not None:
            perform(screen, match[0])
            return piece[match.end() :]
        at = len(pieces) - length_hint(each)
        if at < len(pieces) and pieces[at][:1] == "\\" and _OPEN.fullmatch(piece):
            perform(screen, f"{piece}{ESC}\\")
            return next(each)[1:]
        while True:
            self._send(ESC)
            done = self._resume(piece, 0)
            if self._state == _GROUND or screen.cost > screen.cost_limit:
                return piece[done:]
            following = next(each, None)
            if following is None:
                return ""
            piece = following

    def _resume(self, text: str, at: int) -> int:
        """Carry on inside a sequence; the place at which it has ended, or the limit was met."""
        size = len(text)
        screen = self.screen
        while at < size and self._state != _GROUND and screen.cost <= screen.cost_limit:
            if self._state == _STRING and self._length > 10:
                match = _STRING_END.search(text, at)
                end = max(match.start() if match else size, at + 1)
                self._send(text[at:end])
                at = end
            else:
                screen.cost += _CHARACTER_COST
                self._send(text[at])
                at += 1
        return at

    def _send(self, run: str) -> None:
        assert self._parser is not None
        self._state = cast(int, self._parser.send(run))

    def _initialize_parser(self) -> None:
        self._parser = cast(Any, self._machine())
        self._length = 0
        self._state = cast(int, next(self._parser))

    def _machine(self) -> Generator[int, str, None]:  # noqa: PLR0912
        """ECMA-48 one character at a time; runs are sent whole inside strings.

        Controls inside a control sequence are obeyed at once; CAN and SUB end anything; an escape
        begins anew; what is too long or malformed is swallowed to its end.
        """
        screen = self.screen
        state = _GROUND
        pieces: list[str] = []
        while True:
            run = yield state
            if state == _STRING:
                if run == ESC:
                    state = _STRING_ESCAPE
                elif run in ("\x18", "\x1a"):
                    state = _GROUND
                elif run == "\x07" and pieces[0] == "\x1b]":
                    state = self._finish(pieces, run)
                else:
                    self._collect(pieces, run, sequences.LONGEST_STRING)
                    if self._length <= 10 and sequences.is_linux(pieces):
                        state = self._finish(pieces, "")
                continue
            if state == _STRING_ESCAPE:
                if run == "\\":
                    state = self._finish(pieces, "\x1b\\")
                    continue
                state = _ESCAPE
                pieces = [ESC]
                self._length = 1
            if run == ESC:
                state = _ESCAPE
                pieces = [ESC]
                self._length = 1
            elif run in ("\x18", "\x1a"):
                state = _GROUND
            elif run < " ":
                screen.control(run)
            elif run == "\x7f":
                pass
            elif run > "\x7f":
                state = _GROUND
                draw(screen, run)
            elif state == _ESCAPE and len(pieces) == 1 and run in "[]PX^_":
                pieces = [ESC + run]
                self._length = 2
                state = _CONTROL if run == "[" else _STRING
            elif (state == _ESCAPE and run < "0") or (state == _CONTROL and run < "@"):
                self._collect(pieces, run, sequences.LONGEST)
            else:
                state = self._finish(pieces, run)

    def _collect(self, pieces: list[str], run: str, most: int) -> None:
        self._length += len(run)
        if self._length <= most + 4:
            pieces.append(run)

    def _finish(self, pieces: list[str], end: str) -> int:
        sequence = "".join(pieces) + end
        string = sequence[1] in "]PX^_"
        if self._length <= (sequences.LONGEST_STRING if string else sequences.LONGEST) + 4:
            perform(self.screen, sequence[1:])
        self._length = 0
        return _GROUND
