"""A screen of given rows, for drawing tests: what an emulator would show, without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.terminal.cells import (
    DEFAULT_MODES,
    PLAIN,
    Cursor,
    PromptMark,
    Run,
    TerminalModes,
)


@dataclass(slots=True, eq=False)
class GivenRow:
    """A row made of runs."""

    runs: Sequence[Run]
    wrapped: bool = False
    cache: object | None = None

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.runs).rstrip(" ")


def row(text: str, wrapped: bool = False) -> GivenRow:
    """A plain row."""
    return GivenRow([(text, PLAIN)] if text else [], wrapped)


@dataclass(slots=True)
class GivenScreen:
    """A screen with a scrollback, both given; tests change what they like."""

    rows: list[GivenRow]
    columns: int = 20
    history: list[GivenRow] = field(default_factory=list)
    history_base: int = 0
    cursor: Cursor = field(default_factory=lambda: Cursor(0, 0))
    modes: TerminalModes = DEFAULT_MODES
    title: str = ""
    folder: str = ""
    prompt_marks: Sequence[PromptMark] = ()
    bells: int = 0
    colours: dict[int, int] = field(default_factory=dict)
    damage: frozenset[int] | None = None

    @property
    def lines(self) -> int:
        return len(self.rows)

    @property
    def history_size(self) -> int:
        return len(self.history)

    def history_row(self, number: int) -> GivenRow:
        index = number - self.history_base
        if not 0 <= index < len(self.history):
            raise IndexError(number)
        return self.history[index]

    def take_damage(self) -> frozenset[int] | None:
        taken, self.damage = self.damage, frozenset()
        return taken
