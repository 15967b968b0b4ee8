"""JSON5 as editors leave it, and what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.files.bounded import MalformedError, UnfitError
from services.files.json5 import parse_json5

WHOLE = """\ufeff// a comment
{
  gateway: { mode: 'local', port: 0x4001, /* in * between */ "auth": { token: 'it\\'s "q" \\x41\\
!', }, },
  $odd_1: [1, 2., .5, +3, -0x10, 1e3, null, true,],
  'quoted': "tab\there", ünï: 'x', // the end
}
"""


def test_everything_that_json_does_not_have() -> None:
    assert parse_json5(WHOLE) == {
        "gateway": {"mode": "local", "port": 0x4001, "auth": {"token": 'it\'s "q" A!'}},
        "$odd_1": [1, 2, 0.5, 3, -16, 1e3, None, True],
        "quoted": "tab\there",
        "ünï": "x",
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "{a: b}", "{,}", "[1,,]", "[,]", "{a: 1", "{a: 1}}", "/* x", "{'a' 1}", "\\", "word"),
        *("{a: Infinity}", "{a: 'x\ny'}", "{a: 1} // c\n2", "'open", "{true x: 1}"),
    ],
    ids=range(16),
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(MalformedError, match="it is not JSON5"):
        parse_json5(text)


@pytest.mark.parametrize(
    "text",
    [
        *("/*" * 200_000, "'" + "\\a" * 200_000, "[" * 200_000, "a" * 400_000, "1e" * 100_000),
        *('{"' * 100_000, "{a:" * 100_000, "," * 200_000, "-" * 200_000, "/*" + "*" * 400_000),
        "{a: 0x" + "f" * 100_000 + "}",
    ],
    ids=range(11),
)
def test_what_is_long_and_none_is_refused_soon(text: str) -> None:
    with pytest.raises(UnfitError):
        parse_json5(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=12,
    )
)
def test_json_is_json5_also_with_a_comment(value: object) -> None:
    assert parse_json5(f"// x\n{json.dumps(value)}/* y */") == value
    assert parse_json5(f"// x\n[{json.dumps(value, ensure_ascii=False)},]") == [value]


@given(st.text(alphabet="{}[]:,'\"\\/*-+.0x1eab \n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_json5(text)
    except UnfitError:
        pass
