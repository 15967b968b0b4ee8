"""The filter grammar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widgets.table.filter import matcher, narrows, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("   ", ()),
        ("!", ()),
        ("Due", (("due", True),)),
        ("!due", (("due", False),)),
        ("a !b c", (("a", True), ("b", False), ("c", True))),
        ('"two words"', (("two words", True),)),
        ('!"two words" x', (("two words", False), ("x", True))),
        ('"still typing', (("still typing", True),)),
        ('""', ()),
        ("STRASSE", (("strasse", True),)),
        ("!!", ()),
    ],
)
def test_terms(text: str, expected: tuple[tuple[str, bool], ...]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "hay", "shown"),
    [
        ("red", "a red fox", True),
        ("red", "a blue fox", False),
        ("!red", "a blue fox", True),
        ("!red", "a red fox", False),
        ("fox red", "a red fox", True),
        ("fox blue", "a red fox", False),
        ("fox !red", "a red fox", False),
        ('"d f"', "a red fox", True),
        ("[", "a [bold] fox", True),
        (".*", "a red fox", False),
    ],
)
def test_matching(text: str, hay: str, shown: bool) -> None:
    judge = matcher(text)
    assert judge is not None
    assert judge(hay.casefold()) is shown


@pytest.mark.parametrize("text", ["", " ", "!", '""', "! !"])
def test_a_filter_that_says_nothing_lets_all_through(text: str) -> None:
    assert matcher(text) is None


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=40))
def test_no_text_breaks_it(text: str, hay: str) -> None:
    judge = matcher(text)
    expected = all((needle in hay) is wanted for needle, wanted in terms(text))
    assert (judge(hay) if judge else True) is expected


@settings(deadline=None)
@given(st.text('ab "!', max_size=6), st.text('ab "!', max_size=6), st.text("ab ", max_size=8))
def test_a_narrower_filter_lets_nothing_new_through(before: str, more: str, hay: str) -> None:
    wide, narrow = matcher(before), matcher(before + more)
    if narrows(before, before + more) and wide is not None and narrow is not None:
        assert wide(hay) or not narrow(hay)


def test_only_words_typed_on_are_narrower() -> None:
    assert narrows("re", "red") and narrows("red", "red b") and narrows("", "r")
    assert not narrows("red", "re") and not narrows("a", "a !b") and not narrows('"a', '"a b')


def test_a_list_of_names_finds_any_of_them() -> None:
    judge = matcher("alder | birch !old | cedar")
    assert judge is not None
    assert [name for name in ("alder", "birch", "birch old", "cedar", "elm") if judge(name)] == [
        *("alder", "birch", "cedar")
    ]
    assert terms("alder | birch") == (), "no word of it has to be there"
    assert matcher(" | ") is None
    assert not narrows("alder", "alder | b")
    quoted = matcher('"a | b"')
    assert quoted is not None and quoted("x a | b y") and not quoted("a b")


@settings(deadline=None)
@given(st.text('ab "!|', max_size=10), st.lists(st.text("ab ", max_size=6), max_size=12))
def test_many_are_judged_as_each_is(text: str, hays: list[str]) -> None:
    judge = matcher(text)
    if judge is not None:
        expected = [at for at, hay in enumerate(hays) if judge(hay)]
        assert judge.among(range(len(hays)), hays.__getitem__) == expected
