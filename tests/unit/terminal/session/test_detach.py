"""Guessing whether a shell is idle: an interrupt may only go to one that is."""

from __future__ import annotations

import pytest

from services.terminal.session.detach import PromptDetector


@pytest.mark.parametrize(
    ("output", "idle"),
    [
        ([], False),
        ([b"\x1b[?2004hbox $ "], True),
        ([b"\x1b[?2004hbox $ ", b"sleep 9\r\n\x1b[?2004l\r"], False),
        ([b"\x1b[?2004h$ ", b"x\x1b[?2004l\r", b"done $ "], False),
        ([b"\x1b[?20", b"04h$ "], True),
        ([b"\x1b[?2004h$ ", b"\x1b[?2004l\r" + b"y\n" * 9000], False),
        ([b"\x1b[?2004h"], False),
        ([b"\x1b[?2004h$ ", b"^C\x1b[?2004l\r\x1b[?2004h"], False),
        ([b"# "], True),
        ([b"/ # \x1b[6n"], True),
        ([b"/ # ", b"sleep 9\r\n"], False),
        ([b"progress 50%"], False),
        ([b"\x1b[?2004h$ ", b"\x1b[?1049hvim \x1b[?2004h"], False),
        ([b"\x1b[?1049h", b"\x1b[?1049l\x1b[?2004h$ "], True),
    ],
)
def test_idle_or_busy(output: list[bytes], idle: bool) -> None:
    sense = PromptDetector()
    for piece in output:
        sense.feed(piece)
    assert sense.idle is idle
