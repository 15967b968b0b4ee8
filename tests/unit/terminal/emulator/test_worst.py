"""A search for the worst output: work that its cost does not count, in lines of ours that ran.

Lines are the same in every run, as times are not. What one line does to whole rows is what the cost
counts in cells.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings, target
from hypothesis import strategies as st

from services.terminal.emulator import Emulator
from services.terminal.emulator.dispatch import CONTROL_SEQUENCES
from tests.unit.terminal.emulator.test_cost import COLUMNS, LINES, SENT, STATES

TIMES = 20
A_BYTE = 60
"""Lines that a byte may take: a control between two texts, outside the fast state."""
A_CELL = 1
"""Lines that a cell of its cost may take."""
A_SLICE = 2048
COLD = 400
"""Lines of the first time, in which sequences are resolved."""


def lines_of(emulator: Emulator, data: bytes, cells: int | None = None) -> int:
    """How many lines of the emulator run for it."""
    count = 0

    def line(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, _event: str, _argument: Any) -> Any:
        return line if "emulator" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        emulator.feed(data, cells)
    finally:
        sys.settrace(before)
    return count


def emulator_in(state: str) -> Emulator:
    emulator = Emulator(COLUMNS, LINES, lambda _: None)
    emulator.feed(STATES[state].encode())
    return emulator


keys = st.sampled_from(sorted(CONTROL_SEQUENCES))
numbers = st.lists(st.sampled_from((0, 1, 2, 3, 6, 12, 40, 69, 999, 65535)), max_size=8)


def spelt(key: str, parameters: list[int]) -> str:
    marker = key[: key[0] in "<=>?"]
    return f"\x1b[{marker}{';'.join(map(str, parameters))}{key[len(marker) :]}"


sequences = st.builds(spelt, keys, numbers) | st.sampled_from(SENT)
outputs = st.lists(sequences | st.text("x漢\u0301\r\n\t\b", min_size=1, max_size=3), min_size=1)


@pytest.mark.slow
@settings(deadline=None, max_examples=120)
@given(st.sampled_from(sorted(STATES)), outputs.map("".join).filter(lambda text: len(text) < 80))
@example("margins", "x\x1b[9999b")
@example("mixed", "\x1b[?2J")
@example("insert", "漢\x1b[4l\x1b[4h")
def test_no_output_takes_more_than_its_bytes_and_its_cost(state: str, sent: str) -> None:
    emulator = emulator_in(state)
    data = sent.encode()
    lines_of(emulator, data)  # Resolved once.
    before = emulator._screen.cost
    ran = lines_of(emulator, data * TIMES)
    allowed = A_BYTE * len(data) * TIMES + A_CELL * (emulator._screen.cost - before)
    target(ran / allowed)
    assert ran <= allowed, (state, sent, ran, allowed)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(STATES)), sequences)
@example("narrow", "x\x1b[9999b")
def test_no_slice_of_a_flood_takes_long(state: str, sent: str) -> None:
    emulator = emulator_in(state)
    data = sent.encode() * TIMES
    before = emulator._screen.cost
    worst = lines_of(emulator, data, A_SLICE)
    for _ in range(8):
        if emulator.unparsed:
            worst = max(worst, lines_of(emulator, b"", A_SLICE))
    dearest = max(emulator._screen.cost - before, A_SLICE)
    allowed = COLD + A_BYTE * len(data) + A_CELL * dearest
    target(worst / allowed)
    assert worst <= allowed, (state, sent, worst, allowed)
