"""Styles as the emulator keeps them: one object each, with the SGR texts that lead on from it."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import Final

from services.terminal.cells import DEFAULT, PLAIN, CellStyle
from services.terminal.sgr import Change, changes

_STYLES_KEPT = 8192
_STEPS_KEPT = 16_384


class Protection(IntEnum):
    """Which erasures a cell withstands."""

    NONE = 0
    SELECTIVE = 1
    """DECSCA: DECSED, DECSEL and DECSERA leave it."""
    ISO = 2
    """SPA: ED, EL and ECH leave it."""


class Attribute:
    """The style of a cell and what the emulator knows besides; equal ones are the same object."""

    __slots__ = ("blank", "plain", "protection", "root", "steps", "style")

    def __init__(self, style: CellStyle, protection: Protection) -> None:
        self.style = style
        self.protection = protection
        self.plain = style is PLAIN and protection is Protection.NONE
        self.blank: Attribute = self
        """What an erased cell gets: the background alone."""
        self.root: Attribute = self
        """The default attribute: what cells get that were never written."""
        self.steps: dict[str, Attribute] = {}
        """SGR sequences seen before in this style, and the style they lead to."""


class Attributes:
    """The attributes of one emulator, interned; both tables are bounded."""

    def __init__(self) -> None:
        self.plain: Final = Attribute(PLAIN, Protection.NONE)
        self._known: dict[tuple[CellStyle, Protection], Attribute] = {}
        self._changes: dict[str, Change] = {}
        self._stepped: list[Attribute] = []
        self._steps = 0

    def of(self, style: CellStyle, protection: Protection = Protection.NONE) -> Attribute:
        """The attribute of a style."""
        if style == PLAIN and protection is Protection.NONE:
            return self.plain
        key = (style, protection)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _STYLES_KEPT:
                self.forget()
            if style.background == DEFAULT:
                blank = self.plain
            elif key == (CellStyle(background=style.background), Protection.NONE):
                blank = None
            else:
                blank = self.of(CellStyle(background=style.background))
            found = self._known[key] = Attribute(style if style != PLAIN else PLAIN, protection)
            found.blank = blank or found
            found.root = self.plain
        return found

    def step(self, attribute: Attribute, sequence: str) -> Attribute:
        """Where an SGR sequence leads from here, remembered for the next time."""
        change = self._changes.get(sequence)
        if change is None:
            if len(self._changes) >= _STYLES_KEPT:
                self._changes.clear()
            change = self._changes[sequence] = changes(sequence[2:-1])
        style = attribute.style
        if change.reset:
            style = PLAIN if not style.link else CellStyle(link=style.link)
        if change.fields:
            style = replace(style, **change.fields)
        reached = self.of(style, attribute.protection)
        if self._steps >= _STEPS_KEPT:
            self.forget()
        if not attribute.steps:
            self._stepped.append(attribute)
        self._steps += 1
        attribute.steps[sequence] = reached
        return reached

    def forget(self) -> None:
        """Drop what is remembered; attributes in use live on in their cells."""
        self._known.clear()
        self._changes.clear()
        for attribute in self._stepped:
            attribute.steps.clear()
        self._stepped.clear()
        self._steps = 0
