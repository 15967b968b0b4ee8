"""What is typed for us in a shell of the command line, however the keys are cut into reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.cli.relay import Escape, EscapeKeys


@pytest.mark.parametrize(
    ("typed", "sent", "asked"),
    [
        (b"~.", b"", Escape.LEAVE),
        (b"ls\r~.", b"ls\r", Escape.LEAVE),
        (b"a~.", b"a~.", None),
        (b"\r~?x", b"\rx", Escape.HELP),
        (b"\r~~.", b"\r~.", None),
        (b"\r~x~.", b"\r~x~.", None),
        (b"\r~\r~.", b"\r~\r", Escape.LEAVE),
        (b"\r~?~.", b"\r", Escape.LEAVE),
        (b"cd ~\r", b"cd ~\r", None),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 99])
def test_the_way_out(typed: bytes, sent: bytes, asked: Escape | None, cut: int) -> None:
    keys, output, last = EscapeKeys(), b"", None
    for start in range(0, len(typed), cut):
        part, told = keys.feed(typed[start : start + cut])
        output, last = output + part, told or last
    assert (output, last) == (sent, asked)


@given(st.binary().filter(lambda data: b"~" not in data))
def test_everything_else_goes_to_the_shell(data: bytes) -> None:
    assert EscapeKeys().feed(data) == (data, None)
