"""The emulator against the plain reference: same bytes, any cut, same screen."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.terminal.emulator import Emulator
from tests.bench import payloads
from tests.support.reference_terminal import ReferenceTerminal
from tests.support.terminal_compare import difference, emulator_state, reference_state
from tests.support.terminal_tokens import pieces, session, token

SIZES = ((2, 1), (3, 2), (5, 3), (10, 4), (20, 6), (40, 8))


def assert_agrees(data: bytes, columns: int, lines: int, cuts: list[bytes] | None = None) -> None:
    emulator = Emulator(columns, lines)
    for piece in cuts or [data]:
        emulator.feed(piece)
    reference = ReferenceTerminal(columns, lines)
    reference.feed(data)
    assert not difference(emulator_state(emulator), reference_state(reference))


tokens = st.integers(0, 2**32).map(lambda seed: token(random.Random(seed)))


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.lists(tokens, max_size=40), st.sampled_from(SIZES), st.integers(0, 2**16))
def test_any_session_in_any_pieces_draws_what_the_reference_draws(
    parts: list[str], size: tuple[int, int], seed: int
) -> None:
    data = "".join(parts).encode()
    assert_agrees(data, *size)
    assert_agrees(data, *size, cuts=pieces(data, seed))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.sampled_from(SIZES), st.integers(0, 2**16))
def test_any_bytes_at_all_draw_what_the_reference_draws(
    data: bytes, size: tuple[int, int], seed: int
) -> None:
    assert_agrees(data, *size)
    assert_agrees(data, *size, cuts=pieces(data, seed, 4))


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=120), st.sampled_from(SIZES))
def test_any_text_draws_what_the_reference_draws(text: str, size: tuple[int, int]) -> None:
    data = text.encode("utf-8", "replace")
    assert_agrees(data, *size)
    assert_agrees(data, *size, cuts=[data[at : at + 1] for at in range(len(data))])


@pytest.mark.parametrize("seed", range(40))
def test_long_sessions_agree(seed: int) -> None:
    chance = random.Random(seed)
    columns, lines = chance.choice(SIZES)
    data = session(seed, 150)
    assert_agrees(data, columns, lines)
    assert_agrees(data, columns, lines, pieces(data, seed, 60))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(payloads.GENERATED))
def test_bench_payloads_are_drawn_right(name: str) -> None:
    data = payloads.GENERATED[name](15_000)
    assert_agrees(data, 80, 24)
    assert_agrees(data, 33, 7, pieces(data, 1, 900))


@pytest.mark.parametrize("name", sorted(payloads.recordings()))
def test_recorded_programs_are_drawn_right(name: str) -> None:
    data = payloads.recordings()[name]
    assert_agrees(data, 80, 24)
    assert_agrees(data, 80, 24, pieces(data, 7, 40))
    assert_agrees(data, 40, 12, [data[at : at + 1] for at in range(len(data))])


@pytest.mark.slow
def test_mutated_recordings_agree() -> None:
    chance = random.Random(99)
    for data in payloads.recordings().values():
        for _ in range(3):
            mutated = bytearray(data[:4000])
            for _ in range(40):
                at = chance.randrange(len(mutated))
                mutated[at] = chance.choice((chance.randrange(256), 0x1B, 0x5B, 0x3B, 0x0A))
            assert_agrees(bytes(mutated), 80, 24)
