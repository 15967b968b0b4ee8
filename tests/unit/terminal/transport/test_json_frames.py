"""The JSON family on the wire: vectors, and every place a text can be cut.

See upstream/pods: JSON frames.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.models import Retry, ShellState
from services.terminal.transport.framing import Finished, Malformed, Output, RemoteError
from services.terminal.transport.json_frames import (
    PIECE_BYTES,
    Dialect,
    JsonFraming,
    decode,
    encode_resize,
    encode_stdin,
    split_utf8,
)


def test_a_resize_is_the_frame_of_the_family() -> None:
    assert encode_resize(80, 24) == '{"operation":"resize","rows":24,"cols":80}'


@pytest.mark.parametrize(
    ("asked", "told"), [((0, 0), (1, 1)), ((-5, 10), (1, 10)), ((70_000, 3), (65_535, 3))]
)
def test_no_size_leaves_that_a_server_chokes_on(
    asked: tuple[int, int], told: tuple[int, int]
) -> None:
    frame = json.loads(encode_resize(*asked))
    assert (frame["cols"], frame["rows"]) == told


def test_typed_text_is_the_frame_of_the_family() -> None:
    assert encode_stdin("ls\r", 80, 24) == (
        '{"operation":"stdin","data":"ls\\r","rows":24,"cols":80}',
    )


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        ('{"operation":"stdout","data":"…","rows":0,"cols":0}', (Output("…".encode()),)),
        ('{"data":"a"}', (Output(b"a"),)),
        (b'{"data":"a"}', (Output(b"a"),)),
        ('{"error":"no\\u001b[2J pod"}', (RemoteError("no pod"),)),
        ('{"data":"a","error":"b"}', (Output(b"a"), RemoteError("b"))),
        ('{"Code":1}', (1,)),
        ('{"Code":true}', ()),
        ('{"data":""}', ()),
        ("{}", ()),
        ('{"data":"\\ud83d"}', (Output(b"?"),)),
        ('{"data":null,"error":7}', ()),
        ("null", (Malformed("not a JSON object"),)),
        ("[]", (Malformed("not a JSON object"),)),
        ("{", (Malformed("not JSON"),)),
        ('{"data":1}', (Malformed("data is not text"),)),
        (" " * (1 << 20), (Malformed("not JSON"),)),
        ("[" * 100_000, (Malformed("not JSON"),)),
        (b"\xff\xfe\x00", (Malformed("not JSON"),)),
        ("1" * 100_000, (Malformed("not JSON"),)),
    ],
)
def test_what_a_frame_says(frame: str | bytes, events: tuple[object, ...]) -> None:
    assert decode(frame) == events


@settings(deadline=None)
@given(st.one_of(st.text(), st.binary()))
def test_no_frame_raises(frame: str | bytes) -> None:
    JsonFraming(Dialect.ARGO).decode(frame)


def test_the_third_malformed_frame_in_a_row_ends_the_session() -> None:
    framing = JsonFraming()
    assert [Malformed("not JSON")] == list(framing.decode("{"))
    framing.decode("[]")
    framing.decode('{"data":"fine"}')
    framing.decode("{")
    framing.decode("{")
    last = framing.decode("{")[-1]
    assert isinstance(last, Finished)
    assert (last.ending.state, last.ending.retry) == (ShellState.FAILED, Retry.NO)
    assert "protocol" in last.ending.reason


def test_a_renewed_token_ends_an_argo_session_and_says_nothing_to_centml() -> None:
    assert JsonFraming(Dialect.CENTML).decode('{"Code":1}') == ()
    (event,) = JsonFraming(Dialect.ARGO).decode('{"Code":1}')
    assert isinstance(event, Finished)
    assert (event.ending.state, event.ending.retry) == (ShellState.LOST, Retry.AUTO)
    assert JsonFraming(Dialect.ARGO).decode('{"Code":2}') == ()


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(4, 16))
def test_pieces_are_whole_characters_and_add_up(text: str, limit: int) -> None:
    parts = list(split_utf8(text, limit))
    assert "".join(parts) == text
    assert all(0 < len(part.encode()) <= limit for part in parts)


def test_a_big_paste_leaves_in_frames_no_server_cuts() -> None:
    text = "é🚀" * 10_000
    frames = [json.loads(frame) for frame in encode_stdin(text, 80, 24)]
    assert "".join(frame["data"] for frame in frames) == text
    assert all(len(frame["data"].encode()) <= PIECE_BYTES for frame in frames)


@settings(deadline=None)
@given(st.text(max_size=30), st.data())
def test_typed_bytes_may_be_cut_anywhere(text: str, data: st.DataObject) -> None:
    framing = JsonFraming()
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))
    frames = [*framing.encode_input(raw[:cut]), *framing.encode_input(raw[cut:])]
    assert "".join(json.loads(frame)["data"] for frame in frames) == text


def test_input_that_is_no_text_still_leaves() -> None:
    (frame,) = JsonFraming().encode_input(b"a\xffb")
    assert json.loads(frame)["data"] == "a\ufffdb"


def test_input_carries_the_latest_size() -> None:
    framing = JsonFraming()
    framing.encode_resize(132, 50)
    (frame,) = framing.encode_input(b"x")
    assert (json.loads(frame)["cols"], json.loads(frame)["rows"]) == (132, 50)
