"""Hostile input: no exception, no unbounded growth, nothing unsafe in a cell or an answer."""

from __future__ import annotations

import random
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.terminal.emulator import Emulator
from tests.bench import payloads
from tests.support.terminal_tokens import pieces, session

UNSAFE = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))} | {
    *"\u200e\u200f\u061c\u2066\u2067\u2068\u2069\u202a\u202b\u202c\u202d\u202e\u2028\u2029"
}


def assert_harmless(emulator: Emulator) -> None:
    for row in [*emulator.rows, *(emulator.history_row(n) for n in last_numbers(emulator))]:
        for text, style in row.runs:
            assert not UNSAFE.intersection(text)
            assert not UNSAFE.intersection(style.link)
        assert row.text is not None
    assert not UNSAFE.intersection(emulator.title)
    assert len(emulator.title) <= 200
    cursor = emulator.cursor
    assert 0 <= cursor.column < emulator.columns and 0 <= cursor.line < emulator.lines
    assert len(emulator.rows) == len(emulator.display) == emulator.lines


def last_numbers(emulator: Emulator) -> range:
    end = emulator.history_base + emulator.history_size
    return range(max(emulator.history_base, end - 20), end)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.integers(0, 2**20).map(lambda seed: session(seed, 12)),
            st.tuples(st.integers(0, 90), st.integers(0, 40)),
        ),
        max_size=12,
    )
)
def test_nothing_raises_and_nothing_unsafe_is_shown(
    steps: list[bytes | tuple[int, int]],
) -> None:
    answers: list[bytes] = []
    emulator = Emulator(20, 5, answers.append, history=30, allow_clipboard=True)
    for step in steps:
        if isinstance(step, bytes):
            emulator.feed(step)
        else:
            emulator.resize(*step)
        assert_harmless(emulator)
    assert emulator.history_size <= 30


@pytest.mark.parametrize("seed", range(12))
def test_mutated_recordings_and_resizes_do_no_harm(seed: int) -> None:
    chance = random.Random(seed)
    emulator = Emulator(80, 24, history=200)
    for data in payloads.recordings().values():
        mutated = bytearray(data)
        for _ in range(len(mutated) // 20):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        for piece in pieces(bytes(mutated), seed, 500):
            emulator.feed(piece)
            if chance.randrange(6) == 0:
                emulator.resize(chance.randrange(1, 120), chance.randrange(1, 40))
        assert_harmless(emulator)


def test_an_answer_never_repeats_what_it_was_sent() -> None:
    answers: list[bytes] = []
    emulator = Emulator(20, 5, answers.append)
    emulator.feed(
        b"\x1b]0;rm -rf evil\x07\x1b]2;evil\x07\x1b[21t\x1b[20t\x1bP$qevil\x1b\\\x1bP+qevil\x1b\\"
    )
    emulator.feed(
        b"\x1bP+q6576696C\x1b\\\x1b]4;1;evil\x07\x1b]4;evil;?\x07\x1b]52;c;ZXZpbA==\x07\x1b]52;c;?\x07"
    )
    emulator.feed(b"\x1b]8;;evil\x07\x1b[999$p\x05")
    joined = b"".join(answers)
    assert b"evil" not in joined and b"6576696C" not in joined and b"ZXZp" not in joined
    assert b"\r" not in joined and b"\n" not in joined


@pytest.mark.slow
@pytest.mark.parametrize(
    "flood",
    [
        b"\x1b]0;" + b"x" * 70_000,
        b"\x1bP" + b"q" * 70_000,
        b"\x1b[" + b"1;" * 40_000,
        b"\x1b(((((((((((" * 6000,
        "e\u0301\u0302".encode() * 20_000,
        b"".join(
            b"\x1b[38;2;%d;%d;%dm#" % (n & 255, n >> 8 & 255, n * 7 & 255) for n in range(20_000)
        ),
        b"".join(b"\x1b]8;;http://h/%d\x07l" % n for n in range(20_000)),
        b"".join(b"\x1b[%d;%dH" % (n, n * 3) for n in range(20_000)),
        b"".join(b"\x1b]4;%d;#%06x\x07" % (n % 300, n) for n in range(10_000)),
        b"\x1b[22;0t" * 20_000,
        b"\x1bH\x1b[C" * 20_000,
        b"".join(chr(0x4E00 + n % 20_000).encode() + b"\xcc\x81" for n in range(40_000)),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_memory_stays_flat_under_a_flood(flood: bytes) -> None:
    emulator = Emulator(80, 24, history=100)
    for _ in range(2):
        emulator.feed(flood)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2):
            emulator.feed(flood)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 4_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "odd",
    [
        "\u0301",
        "\u200d",
        "\x1bé",
        "\x1b\x01",
        "\x1b",
        "\x1b]",
        "\x1b[",
        "\x1bP\x1b",
        "\b",
        "🇫",
        "\x9b",
    ],
    ids=ascii,
)
def test_long_runs_of_oddities_cost_no_more_than_their_length(odd: str) -> None:
    """A cost that grew with the square of the length would keep this test for hours."""
    emulator = Emulator(80, 24)
    emulator.feed(("a" + odd * 200_000).encode())
    assert_harmless(emulator)


def test_an_endless_string_is_swallowed_and_ends() -> None:
    emulator = Emulator(20, 3)
    emulator.feed(b"\x1b]0;")
    for _ in range(40):
        emulator.feed(b"x" * 65_536)
    assert sum(map(sys.getsizeof, emulator.display)) < 2000
    emulator.feed(b"\x07after")
    assert emulator.display[0].rstrip() == "after"
    assert emulator.title == ""


@pytest.mark.slow
def test_history_of_ten_thousand_coloured_lines_is_small() -> None:
    tracemalloc.start()
    try:
        emulator = Emulator(80, 24)
        data = payloads.coloured(65_536)
        for _ in range(20):
            emulator.feed(data)
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert emulator.history_size == 10_000
    assert size < 30_000_000
