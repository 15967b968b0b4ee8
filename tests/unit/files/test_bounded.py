"""Documents from outside: a value within bounds or a reason, and never anything else."""

from __future__ import annotations

import math
import os
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.files.bounded import (
    LIMITS,
    UnfitError,
    open_regular,
    parse_json,
    parse_toml,
    parse_yaml,
    read_bounded,
    read_tail,
    read_text,
)
from tests.support.nanoclaw import short_folder

DEEP = 30_000
ODD = "[]{}\"'\\:,.-&*<!|>#=\n \t0e1aé\x00\x1b\ud800"
FRAGMENTS = (
    "[" * 70,
    "a." * 40,
    "- " * 70,
    "9" * 5000,
    "1e999",
    "-Infinity",
    "nan",
    "&a [*a]",
    "<<: *a",
    "!!python/object:os.system",
    "!!timestamp 9999-99-99",
    "1:1:1.5",
    '"""',
    "'''",
    "\ufeff",
    "\\u0000",
    "[[x]]",
    "[x.y]",
    "{",
    "]",
    "? ",
    "%YAML 9.9\n---\n",
)
documents = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(ODD, max_size=8)), max_size=30
).map("".join)


def bounded(value: Any, depth: int = 0) -> None:
    """Fails for a value that a reader of it could stumble over."""
    assert depth <= LIMITS.depth
    if isinstance(value, dict):
        for key, one in value.items():
            assert not isinstance(key, str) or len(key) <= LIMITS.key
            bounded(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            bounded(one, depth + 1)
    elif isinstance(value, int):
        float(value)
        assert value.bit_length() <= 64


@given(documents)
@example("[" * DEEP)
@example('{"a":' * DEEP)
@example('[{"":' * DEEP)
@example("9" * 500)
@example("1" * 5000)
@example("1e400")
@example("NaN")
def test_any_json_is_a_value_or_a_reason(text: str) -> None:
    try:
        value = parse_json(text)
    except UnfitError as error:
        assert "\n" not in str(error)
    else:
        bounded(value)
        for one in value if isinstance(value, list) else [value]:
            assert not isinstance(one, float) or math.isfinite(one)


@given(documents)
@example("x = " + "[" * DEEP)
@example("x = " + "{a = " * DEEP)
@example(".".join("a" * DEEP) + " = 1")
@example("[" + ".".join("a" * DEEP) + "]")
@example("x = " + "9" * 5000)
@example('x = "' + '\\"' * 50_000)
@example("a" * 200_000)
@example('x = """' + '"" ' * 50_000)
def test_any_toml_is_a_table_or_a_reason(text: str) -> None:
    try:
        bounded(parse_toml(text))
    except tomllib.TOMLDecodeError:
        pass
    except UnfitError as error:
        assert "\n" not in str(error)


@given(documents)
@example("x: " + "[" * DEEP)
@example("x: " + "{a: " * DEEP)
@example("- " * DEEP)
@example("? " * DEEP)
@example("\n".join(" " * n + "a:" for n in range(500)))
@example("a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(30)))
@example("1:" * 300 + "1.5")
@example("x: !!int ''")
@example("x: !!bool 7")
@example("x: 2001-99-99")
@example("? {a: [b]}\n: c")
@example("a: &a\n  <<: *a")
def test_any_yaml_is_a_value_or_a_reason(text: str) -> None:
    pytest.importorskip("yaml")
    try:
        bounded(parse_yaml(text))
    except UnfitError as error:
        assert "\n" not in str(error)


def test_what_is_usual_is_read() -> None:
    pytest.importorskip("yaml")
    assert parse_json('\ufeff{"a": [1, -2.5e3, 18446744073709551615, null]}')["a"][2] == 2**64 - 1
    assert parse_toml('a.b = 1\nt = "1.1.1"  # ' + "x." * 99) == {"a": {"b": 1}, "t": "1.1.1"}
    assert parse_yaml("a: &b {c: 1}\nd: {<<: *b, e: yes}") == {
        "a": {"c": 1},
        "d": {"c": 1, "e": True},
    }
    assert parse_json("[" * LIMITS.depth + "]" * LIMITS.depth)
    with pytest.raises(UnfitError, match="too deep"):
        parse_json("[" * (LIMITS.depth + 1) + "1" + "]" * (LIMITS.depth + 1))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("key of more than", '{"' + "k" * 5000 + '": 1}'),
        ("more than 250000 values", "[" + "1," * 250_001 + "1]"),
        ("too large", "[" + "9" * 30 + "]"),
        ("not JSON", "{'a': 1}"),
    ],
)
def test_a_refusal_says_why_and_quotes_nothing(words: str, text: str) -> None:
    with pytest.raises(UnfitError, match=words) as caught:
        parse_json(text)
    assert "kkk" not in str(caught.value) and "999" not in str(caught.value)


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "word"), [(folder, "a folder"), (pipe, "a pipe"), (device, "a device")]
)
def test_only_regular_files_are_opened(
    tmp_path: Path, make: Callable[[Path], None], word: str
) -> None:
    path = tmp_path / "one"
    make(path)
    with pytest.raises(UnfitError, match=word):
        read_bounded(path)
    with pytest.raises(OSError, match=word):
        open_regular(path)


def test_a_socket_is_none() -> None:
    with short_folder() as root, socket.socket(socket.AF_UNIX) as one:
        one.bind(str(root / "s"))
        with pytest.raises(UnfitError, match="a socket"):
            read_bounded(root / "s")


def test_size_and_encoding(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"x" * 2048)
    assert len(read_bounded(path, 2048)) == 2048
    with pytest.raises(UnfitError, match="larger than 1 KiB"):
        read_bounded(path, 2047)
    path.write_bytes(b"\xef\xbb\xbfa")
    assert read_text(path) == "a"
    path.write_bytes("a".encode("utf-16"))
    with pytest.raises(UnfitError, match="not UTF-8"):
        read_text(path)


def test_the_end_of_a_file_begins_with_a_whole_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/log").write_bytes(b"one\ntwo\nthree\n")
    ends = {most: read_tail(tmp_path, ("in", "log"), most) for most in (0, 5, 6, 9, 10, 14, 99)}
    assert ends == {
        **{0: b"", 5: b"", 6: b"three\n", 9: b"three\n", 10: b"two\nthree\n"},
        **dict.fromkeys((14, 99), b"one\ntwo\nthree\n"),
    }


@pytest.mark.parametrize("below", [(), ("..", "log"), ("in/log",), ("", "log"), ("in", "a\0b")])
def test_the_end_of_a_file_is_below_the_folder_that_was_named(
    tmp_path: Path, below: tuple[str, ...]
) -> None:
    with pytest.raises(UnfitError, match="leads elsewhere"):
        read_tail(tmp_path, below, 99)


def test_the_end_of_a_file_is_read_through_no_link_and_from_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/log").touch()
    (tmp_path / "way").symlink_to(tmp_path / "in")
    (tmp_path / "in/link").symlink_to("log")
    os.mkfifo(tmp_path / "in/pipe")
    for below in (("way", "log"), ("in", "link"), ("in", "pipe"), ("in",)):
        with pytest.raises((OSError, UnfitError)):
            read_tail(tmp_path, below, 99)
