"""Escape sequence parser: whole sequences by regular expression, broken ones by a state machine.

A `pyte.ByteStream` that keeps pyte's screen protocol and replaces its character loop
(upstream/terminal: What pyte lacks). Whatever the pieces bytes arrive in, the events are the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from typing import Any, Final, cast

import pyte

from services.terminal.emulator.dispatch import LONGEST, LONGEST_STRING
from services.terminal.emulator.screen import Screen

ESC: Final = "\x1b"
_SEQUENCES: Final = re.compile(
    r"(\x1b(?:"
    r"\[[0-?]*[@-~]|\[[0-?]*[ -/]+[@-~]"
    r"|\(B(?:\x1b\[m)?"
    r"|\](?:R|P[0-9A-Fa-f]{7}|[^\x07\x18\x1a\x1b]*(?:\x07|\x1b\\))"
    r"|[PX^_][^\x18\x1a\x1b]*\x1b\\"
    r"|[ -/]+[0-~]"
    r"|[0-OQ-WYZ\\`-~]"
    r"))"
)
_STRING_END: Final = re.compile(r"[\x07\x18\x1a\x1b]")
_C1: Final = re.compile("[\x80-\x9f]")
_LINUX_PALETTE: Final = re.compile(r"P[0-9A-Fa-f]{7}")

_SHORT: Final = 200
"""Longer texts between two sequences are printed by the screen."""
_SEQUENCE_COST: Final = 64
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
        super().__init__(cast(Any, screen))

    def feed(self, data: bytes, cells: int | None = None) -> None:  # type: ignore[override]
        """Take bytes, cut anywhere; never raises.

        With `cells` it stops after about so much work beyond plain printing and keeps the rest.
        """
        screen = self.screen
        screen.cost_limit = sys.maxsize if cells is None else screen.cost + cells
        text = self.utf8_decoder.decode(data)
        if not text.isascii() and _C1.search(text):
            text = _C1.sub(lambda match: ESC + chr(ord(match[0]) - 0x40), text)
        if self.unparsed:
            text, self.unparsed = self.unparsed + text, ""
        if screen.adrift and not screen.pending:
            screen.update_flags()
        if self._state != _GROUND:
            text = text[self._resume(text, 0) :]
            if screen.cost > screen.cost_limit:
                self.unparsed = text
                return
        if ESC not in text:
            if text:
                self.unparsed = screen.write(text)
            return
        parts = _SEQUENCES.split(text)
        last = parts.pop()
        if parts:
            self._run(parts, text.isascii())
        if self.unparsed:
            self.unparsed += last
        elif last:
            self._scan(last)

    def _run(self, parts: list[str], ascii_only: bool) -> None:  # noqa: PLR0912, PLR0915
        """Obey texts and sequences in turn: the loop in which the time goes.

        The cursor, its row and its style live in locals while text is printed, styles change and
        the cursor is put somewhere; for anything else they go back to the screen first.
        """
        screen = self.screen
        positions = screen.positions
        perform = screen.perform
        apply_sgr = screen.attributes.apply_sgr
        operations, cell_operations = screen.operations, screen.cell_operations
        columns = screen.columns
        rows, x, y, attribute = screen.rows, screen.x, screen.y, screen.attribute
        fast = screen.fast
        if fast and screen.pending:
            x = columns
        transitions = attribute.transitions
        last = ""
        each = iter(parts)
        for text, sequence in zip(each, each, strict=True):
            if text:
                end = x + len(text)
                if (
                    fast
                    and end <= columns
                    and (ascii_only or text.isascii())
                    and text.isprintable()
                ):
                    row = rows[y]
                    cells = row.cells
                    if cells is not None:
                        if row.wide:
                            row.clear_split_wide(x, end)
                        cells[x:end] = text
                        row.attributes[x:end] = [attribute] * (end - x)
                    elif x == row.length:
                        row.spans.append((text, attribute))
                        row.length = end
                    else:
                        row.write(x, text, attribute, columns)
                    row.clean = 0
                    x = end
                    last = text
                else:
                    if last:
                        screen.last = last
                        last = ""
                    place = None
                    if fast and len(text) <= _SHORT:
                        place = screen.print_text(text, x, y, attribute)
                    if place is not None:
                        x, y = place
                    else:
                        screen.y = y
                        screen.attribute = attribute
                        if fast:
                            screen.pending = x == columns
                            screen.x = x - 1 if x == columns else x
                        else:
                            screen.x = x
                        if ESC in text:
                            self._scan(text)
                            if not self.unparsed:
                                self._state = _GROUND
                                self._initialize_parser()
                        else:
                            self.unparsed = screen.write(text)
                        if self.unparsed:
                            self.unparsed += sequence + "".join(each)
                            return
                        if screen.adrift and not screen.pending:
                            screen.update_flags()
                        rows, x, y = screen.rows, screen.x, screen.y
                        fast = screen.fast
                        if fast and screen.pending:
                            x = columns
                        attribute = screen.attribute
                        transitions = attribute.transitions
            if fast:
                reached = transitions.get(sequence)
                if reached is not None:
                    attribute = reached
                    transitions = reached.transitions
                    continue
                place = positions.get(sequence)
                if place is not None:
                    y, x = place
                    continue
                if sequence == "\x1b[K" and not screen.protected:
                    if x == columns:
                        x -= 1
                    row = rows[y]
                    if row.cells is not None or x < row.length or not attribute.plain:
                        row.erase(x, columns, attribute.blank, columns)
                    row.wrapped = False
                    continue
                if sequence == "\x1b(B":
                    continue
                cell_operation = cell_operations.get(sequence)
                if cell_operation is not None:
                    screen.y = y
                    screen.pending = x == columns
                    screen.x = x - 1 if x == columns else x
                    screen.attribute = attribute
                    if last:
                        screen.last = last
                        last = ""
                    handler, number, ends = cell_operation
                    handler(number)
                    x, y = screen.x, screen.y
                    if screen.pending and not ends:
                        x = columns
                    if screen.cost > screen.cost_limit:
                        self.unparsed = "".join(each)
                        if self.unparsed:
                            break
                    continue
            if sequence[-1] == "m" and (fast or sequence[1] == "["):
                reached = apply_sgr(attribute, sequence)
                if reached is not None:
                    attribute = reached
                    transitions = reached.transitions
                    continue
            screen.y = y
            if fast:
                screen.pending = x == columns
                screen.x = x - 1 if x == columns else x
            else:
                screen.x = x
            screen.attribute = attribute
            if last:
                screen.last = last
                last = ""
            known = operations.get(sequence)
            if known is None:
                perform(sequence)
            else:
                known[0](*known[1])
            screen.cost += _SEQUENCE_COST
            if screen.adrift and not screen.pending:
                screen.update_flags()
            rows, x, y = screen.rows, screen.x, screen.y
            fast = screen.fast
            if fast and screen.pending:
                x = columns
            attribute = screen.attribute
            transitions = attribute.transitions
            if screen.cost > screen.cost_limit:
                self.unparsed = "".join(each)
                if self.unparsed:
                    break
        screen.y = y
        screen.attribute = attribute
        if fast:
            screen.pending = x == columns
            screen.x = x - 1 if x == columns else x
        if last:
            screen.last = last

    def _scan(self, text: str) -> None:
        """Text with an escape in it that began no whole sequence."""
        screen = self.screen
        at = 0
        while at < len(text):
            begin = text.find(ESC, at)
            if begin != at:
                end = begin if begin >= 0 else len(text)
                rest = screen.write(text[at:end])
                if rest:
                    self.unparsed = rest + text[end:]
                    return
                at = end
                continue
            self._send(ESC)
            at = self._resume(text, at + 1)
            if screen.cost > screen.cost_limit:
                self.unparsed = text[at:]
                return

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
                    self._collect(pieces, run, LONGEST_STRING)
                    if pieces[0] == "\x1b]" and self._length <= 10 and _is_linux(pieces[1:]):
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
                screen.draw(run)
            elif state == _ESCAPE and len(pieces) == 1 and run in "[]PX^_":
                pieces = [ESC + run]
                self._length = 2
                state = _CONTROL if run == "[" else _STRING
            elif (state == _ESCAPE and run < "0") or (state == _CONTROL and run < "@"):
                self._collect(pieces, run, LONGEST)
            else:
                state = self._finish(pieces, run)

    def _collect(self, pieces: list[str], run: str, most: int) -> None:
        self._length += len(run)
        if self._length <= most + 4:
            pieces.append(run)

    def _finish(self, pieces: list[str], end: str) -> int:
        sequence = "".join(pieces) + end
        string = sequence[1] in "]PX^_"
        if self._length <= (LONGEST_STRING if string else LONGEST) + 4:
            self.screen.perform(sequence)
        self._length = 0
        return _GROUND


def _is_linux(pieces: list[str]) -> bool:
    """Whether it is a palette command of the Linux console, which has no end of its own."""
    body = "".join(pieces)
    return body == "R" or _LINUX_PALETTE.fullmatch(body) is not None
