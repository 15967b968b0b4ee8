"""Textual's input parser, with Alt kept on every key it is held with.

Textual names some of what a terminal sends for Alt and a key after another key (`ESC DEL` is
Ctrl+W, `ESC f` Ctrl+Right) and drops Alt from others (`ESC CR`). A program in a shell has to be
told what was pressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser

ESC = "\x1b"
_OTHER_KEY = re.compile(r"\x1b\[27;(\d{1,3});(\d{1,7})~")
"""What modifyOtherKeys sends: modifiers and a character."""


class KeyParser(XTermParser):
    """Bytes of the outer terminal as key events."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        known = sequence in ANSI_SEQUENCES_KEYS
        if known and len(sequence) == 2 and sequence[0] == ESC != sequence[1]:
            return self._with_alt(sequence[1])
        if alt:
            return self._with_alt(sequence)
        if match := _OTHER_KEY.fullmatch(sequence):
            sequence = f"{ESC}[{match[2]};{match[1]}u"
        return super()._sequence_to_key_events(sequence)

    def _with_alt(self, character: str) -> Iterable[events.Key]:
        for event in super()._sequence_to_key_events(character, alt=True):
            held = event.key.startswith("alt+")
            yield event if held else events.Key(f"alt+{event.key}", event.character)
