"""The work of a piece of output is bounded and counted in cells, whatever the output is."""

from __future__ import annotations

import gc
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.terminal.emulator import Emulator, rectangles
from services.terminal.emulator.dispatch import CONTROL_SEQUENCES, CONTROLS, ESCAPES
from tests.support.reference_terminal import ReferenceTerminal
from tests.support.terminal_compare import difference, emulator_state, reference_state
from tests.support.terminal_tokens import token

C = "\x1b["
COLUMNS, LINES = 40, 12
FULL = "".join(f"{C}{y + 1};1H" + "x" * COLUMNS for y in range(LINES))
GRID = FULL + "".join(f"{C}{y + 1};3Hy" for y in range(LINES))
STATES = {
    "plain": "",
    "grid": GRID,
    "protected": f'{C}1"q{FULL}{C}0"q',
    "mixed": "".join(f"{C}{y + 1};1H" + f'{C}1"qx{C}0"qy' * 20 for y in range(LINES)),
    "wide": "".join(f"{C}{y + 1};1H" + "漢" * 20 for y in range(LINES)),
    "margins": f"{GRID}{C}?69h{C}2;39s{C}5;20H",
    "narrow": f"{GRID}{C}?69h{C}2;3s{C}{LINES};2H",
    "insert": f"{GRID}{C}4h{C}5;20H",
}
PARAMETERS = ("", "2", "99", "999;999", "1;1", ";;;;2;2", ";;;;7", "65;;;", "1;1;12;40;1;2;2")
SENT = [
    *(f"{C}{key}" for key in CONTROL_SEQUENCES),
    *(
        f"{C}{key[: key[0] in '<=>?']}{words}{key[key[0] in '<=>?' :]}"
        for key in CONTROL_SEQUENCES
        for words in PARAMETERS
    ),
    *("\x1b" + key for key in ESCAPES),
    *CONTROLS,
    *(f"x{C}9999b", "漢", "e\u0301", f"{C}\n\n\n", f"{C}?1049h", f"{C}?40h{C}?3h"),
]
LIMIT = 1024
MOST = 2 * (LINES + 8) * LINES * (COLUMNS + 32)
"""More than any one sequence may cost: a REP that scrolls the region once a line."""


def test_a_line_of_the_scrollback_is_little_to_the_garbage_collector() -> None:
    emulator = Emulator(COLUMNS, LINES)
    line = "".join(f"{C}3{colour}mword" for colour in range(8)) + f"{C}m\r\n"
    gc.collect()
    before = len(gc.get_objects())
    emulator.feed((line * 2000).encode())
    gc.collect()
    assert emulator.history_size > 1900
    assert len(gc.get_objects()) - before < 4 * 2000


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_parsing_stops_at_its_limit_and_goes_on_where_it_stopped(state: str) -> None:
    for sent in SENT:
        whole, sliced = Emulator(COLUMNS, LINES), Emulator(COLUMNS, LINES)
        for emulator in (whole, sliced):
            emulator.feed(STATES[state].encode())
        data = (sent * 50).encode()
        whole.feed(data)
        sliced.feed(data, LIMIT)
        before = sliced._screen.cost
        while left := sliced.unparsed:
            sliced.feed(b"", LIMIT)
            assert sliced.unparsed < left
            assert sliced._screen.cost - before <= LIMIT + MOST, sent
            before = sliced._screen.cost
        assert not difference(emulator_state(whole), emulator_state(sliced)), (state, sent)


def test_a_flood_of_costly_sequences_is_taken_in_many_slices() -> None:
    for sent in (f"{C}$r", f"{C}?2J", f"{C}$v", "\n", f"{C}99b", "漢字"):
        emulator = Emulator(COLUMNS, LINES)
        emulator.feed(STATES["margins"].encode())
        emulator.feed((sent * 2000).encode(), 4096)
        assert emulator.unparsed > len(sent) * 1000, sent


@pytest.mark.parametrize("seed", range(30))
def test_a_long_repetition_between_margins_ends_as_if_it_had_been_printed(seed: int) -> None:
    chance = random.Random(seed)
    left, top = chance.randint(1, 6), chance.randint(1, 3)
    sent = f"{C}?69h{C}{left};{left + chance.randint(1, 5)}s{C}{top};{top + chance.randint(1, 3)}r"
    sent += chance.choice(("", f"{C}4h", f"{C}?6h")) + f"{C}{chance.randint(1, 6)}"
    sent += f";{chance.randint(1, 20)}H{chance.choice('x漢')}{C}{chance.randint(60, 120)}b"
    emulator, reference = Emulator(20, 6), ReferenceTerminal(20, 6)
    emulator.feed(sent.encode())
    reference.feed(sent.encode())
    assert not difference(emulator_state(emulator), reference_state(reference)), sent


tokens = st.integers(0, 2**32).map(lambda seed: token(random.Random(seed)))


@settings(deadline=None, max_examples=150)
@given(st.lists(tokens, max_size=40), st.integers(1, 5000), st.integers(1, 60))
def test_any_limit_and_any_cut_draw_the_same(parts: list[str], limit: int, cut: int) -> None:
    data = "".join(parts).encode()
    whole, sliced = Emulator(20, 6), Emulator(20, 6)
    whole.feed(data)
    for at in range(0, len(data), cut):
        sliced.feed(data[at : at + cut], limit)
    while sliced.unparsed:
        sliced.feed(b"", limit)
    assert not difference(emulator_state(whole), emulator_state(sliced))


@pytest.mark.parametrize("seed", range(12))
def test_areas_change_style_by_runs_as_they_do_by_cells(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    sent = "".join(
        chance.choice(
            (
                f"{C}{chance.randint(1, 6)};{chance.randint(1, 18)}H漢x",
                f"{C}{chance.choice((1, 4, 31))}m",
                f"{C}{chance.randint(1, 6)};{chance.randint(1, 9)}Hword{C}K",
                f"{C}{chance.randint(0, 2)}*x",
                f"{C}{chance.randint(1, 3)};{chance.randint(1, 9)};{chance.randint(3, 6)};"
                f"{chance.randint(9, 20)};{chance.choice((1, 4, 7))}${chance.choice('rt')}",
            )
        )
        for _ in range(60)
    ).encode()
    runs, cells = Emulator(20, 6), Emulator(20, 6)
    runs.feed(sent)
    monkeypatch.setattr(rectangles, "_FEW", -1)
    cells.feed(sent)
    assert not difference(emulator_state(runs), emulator_state(cells)), sent
    assert any(style.reverse or style.bold for row in runs.rows for _, style in row.runs)
