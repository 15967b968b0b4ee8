"""Outside text is shown, never obeyed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.text.sanitize import end_sentence, sanitize, sanitize_block

HOSTILE = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b]52;c;aGVsbG8=\x07copied", "copied"),
    ("\x1b]0;title\x1b\\after", "after"),
    ("\x1bP1$r0m\x1b\\dcs", "dcs"),
    ("\x9b31mc1", "c1"),
    ("[bold red]markup[/]", "[bold red]markup[/]"),
    ("a\u202eb", "a‹202E›b"),
    ("a\u200bb", "a‹200B›b"),
    ("one\ntwo\r\n\tthree", "one two three"),
    ("bell\x07", "bell\ufffd"),
    ("\u3164hidden", "‹3164›hidden"),
    ("日本語 café ✓", "日本語 café ✓"),
    ("z" + "\u0301" * 50, "z\u0301\u0301"),
]


@pytest.mark.parametrize(("raw", "shown"), HOSTILE)
def test_hostile_text_becomes_harmless(raw: str, shown: str) -> None:
    assert sanitize(raw) == shown


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=600), st.integers(8, 100))
def test_nothing_invisible_or_active_survives(raw: str, limit: int) -> None:
    line = sanitize(raw, limit)
    assert len(line) <= limit
    for char in line:
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), line
    for row in sanitize_block(raw, limit).split("\n"):
        assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in row)


@given(st.text(max_size=200))
@example("\u0301 a")
def test_making_plain_twice_changes_nothing_more(raw: str) -> None:
    assert sanitize(sanitize(raw)) == sanitize(raw)


def test_a_huge_text_is_cut_and_says_so() -> None:
    assert sanitize("x" * 10_000_000, 50) == "x" * 49 + "…"
    assert sanitize_block("line\n" * 1_000_000, 100).endswith("…")
    assert sanitize_block("one\n" + "x" * 300, 100) == "one\n" + "x" * 95 + "…"


@pytest.mark.parametrize(
    ("text", "said"),
    [("read-only", "read-only."), ("Is it running?", "Is it running?"), ("No.", "No."), ("", "")],
)
def test_a_sentence_ends_once(text: str, said: str) -> None:
    assert end_sentence(text) == said
