"""A long scrollback is reflowed in bounded slices; the end is the same as all at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from services.terminal.emulator import Emulator
from services.terminal.emulator import emulator as module
from services.terminal.emulator.reflow import reflow_slice
from services.terminal.emulator.screen import Screen

KINDS: dict[str, Callable[[random.Random], str]] = {
    "short": lambda chance: "word " * chance.randrange(4),
    "long": lambda chance: "0123456789" * chance.randrange(40),
    "coloured": lambda chance: (
        "\x1b[31mred\x1b[0m and \x1b[7mwide 漢字\x1b[m " * chance.randrange(9)
    ),
    "blanks": lambda chance: "x" + " " * chance.randrange(70) + "\x1b[44m \x1b[m",
    "marked": lambda chance: f"\x1b]133;A\x07$ \x1b]133;B\x07{'y' * chance.randrange(99)}",
}


def fed(kind: str, count: int, seed: int, history: int = 10_000) -> Emulator:
    chance = random.Random(seed)
    make = KINDS[kind]
    emulator = Emulator(80, 24, history=history)
    emulator.feed("".join(f"{n} {make(chance)}\r\n" for n in range(count)).encode())
    return emulator


def state(emulator: Emulator) -> dict[str, Any]:
    """Everything that a reflow moves, with line numbers counted from the end."""
    history = emulator._screen.history
    end = emulator.history_base + emulator.history_size
    return {
        "history": [(row.runs, row.wrapped) for row in map(history.thaw, history)],
        "rows": [(row.content.rstrip(), row.wrapped) for row in emulator._screen.rows],
        "cursor": emulator.cursor,
        "marks": [(mark.line - end, mark.column, mark.part) for mark in emulator.prompt_marks],
        "waiting": emulator.unreflowed,
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_slices_end_where_one_step_would(kind: str, seed: int) -> None:
    whole, sliced = (fed(kind, 1500, seed, history=2000) for _ in range(2))
    chance = random.Random(seed)
    for _ in range(5):
        columns, lines = chance.randrange(40, 150), chance.randrange(1, 60)
        whole.resize(columns, lines)
        sliced.resize(columns, lines, sliced=True)
        for _ in range(chance.randrange(40)):
            sliced.feed(b"", 1)
        if chance.random() < 0.5:  # Output and another size come before the last slice, too.
            whole.feed(b"more\r\n")
            sliced.feed(b"more\r\n", 1)
    sliced.feed(b"")
    assert not sliced.unreflowed
    kept, found = state(whole), state(sliced)
    # What a narrow size drops for want of room, it drops only where its slices came to that.
    size = min(len(kept["history"]), len(found["history"])) - 300
    assert size > 200
    for each in (kept, found):
        each["history"] = each["history"][-size:]
        each["marks"] = [mark for mark in each["marks"] if mark[0] >= -size]
    assert found == kept


def test_what_the_screen_shows_is_right_at_once_and_numbers_stay() -> None:
    whole, sliced = fed("long", 3000, 1), fed("long", 3000, 1)
    whole.resize(133, 50)
    sliced.resize(133, 50, sliced=True)
    assert sliced.unreflowed > 1000
    assert sliced.display == whole.display
    end = sliced.history_base + sliced.history_size
    newest = sliced.history_row(end - 1).text
    while sliced.unreflowed:
        before = sliced.unreflowed
        sliced.feed(b"", 1)
        assert sliced.unreflowed < before
        assert sliced.history_base + sliced.history_size == end
    assert sliced.history_row(end - 1).text == newest
    assert sliced.history_size == whole.history_size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"), [(80, 79), (200, 20), (20, 200), (400, 5), (5, 400), (400, 2)]
)
@pytest.mark.parametrize(
    "sent", ["word word\r\n", "x" * 390 + "\r\n", "y" * 997, "漢" * 199 + "\r\n"]
)
def test_no_slice_makes_more_than_its_rows(
    before: int, after: int, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = Emulator(before, 24)
    while emulator.history_size < 10_000:
        emulator.feed(sent.encode() * 500)
    made: list[int] = []

    def counted(screen: Screen) -> None:
        had = screen.cost
        reflow_slice(screen)
        made.append((screen.cost - had) // (screen.columns + 32))

    monkeypatch.setattr(module, "reflow_slice", counted)
    emulator.resize(after, 60, sliced=True)
    while emulator.unreflowed:
        emulator.feed(b"", 1)
    assert len(made) >= 4
    # A slice of one line more: of 390 cells, or of the piece of an endless one.
    assert max(made) <= 256 + 4 * 256 + before // max(after - 1, 1) + 1


def test_clearing_the_scrollback_clears_what_waits() -> None:
    emulator = fed("short", 3000, 1)
    emulator.resize(40, 24, sliced=True)
    assert emulator.unreflowed
    emulator.feed(b"\x1b[3J", 1)
    emulator.feed(b"")
    assert emulator.unreflowed == emulator.history_size == 0
