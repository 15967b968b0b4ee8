"""What the emulator and the reference terminal must agree on."""

from __future__ import annotations

from itertools import islice
from typing import Any

from services.terminal.cells import CellStyle
from services.terminal.emulator.emulator import Emulator
from services.terminal.emulator.row import Row
from services.terminal.emulator.widths import WIDE_SPACER
from tests.support.reference_terminal import Line, ReferenceTerminal

CellState = tuple[str | None, CellStyle, int]


def row_state(row: Row, columns: int) -> list[CellState]:
    """The cells of a row of ours: text (None for a second half), style, protection."""
    cells: list[CellState] = []
    for text, attribute in row.pieces():
        cells += [
            (
                None if char == WIDE_SPACER else row.defaults.clusters.cell(char),
                attribute,
                attribute.protection,
            )
            for char in text
        ]
    return cells + [(" ", CellStyle(), 0)] * (columns - len(cells))


def line_state(line: Line) -> list[CellState]:
    """The same of the reference."""
    return [(cell.text, cell.style, cell.protection) for cell in line.cells]


def emulator_state(emulator: Emulator, lines_back: int = 50) -> dict[str, Any]:
    """Everything visible of the emulator, and the end of its history."""
    screen = emulator._screen
    margins, modes = screen.margins, screen.modes
    history = [
        row_state(screen.history.thaw(entry), screen.columns)
        for entry in screen.history.tail(lines_back)
    ]
    return {
        "cells": [row_state(row, screen.columns) for row in screen.rows],
        "wrapped": [row.wrapped for row in screen.rows],
        "cursor": (screen.cursor.x, screen.cursor.y, screen.cursor.pending),
        "style": (screen.cursor.attribute, screen.cursor.attribute.protection),
        "margins": (margins.top, margins.bottom, margins.left, margins.right),
        "modes": (sorted(modes.private), sorted(modes.ansi), screen.on_alternate),
        "tabs": sorted(screen.tabs.stops),
        "title": screen.title,
        "bells": screen.bells,
        "shape": screen.cursor.style,
        "other": [row_state(row, screen.columns) for row in screen.other_rows],
        "history": history,
        "kept": len(screen.history),
    }


def reference_state(terminal: ReferenceTerminal, lines_back: int = 50) -> dict[str, Any]:
    """The same of the reference."""
    tail = islice(terminal.history, max(0, len(terminal.history) - lines_back), None)
    other = terminal.main if terminal.on_alternate else terminal.alternate
    return {
        "cells": [line_state(line) for line in terminal.grid],
        "wrapped": [line.wrapped for line in terminal.grid],
        "cursor": (terminal.x, terminal.y, terminal.pending),
        "style": (terminal.style, terminal.protection),
        "margins": (terminal.top, terminal.bottom, terminal.left, terminal.right),
        "modes": (sorted(terminal.private), sorted(terminal.ansi), terminal.on_alternate),
        "tabs": sorted(terminal.tabs),
        "title": terminal.title,
        "bells": terminal.bells,
        "shape": terminal.cursor_style,
        "other": [line_state(line) for line in other],
        "history": [line_state(line) for line in tail],
        "kept": len(terminal.history),
    }


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What differs first, in words; empty where nothing does."""
    for name, value in ours.items():
        if value != theirs[name]:
            if name in ("cells", "history", "other"):
                for y, (mine, other) in enumerate(zip(value, theirs[name], strict=True)):
                    for x, pair in enumerate(zip(mine, other, strict=True)):
                        if pair[0] != pair[1]:
                            return f"{name} line {y} column {x}: {pair[0]!r} is not {pair[1]!r}"
            return f"{name}: {value!r} is not {theirs[name]!r}"
    return ""
