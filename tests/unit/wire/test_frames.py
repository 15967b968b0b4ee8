"""Frames and messages: any cut of the bytes reads the same, and nothing is read without a bound."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wire.frames import LARGEST_FRAME, LONGEST_NOISE, FrameReader, WireError, frame
from services.wire.messages import Call, Delta, Hello, Ping, decode, encode

HELLO = encode(Hello(1, "wakedeck", "0.1", sources=[]))


@pytest.mark.slow
@given(st.lists(st.integers(1, 40), max_size=40), st.binary(max_size=200))
def test_any_cut_reads_the_same(cuts: list[int], noise: bytes) -> None:
    noise = noise.replace(b"\0", b"-")
    data = noise + HELLO + encode(Ping(1.5)) + encode(Call(1, "probe", {"sandbox": "a" * 300}))
    reader, payloads, place = FrameReader(), [], 0
    for size in [*cuts, len(data)]:
        payloads += list(reader.feed(data[place : place + size]))
        place += size
    assert [type(decode(one)).__name__ for one in payloads] == ["Hello", "Ping", "Call"]
    assert bytes(reader.noise) == noise and not reader.unfinished


def test_noise_that_looks_like_a_length_is_still_noise() -> None:
    reader = FrameReader()
    noise = b"Last login\0\0\0\0\0\1\0x\0\0\0\3yes "
    assert len(list(reader.feed(noise + HELLO))) == 1
    assert bytes(reader.noise) == noise


def test_a_flood_without_a_hello_is_refused_and_bounded() -> None:
    reader = FrameReader()
    with pytest.raises(WireError, match="no hello"):
        for _ in range(1000):
            list(reader.feed(b"x" * 4096))
    assert len(reader.noise) == LONGEST_NOISE


@pytest.mark.parametrize("size", [0, LARGEST_FRAME + 1, 0xFFFFFFFF])
def test_a_length_beyond_the_limit_is_refused(size: int) -> None:
    reader = FrameReader()
    list(reader.feed(HELLO))
    with pytest.raises(WireError, match="was announced"):
        list(reader.feed(size.to_bytes(4, "big") + b"\x80"))


def test_too_large_a_message_is_not_sent() -> None:
    with pytest.raises(WireError):
        frame(b"x" * (LARGEST_FRAME + 1))


def test_what_a_later_version_adds_is_ignored() -> None:
    packed = msgspec.msgpack.encode
    assert decode(packed({"type": "weather", "rain": True})) == "weather"
    said = decode(packed({"type": "delta", "source": "a", "seq": 1, "now": 2.0, "colour": "red"}))
    assert said == Delta("a", 1, 2.0)
    with pytest.raises(WireError, match="a delta message cannot be read"):
        decode(packed({"type": "delta", "source": 3, "seq": 1, "now": 2.0}))


def test_nesting_without_an_end_is_refused() -> None:
    with pytest.raises(WireError):
        decode(b"\x82\xa4type\xa4item\xa5value" + b"\x91" * 200_000)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_refusal(data: bytes) -> None:
    try:
        decode(data)
    except WireError as error:
        assert str(error)


def test_a_delta_of_nothing_new_is_small() -> None:
    """Two sources a second and a ping each five seconds stay below 200 bytes a second."""
    at_rest = len(encode(Delta("nanoclaw", 70_000, 1.8e9, 1.8e9)))
    assert 2 * at_rest + len(encode(Ping(1e6))) / 5 < 200
