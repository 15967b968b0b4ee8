"""The screen a parser drives: maps controls and sequences to handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.terminal.emulator.dispatch import (
    ALL,
    CELL_OPERATIONS,
    CONTROL_SEQUENCES,
    CONTROLS,
    ENDS_PENDING_WRAP,
    ESCAPES,
    LONGEST,
    LONGEST_REMEMBERED,
    LONGEST_STRING,
    SEQUENCE,
    parse,
)
from services.terminal.emulator.osc import OscCommands
from services.terminal.emulator.sgr import is_sgr
from services.terminal.emulator.state import Beginning, Meaning, charset

_OPERATIONS_KEPT = 8192
_PIECES_KEPT = 4096
_PIECES_PASSED = 65_536
NOTHING, STYLE, PLACE, UNKNOWN, GENERAL, ERASE_TO_END, MOVES, CHANGES = range(8)
"""What a piece begins with: a sequence without effect, SGR, CUP, one not known by its piece, any
other one; EL to the end; one of the `CELL_OPERATIONS`, by whether it ends a pending wrap."""
_SLOTS = {"(": 0, ")": 1, "*": 2, "+": 3, "-": 1, ".": 2, "/": 3}


class Screen(OscCommands):
    """Controls and whole sequences in, changes out."""

    def __init__(
        self, columns: int, lines: int, reply: Callable[[bytes], None] | None, history: int
    ) -> None:
        super().__init__(columns, lines, reply, history)
        self._controls = {char: self._handler(name) for char, name in CONTROLS.items()}

    def control(self, char: str) -> None:
        """Obey a C0 control; those that mean nothing here are ignored."""
        handler = self._controls.get(char)
        if handler is not None:
            handler()

    def perform(self, sequence: str) -> None:
        """Obey a whole escape sequence; what it means is remembered."""
        known = self.operations.get(sequence)
        if known is None:
            if (
                sequence[-1] == "m"
                and sequence[1] == "["
                and (style := self.attributes.apply_sgr(self.attribute, sequence[1:-1]))
            ):
                self.attribute = style
                return
            kind = sequence[1]
            if kind == "]":
                self._string(sequence, self.command)
                return
            if kind in "PX^_":
                if kind == "P":
                    self._string(sequence, lambda body, _: self.device_string(body))
                return
            if len(sequence) > LONGEST:
                return
            if len(sequence) > LONGEST_REMEMBERED:
                handler, numbers = self._resolve(sequence)
                handler(*numbers)
                return
            known = self._remember(sequence)
        known[0](*known[1])

    def learn(self, piece: str, meaning: Meaning) -> bool:
        """Remember what a piece means while the screen is fast; whether there is room for more."""
        kind, first, second, text, width = meaning
        if width < 0 and text.isascii():
            meaning = kind, first, second, self.pieces(text) or text, width
        self.meanings[piece] = meaning
        return len(self.meanings) < _PIECES_KEPT

    def learns(self, count: int) -> bool:
        """Whether to remember pieces, of which so many came.

        Where nothing comes twice remembering would cost most of the time: once there is no room,
        some pass before it begins anew.
        """
        if len(self.meanings) < _PIECES_KEPT:
            return True
        self.unlearnt += count
        if self.unlearnt < _PIECES_PASSED:
            return False
        self.unlearnt = 0
        self.meanings.clear()
        return True

    def begins(self, piece: str) -> tuple[int, Any, Any, str]:
        """The kind of the sequence a piece begins with, what its kind needs, and the text after.

        Sequences are remembered where they may come again.
        """
        match = SEQUENCE.match(piece)
        if match is None:
            return UNKNOWN, None, None, ""
        sequence, text = match[0], piece[match.end() :]
        if sequence[-1] == "m" and is_sgr(sequence[:-1]):
            return STYLE, sequence[:-1], None, text
        found = self.beginnings.get(sequence)
        if found is None:
            found = self._begins(sequence)
            if len(sequence) <= LONGEST_REMEMBERED:
                if len(self.beginnings) >= _OPERATIONS_KEPT:
                    self.beginnings.clear()
                self.beginnings[sequence] = found
        return *found, text

    def _begins(self, piece: str) -> Beginning:
        if piece == "(B":
            return NOTHING, None, None
        sequence = "\x1b" + piece
        if len(sequence) > LONGEST_REMEMBERED:
            return UNKNOWN, None, None
        known = self.operations.get(sequence)
        if known is None:
            known = self._remember(sequence)
        place = self.positions.get(piece[:-1])
        if place is not None and piece[-1] in "Hf":
            return PLACE, *place
        operation = self.cell_operations.get(sequence)
        if operation is None:
            return GENERAL, *known
        handler, number, ends = operation
        if handler == self.erase_in_line and not number:
            return ERASE_TO_END, handler, number
        return MOVES if ends else CHANGES, handler, number

    def _remember(self, sequence: str) -> tuple[Callable[..., None], tuple[int, ...]]:
        if len(self.operations) >= _OPERATIONS_KEPT:
            self.forget_positions()
        found = self.operations[sequence] = self._resolve(sequence)
        return found

    def _string(self, sequence: str, obey: Callable[[str, str], None]) -> None:
        end = "\x07" if sequence.endswith("\x07") else "\x1b\\"
        body = sequence[2:].removesuffix(end)
        if len(body) <= LONGEST_STRING:
            obey(body, end)

    def _resolve(self, sequence: str) -> tuple[Callable[..., None], tuple[int, ...]]:
        if sequence[1] != "[":
            return self._resolve_escape(sequence[1:]), ()
        parsed = parse(sequence[2:])
        if parsed is None:
            return self.debug, ()
        key, numbers = parsed
        found = CONTROL_SEQUENCES.get(key)
        if found is None:
            return self.debug, ()
        name, wanted = found
        if wanted != ALL:
            numbers = numbers[:wanted]
        if len(sequence) <= LONGEST_REMEMBERED:
            if key in ("H", "f") and not self.origin:
                self._remember_position(sequence, numbers)
            if name in CELL_OPERATIONS:
                ends = name in ENDS_PENDING_WRAP
                self.cell_operations[sequence] = getattr(self, name), sum(numbers), ends
        return self._handler(name), tuple(numbers)

    def _handler(self, name: str) -> Callable[..., None]:
        """What obeys an event, and ends a pending wrap where the event does."""
        handler: Callable[..., None] = getattr(self, name)
        if name not in ENDS_PENDING_WRAP:
            return handler

        def ending(*numbers: int) -> None:
            handler(*numbers)
            self.pending = False

        return ending

    def _remember_position(self, sequence: str, numbers: list[int]) -> None:
        line, column = (*numbers, 0, 0)[:2]
        if len(self.positions) >= _OPERATIONS_KEPT:
            self.positions.clear()
        self.positions[sequence[1:-1]] = (
            min(max(line, 1), self.lines) - 1,
            min(max(column, 1), self.columns) - 1,
        )

    def _resolve_escape(self, text: str) -> Callable[..., None]:
        name = ESCAPES.get(text)
        if name is not None:
            return self._handler(name)
        if len(text) == 2 and text[0] in _SLOTS:
            slot, chosen = _SLOTS[text[0]], charset(text[1]) if text[0] in "()*+" else None
            return lambda: self.define_charset(chosen, slot)
        return self.debug

    def define_charset(self, chosen: Any, slot: int) -> None:
        """Designate a character set."""
        self.charsets[slot] = chosen
        self.update_flags()

    def select_graphic_rendition(self, *codes: int) -> None:
        """SGR by numbers."""
        self.perform("\x1b[" + ";".join(map(str, codes)) + "m")

    def shift_in(self) -> None:
        """SI."""
        self._lock(0)

    def shift_out(self) -> None:
        """SO."""
        self._lock(1)

    def lock_shift_2(self) -> None:
        """LS2."""
        self._lock(2)

    def lock_shift_3(self) -> None:
        """LS3."""
        self._lock(3)

    def _lock(self, slot: int) -> None:
        self.gl = slot
        self.update_flags()

    def single_shift_2(self) -> None:
        """SS2."""
        self.shift = 2
        self.update_flags()

    def single_shift_3(self) -> None:
        """SS3."""
        self.shift = 3
        self.update_flags()

    def keypad_application(self) -> None:
        """DECKPAM."""
        self.private.add(66)

    def keypad_numeric(self) -> None:
        """DECKPNM."""
        self.private.discard(66)

    def scroll_region_down_if_alone(self, *numbers: int) -> None:
        """SD; with more parameters it would be highlight mouse tracking."""
        if len(numbers) <= 1:
            self.scroll_region_down(*numbers)

    def bell(self) -> None:
        """BEL."""
        self.bells += 1

    def set_title(self, title: str) -> None:
        """OSC 2."""
        self.command("2;" + title, "\x07")

    def set_icon_name(self, name: str) -> None:
        """OSC 1."""
        self.command("1;" + name, "\x07")

    def debug(self, *_: object, **__: object) -> None:
        """A sequence that means nothing here."""
