"""Skipping floods: what is dropped, what survives, and where nothing is ever cut."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.terminal.session import cut_points
from services.terminal.session.cut_points import (
    find_cut_point,
    net_effect,
    unfinished_character,
    unfinished_sequence,
)
from services.terminal.session.output_buffer import KEPT_BYTES, LIMIT_BYTES, OutputBuffer

FRESH = b"\x1b]8;;\x1b\\\x1b[m\r\x1b[K"
TOKENS = (
    b"plain text",
    b"\n",
    b"\r\n",
    "wörd 🚀 漢".encode(),
    b"\x1b[31m",
    b"\x1b[?2004h",
    b"\x1b[?2004l",
    b"\x1b[?1049h",
    b"\x1b[?25l",
    b"\x1b]0;a title\x07",
    b"\x1b]2;other\x1b\\",
    b"\x1bPq some\nsixel\x1b\\",
    b"\x1b(0",
    b"\x1b(B",
    b"\x1b[4;20r",
    b"\x1b[1\n;31m",
    b"\x1bM",
)


def everything(buffer: OutputBuffer, piece: int = 4096) -> bytes:
    out = b""
    while buffer:
        out += buffer.take(piece)
    return out


def test_what_fits_comes_out_as_it_went_in() -> None:
    buffer = OutputBuffer()
    for _ in range(10):
        buffer.append(b"0123456789" * 1000)
    assert everything(buffer, 333) == b"0123456789" * 10_000
    assert (buffer.skipped, buffer.skipping) == (0, False)


def test_a_flood_keeps_its_end_from_a_line_start() -> None:
    buffer = OutputBuffer()
    lines = b"".join(b"line %06d\r\n" % number for number in range(200_000))
    for start in range(0, len(lines), 16_384):
        buffer.append(lines[start : start + 16_384])
        assert len(buffer) <= LIMIT_BYTES
    assert buffer.skipping
    kept = everything(buffer)
    assert kept.startswith(FRESH)
    text = kept[len(FRESH) :]
    assert re.fullmatch(rb"(?:line \d{6}\r\n)+", text)
    assert text.endswith(b"line 199999\r\n")
    assert buffer.skipped + len(text) == len(lines)
    assert not buffer.skipping


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([40, 700, 9000]), st.booleans())
def test_a_scan_ahead_finds_what_a_scan_at_once_would(seed: int, size: int, takes: bool) -> None:
    chance = random.Random(seed)
    tokens = [*TOKENS, b"\x0e", b"\x0f", b"\x1bc", b"\x1b[!p", b"\x1b]2;cut", b"\x1b[?10"]
    tokens += [b"\x1b[?1049l", b"\x1b[?47h", b"\x1b[?25;1047l", b"\x1b[r", b"\x1b[?7;6h"]
    tokens += [b"\x1b[?6l", b"\x1b)0", b"\x1b=", b"\x1b>", b"\x1b[2 q"]
    tokens += [b"line\r\n" * 50] * 20
    buffer = OutputBuffer()
    fed = b""
    stream = b""
    while not buffer.skipping:
        piece = b"".join(chance.choices(tokens, k=size // 10 + 1))
        cut = chance.randrange(len(piece) + 1)
        for part in (piece[:cut], piece[cut:]):
            if not buffer.skipping:
                stream += part
                buffer.append(part)
        if takes and not buffer.skipping:
            fed += buffer.take(chance.randrange(size * 4))
    data = unfinished_sequence(fed) + stream[len(fed) :]
    start, introducer = find_cut_point(data, len(data) - KEPT_BYTES)
    assert everything(buffer) == net_effect(data[:start]) + introducer + data[start:]


def test_little_is_never_skipped() -> None:
    buffer = OutputBuffer()
    buffer.append(b"x" * KEPT_BYTES)
    buffer.skip()
    assert (len(buffer), buffer.skipped) == (KEPT_BYTES, 0)


def test_a_flood_that_only_faltered_keeps_no_mib_waiting() -> None:
    now = 0.0
    buffer = OutputBuffer(lambda: now)
    buffer.append(b"line\n" * LIMIT_BYTES)
    everything(buffer)
    skipped = buffer.skipped
    buffer.append(b"line\n" * (LIMIT_BYTES // 10))
    assert buffer.skipped > skipped
    assert len(buffer) < 2 * KEPT_BYTES
    everything(buffer)
    skipped = buffer.skipped
    now = 2.0
    buffer.append(b"line\n" * (LIMIT_BYTES // 10))
    assert (buffer.skipping, buffer.skipped) == (False, skipped)


def test_a_sequence_fed_by_half_before_a_skip_still_counts() -> None:
    buffer = OutputBuffer()
    buffer.append(b"$ \x1b[?20")
    assert buffer.take(100) == b"$ \x1b[?20"
    buffer.append(b"04h" + b"y\r\n" * LIMIT_BYTES)
    assert buffer.take(100).startswith(b"\x1b[?2004h")


def test_a_string_without_an_end_stays_a_string() -> None:
    buffer = OutputBuffer()
    buffer.append(b"ok\n\x1bP" + b"payload\n" * (LIMIT_BYTES // 4))
    kept = everything(buffer)
    assert kept.startswith(FRESH + b"\x1bP")
    assert b"ok" not in kept


def test_no_line_start_at_all_still_cuts_between_characters() -> None:
    buffer = OutputBuffer()
    buffer.append("漢".encode() * LIMIT_BYTES)
    text = everything(buffer)[len(FRESH) :]
    assert set(text.decode()) == {"漢"}


@pytest.mark.parametrize(
    ("dropped", "effect"),
    [
        (b"plain", b""),
        (b"\x1b[?1049h\x1b[?25l", b"\x1b[?1049h\x1b[?25l"),
        (b"\x1b[?1049h vim \x1b[?1049l", b""),
        (b"\x1b[?1049l then \x1b[?1049h", b"\x1b[?1049h"),
        (b"\x1b[?2004h\x1b[?2004l", b"\x1b[?2004l"),
        (b"\x1b[?1000;1006h\x1b[?1000l", b"\x1b[?1006h\x1b[?1000l"),
        (b"\x1b[?3h\x1b[?12345h", b""),
        (b"\x1b[?25l\x1bc", b"\x1bc"),
        (b"\x1bc\x1b[?25l", b"\x1bc\x1b[?25l"),
        (b"\x1b[?25l\x1b[?2004h\x1b[!p", b"\x1b[!p\x1b[?2004h"),
        (b"\x1b(0\x1b(B\x1b)0", b"\x1b(B\x1b)0"),
        (b"\x0e\x0f", b"\x0f"),
        (b"\x1b[2;5r\x1b[r", b"\x1b[r"),
        (b"\x1b=\x1b>", b"\x1b>"),
        (b"\x1b[4 q", b"\x1b[4 q"),
        (b"\x1b[4h", b"\x1b[4h"),
        (b"\x1b]0;one\x07\x1b]2;two\x1b\\", b"\x1b]2;two\x1b\\"),
        (b"\x1b[31m\x1b[2J\x1b[5;5H", b""),
    ],
)
def test_the_net_effect(dropped: bytes, effect: bytes) -> None:
    assert net_effect(dropped) == effect + FRESH


def test_titles_of_either_kind_replace_each_other() -> None:
    assert net_effect(b"\x1b]2;a\x07\x1b]0;b\x07").count(b"\x1b]") == 2  # b, and the link's end


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=30), st.data())
def test_nothing_is_cut_wherever_it_is_asked(tokens: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(tokens)
    bounds = {0}
    for token in tokens:
        end = max(bounds)
        whole = token.startswith(b"\x1b") or not token.strip()
        bounds |= {end + len(token)} if whole else {end + n for n in range(len(token) + 1)}
    wanted = data.draw(st.integers(0, len(stream)))
    start, introducer = find_cut_point(stream, wanted)
    assert introducer == b""
    assert wanted <= start <= len(stream)
    # A string may be parted from the ESC \ that ends it: alone, that does nothing.
    assert start in bounds or stream[start : start + 2] == b"\x1b\\"
    assert stream[start : start + 1] == b"" or stream[start] & 0xC0 != 0x80


@pytest.mark.parametrize("sequence", [token for token in TOKENS if token.startswith(b"\x1b")])
def test_every_unfinished_sequence_is_noticed_at_every_byte(sequence: bytes) -> None:
    for cut in range(1, len(sequence)):
        head = sequence[:cut]
        if head.endswith(b"\x1b") and cut > 1:
            assert unfinished_sequence(b"text" + head) == b"\x1b"
        else:
            assert unfinished_sequence(b"text" + head) == head
    assert unfinished_sequence(sequence) == b""


def test_an_unfinished_character_is_noticed_at_every_byte() -> None:
    for char in ("a", "é", "漢", "🚀"):
        raw = char.encode()
        for cut in range(len(raw) + 1):
            expected = cut if cut < len(raw) else 0
            assert unfinished_character(b"x" + raw[:cut]) == expected


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"\x1b[>1u", b"\x1b[>1u"),
        (b"\x1b[>1uA\x1b[<u", b""),
        (b"\x1b[>1uA\x1b[>1uB\x1b[<uC", b"\x1b[>1u"),
        (b"A\x1b[<2u", b"\x1b[<2u"),
        (b"\x1b[<u\x1b[=1u", b"\x1b[<1u\x1b[=1;1u"),
        (b"\x1b[>1u\x1bc", b""),
    ],
)
def test_a_dropped_part_leaves_the_keyboard_stack_as_it_would_have_been(
    sent: bytes, kept: bytes
) -> None:
    changes = cut_points.mode_changes(sent)
    assert changes.replace(b"\x1bc", b"") == kept
    assert changes + b"\x1b[>1u" == cut_points.mode_changes(sent + b"\x1b[>1u")
