"""Interned cell attributes, each with a cache of the SGR sequences that follow it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from services.terminal.cells import CellStyle
from services.terminal.emulator.sequences import LONGEST_REMEMBERED
from services.terminal.emulator.sgr import (
    Change,
    background_of,
    changes,
    fields_of,
    protected,
    protection_of,
)

_KEPT: Final = 32_768
_NO_TRANSITIONS: Final[dict[str, Attribute]] = {}


class Protection(IntEnum):
    """Which erasures a cell withstands."""

    NONE = 0
    SELECTIVE = 1
    """DECSCA: DECSED, DECSEL and DECSERA leave it."""
    ISO = 2
    """SPA: ED, EL and ECH leave it."""


class Attribute(CellStyle):
    """A style as the emulator keeps it, with what it knows besides; equal ones are one object.

    It is made from its packed form: what a view asks for is filled in when it first asks.
    """

    __slots__ = ("blank", "owner", "packed", "plain", "transitions")

    blank: Attribute
    """What an erased cell gets: the background alone."""

    # Views find it frozen, as every style; only this module fills it in.
    __setattr__ = object.__setattr__

    def __init__(self, owner: Attributes, packed: int, link: str) -> None:
        object.__setattr__(self, "link", link)
        self.owner = owner
        self.packed = packed
        self.plain = not packed and not link
        self.transitions = _NO_TRANSITIONS
        """SGR sequences seen before in this style, and the style they lead to."""

    def __getattr__(self, name: str) -> Any:
        """Fill the slots that are left empty until somebody asks."""
        if name == "blank":
            self.blank = self.owner.of(background_of(self.packed))
            return self.blank
        for field, value in fields_of(self.packed).items():
            object.__setattr__(self, field, value)
        return object.__getattribute__(self, name)

    @property
    def protection(self) -> int:
        """Which erasures its cells withstand, as `Protection` counts."""
        return protection_of(self.packed)


class Attributes:
    """The attributes of one emulator, interned; every table is bounded."""

    def __init__(self) -> None:
        self.plain: Final = Attribute(self, 0, "")
        self._known: dict[int, Attribute] = {0: self.plain}
        self._linked: dict[tuple[int, str], Attribute] = {}
        self.changes: dict[str, Change] = {}
        self._with_transitions: list[Attribute] = []
        self._transition_count = 0

    def of(self, packed: int, link: str = "") -> Attribute:
        """The attribute of a packed style."""
        found = self._linked.get((packed, link)) if link else self._known.get(packed)
        if found is None:
            if len(self._known) + len(self._linked) >= _KEPT:
                self.forget()
            found = Attribute(self, packed, link)
            if link:
                self._linked[packed, link] = found
            else:
                self._known[packed] = found
        return found

    def apply_sgr(self, attribute: Attribute, sequence: str) -> Attribute | None:
        """Where an SGR sequence leads from here; None where it is another kind of sequence."""
        change = self.changes.get(sequence)
        if change is None:
            change = changes(sequence)
            if change is None:
                return None
            if len(sequence) > LONGEST_REMEMBERED:
                return self.of(attribute.packed & change[0] | change[1], attribute.link)
            if len(self.changes) >= _KEPT:
                self.changes.clear()
            self.changes[sequence] = change
            return self.of(attribute.packed & change[0] | change[1], attribute.link)
        packed = attribute.packed & change[0] | change[1]
        reached = None if attribute.link else self._known.get(packed)
        if reached is None:
            reached = self.of(packed, attribute.link)
        # Only what came twice is worth a place among the steps.
        if self._transition_count >= _KEPT:
            self._forget_transitions()
        if attribute.transitions is _NO_TRANSITIONS:
            attribute.transitions = {}
            self._with_transitions.append(attribute)
        self._transition_count += 1
        attribute.transitions[sequence] = reached
        return reached

    def with_link(self, attribute: Attribute, link: str) -> Attribute:
        """The same style with another link."""
        return self.of(attribute.packed, link)

    def protected(self, attribute: Attribute, protection: Protection) -> Attribute:
        """The same style with another protection."""
        return self.of(protected(attribute.packed, protection), attribute.link)

    def forget(self) -> None:
        """Drop what is remembered; attributes in use live on in their cells."""
        self._known = {0: self.plain}
        self._linked.clear()
        self._forget_transitions()

    def _forget_transitions(self) -> None:
        for attribute in self._with_transitions:
            attribute.transitions = _NO_TRANSITIONS
        self._with_transitions.clear()
        self._transition_count = 0
