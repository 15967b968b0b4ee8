"""What is printed cannot steer a terminal, whoever wrote it."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.text.sanitize import printable
from tui.cli.main import GatedStream, gated, main

HOSTILE = "a\x1b]0;title\x07\x9b31mb\x08c\u202ed\u200be\ud800f\x85g\rh"


def harmful(text: str) -> set[str]:
    kinds = {"Cc", "Cf", "Cs"}
    return {f"{ord(c):04X}" for c in text if unicodedata.category(c) in kinds and c != "\n"}


@given(st.text(st.characters(), max_size=200))
def test_nothing_but_line_ends_steers(text: str) -> None:
    assert not harmful(printable(text))
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_plain_text_stays_as_it_is(text: str) -> None:
    if text.replace("\n", "").isprintable():
        assert printable(text) == text


def test_names_that_differ_in_a_control_character_stay_different() -> None:
    assert printable("a\x07b") == "a‹0007›b" != printable("a\x08b")


def test_a_pile_of_marks_is_bounded() -> None:
    assert len(printable("a" + "\u0301" * 500)) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "ascii"])
def test_every_encoding_can_be_written(encoding: str) -> None:
    raw = io.BytesIO()
    stream = GatedStream(io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    stream.write(f"{HOSTILE} ● 漢\n")
    assert not harmful(raw.getvalue().decode(encoding))
    assert stream.encoding != "ascii"


@pytest.mark.parametrize(
    "argv",
    [
        [HOSTILE],
        ["--" + HOSTILE],
        ["status", HOSTILE],
        ["queues", HOSTILE],
        ["local", "fault", HOSTILE, HOSTILE],
        ["--profile", HOSTILE, "status"],
        ["--config", HOSTILE.replace("\ud800", ""), "config", "path"],
        ["events", "--since", HOSTILE],
    ],
    ids=lambda argv: argv[0][:8] + str(len(argv)),
)
def test_what_was_typed_is_told_back_harmless(
    argv: list[str], capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    with pytest.raises(SystemExit):
        main(argv)
    out, err = capsys.readouterr()
    assert out + err
    assert not harmful(out + err)


def test_the_streams_are_given_back() -> None:
    import sys

    before = sys.stdout, sys.stderr
    with gated(), gated():
        assert isinstance(sys.stdout, GatedStream)
    assert (sys.stdout, sys.stderr) == before
