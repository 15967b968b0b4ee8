"""Packets come whole however they were cut, and what is no panel is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProcessError
from services.web.panel_process import DATA, LARGEST, PRELUDE, Unpacker, environment, meta, packet
from services.web.viewers import sizes


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 17))
def test_packets_come_whole_however_they_are_cut(payloads: list[bytes], step: int) -> None:
    stream = b"a warning\n" + PRELUDE + b"".join(packet(DATA, one) for one in payloads)
    unpacker, found = Unpacker(), []
    for at in range(0, len(stream), step):
        found += list(unpacker.feed(stream[at : at + step]))
    assert found == [(DATA, one) for one in payloads]


@pytest.mark.parametrize("said", [b"x" * 5000, PRELUDE + b"D" + (LARGEST + 1).to_bytes(4, "big")])
def test_what_is_no_panel_is_told(said: bytes) -> None:
    with pytest.raises(ProcessError):
        list(Unpacker().feed(said))


def test_a_word_beside_the_input_names_its_kind() -> None:
    assert meta("resize", width=80) == packet(b"M", b'{"type":"resize","width":80}')


def test_a_page_has_a_terminal_of_its_own() -> None:
    theirs = {"TMUX": "x", "NO_COLOR": "1", "LC_ALL": "C", "PATH": "/bin", "WAKEDECK_PROFILE": "p"}
    env = environment(theirs, 45, 30, "/views")
    assert not {"TMUX", "NO_COLOR", "LC_ALL"} & env.keys()
    assert (env["COLORTERM"], env["TERM"]) == ("truecolor", "xterm-256color")
    assert env["LANG"] == "C.UTF-8"
    assert (env["COLUMNS"], env["ROWS"], env["PATH"]) == ("45", "30", "/bin")
    assert env["WAKEDECK_PROFILE"] == "p"


def test_sizes_are_those_a_panel_can_have() -> None:
    assert sizes(1e9, -4) == (600, 5)
    assert sizes(52.9, 40) == (52, 40)
