"""terminado's and ttyd's frames: vectors, hostile ones, and every place a text can be cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.models import ShellState
from services.terminal.transport.framing import Finished, Framing, Malformed, Output
from services.terminal.transport.json_frames import PIECE_BYTES
from services.terminal.transport.server_frames import TerminadoFraming, TtydFraming


def test_terminado_says_sizes_rows_first_and_within_bounds() -> None:
    framing = TerminadoFraming()
    assert json.loads(framing.encode_resize(101, 33)) == ["set_size", 33, 101]
    assert json.loads(framing.encode_resize(0, 70_000)) == ["set_size", 65_535, 1]


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        ('["setup", {}]', ()),
        ('["stdout", "a中"]', (Output("a中".encode()),)),
        ('["stdout", ""]', ()),
        ('["stdout", "\\ud83d"]', (Output(b"?"),)),
        ('["something_new", 1, 2]', ()),
        (b'["stdout", "x"]', (Output(b"x"),)),
    ],
)
def test_terminado_events(frame: str | bytes, events: tuple[object, ...]) -> None:
    assert TerminadoFraming().decode(frame) == events


def test_terminados_disconnect_is_an_end_and_its_number_no_code() -> None:
    (event,) = TerminadoFraming().decode('["disconnect", 1]')
    assert isinstance(event, Finished)
    assert (event.ending.state, event.ending.code) == (ShellState.ENDED, None)


HOSTILE = ("null", "[]", "{", "{}", "[1]", '["stdout"]', '["stdout", 7]', "[" * 5000, " " * 9999)


@pytest.mark.parametrize("frame", HOSTILE)
def test_what_is_not_terminados_is_dropped_and_the_third_in_a_row_ends_it(frame: str) -> None:
    framing = TerminadoFraming()
    assert isinstance(framing.decode(frame)[0], Malformed)
    framing.decode('["stdout", "fine"]')
    assert isinstance(framing.decode(frame)[0], Malformed)
    assert isinstance(framing.decode(frame)[0], Malformed)
    (end,) = framing.decode(frame)
    assert isinstance(end, Finished) and end.ending.state is ShellState.FAILED


def test_ttyd_greets_once_with_its_token_and_then_says_sizes() -> None:
    framing = TtydFraming("dG9rZW4=")
    assert framing.subprotocols == ("tty",)
    hello = json.loads(framing.encode_resize(91, 27))
    assert hello == {"AuthToken": "dG9rZW4=", "columns": 91, "rows": 27}
    again = framing.encode_resize(0, 99_999)
    assert again[:1] == b"1" and json.loads(again[1:]) == {"columns": 1, "rows": 65_535}


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        (b"0abc\xff", (Output(b"abc\xff"),)),
        (b"0", ()),
        (b"1title", ()),
        (b'2{"a":1}', ()),
        ("0text", (Output(b"text"),)),
    ],
)
def test_ttyd_events(frame: str | bytes, events: tuple[object, ...]) -> None:
    assert TtydFraming().decode(frame) == events


@pytest.mark.parametrize("frame", [b"", b"9x", b"\x00", b"\xff", "é"])
def test_what_is_not_ttyds_is_dropped_and_the_third_in_a_row_ends_it(frame: str | bytes) -> None:
    framing = TtydFraming()
    for _ in range(2):
        assert isinstance(framing.decode(frame)[0], Malformed)
    assert isinstance(framing.decode(frame)[0], Finished)


def typed(framing: Framing, pieces: list[bytes]) -> bytes:
    sent = b""
    for piece in pieces:
        for frame in framing.encode_input(piece):
            assert len(frame.encode() if isinstance(frame, str) else frame) <= 2 * PIECE_BYTES
            sent += frame[1:] if isinstance(frame, bytes) else json.loads(frame)[1].encode()
    return sent


@pytest.mark.parametrize("family", [TerminadoFraming, TtydFraming])
@given(text=st.text(max_size=40), cuts=st.lists(st.integers(0, 160), max_size=4))
def test_input_arrives_whole_wherever_it_is_cut(
    family: type[Framing], text: str, cuts: list[int]
) -> None:
    data = text.encode("utf-8", "replace")
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert typed(family(), pieces) == data


@pytest.mark.parametrize("family", [TerminadoFraming, TtydFraming])
def test_a_large_paste_travels_in_pieces(family: type[Framing]) -> None:
    data = "中x".encode() * 50_000
    assert typed(family(), [data]) == data


@given(st.binary(max_size=200))
def test_no_frame_raises(data: bytes) -> None:
    for framing in (TerminadoFraming(), TtydFraming()):
        framing.decode(data)
        framing.decode(data.decode("latin-1"))
