"""A state machine for sequences that are broken or arrive in pieces, a character at a time."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from operator import length_hint
from typing import Final

from services.terminal.emulator import sequences
from services.terminal.emulator.dispatch import perform
from services.terminal.emulator.print import draw
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.sequences import ESC, SEQUENCE

_ENDED: Final = re.compile(r"\](?:R|P[0-9A-Fa-f]{7}|[^\x07\x18\x1a]*\x07)")
"""A string that ends in its own piece."""
_OPEN: Final = re.compile(r"\][^\x07\x18\x1a]*|[PX^_][^\x18\x1a]*")
_STRING_END: Final = re.compile(r"[\x07\x18\x1a\x1b]")
_CHARACTER_COST: Final = 32
"""What a character costs, in cells."""
_GROUND, _ESCAPE, _CONTROL, _STRING, _STRING_ESCAPE = range(5)


class SequenceMachine:
    """Where in a sequence the output stands; obeys it when it ends."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._length = 0
        self._states_reached = self._states()
        self._state = next(self._states_reached)

    @property
    def busy(self) -> bool:
        """Whether a sequence has begun and not ended."""
        return self._state != _GROUND

    def obey(self, piece: str, pieces: list[str], each: Iterator[str]) -> str:
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
            done = self.resume(piece, 0)
            if not self.busy or screen.cost > screen.cost_limit:
                return piece[done:]
            following = next(each, None)
            if following is None:
                return ""
            piece = following

    def resume(self, text: str, at: int) -> int:
        """Carry on inside a sequence; the place at which it has ended, or the limit was met."""
        size = len(text)
        screen = self.screen
        while at < size and self.busy and screen.cost <= screen.cost_limit:
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
        self._state = self._states_reached.send(run)

    def _states(self) -> Generator[int, str, None]:  # noqa: PLR0912
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
