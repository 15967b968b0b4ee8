"""A log file followed: rotation, truncation and absence, without a line lost or told twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.logs.file_tail import POLL_S, FileTail
from services.logs.reader import LogRecord
from tests.support.clock import FakeClock

LONGEST = 8 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


@pytest.fixture
def tail(path: Path) -> Iterator[FileTail]:
    made = FileTail(path)
    yield made
    made.close()


def add(path: Path, text: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(text)


def told(tail: FileTail, calls: int = 4) -> list[str]:
    """Lines and news of a few calls."""
    found: list[str] = []
    for _ in range(calls):
        lines = tail.more()
        found += [tail.news] if tail.news else []
        found += [line.decode() for line in lines]
    return found


def rotate(path: Path) -> None:
    """The old file gets its last lines after it was renamed, as a writer that is told late does."""
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"new\n")
    add(path.with_suffix(".1"), b"late\nno end")


def rewrite(path: Path) -> None:
    """As long as before, and longer, between two calls: its size says nothing."""
    with path.open("r+b") as stream:
        stream.truncate(0)
        stream.write(b"uno\ndos\ntres\n")


def cut(path: Path) -> None:
    os.truncate(path, 0)
    add(path, b"5\n")


REPLACED = "— the log was replaced: told from its beginning"
CUT = "— the log was cut: told from its beginning"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: add(path, b"o\nthree\n"), ["two", "three"]),
        (rotate, [*("twlate", REPLACED), "no end", "new"]),
        (rewrite, [CUT, "uno", "dos", "tres"]),
        (cut, [CUT, "5"]),
        (lambda path: path.unlink(), ["— the log is not there: waited for"]),
    ],
    ids=["grows", "rotated", "rewritten", "cut", "gone"],
)
def test_whatever_becomes_of_a_file_nothing_is_lost_or_told_twice(
    path: Path, tail: FileTail, change: Callable[[Path], None], said: list[str]
) -> None:
    path.write_bytes(b"one\ntw")
    assert told(tail) == ["one"]
    change(path)
    assert told(tail) == said


def test_a_file_of_the_same_size_in_its_place_is_a_new_one(path: Path, tail: FileTail) -> None:
    path.write_bytes(b"one\n")
    assert told(tail) == ["one"]
    path.rename(path.with_suffix(".1"))
    assert told(tail) == ["— the log is not there: waited for"]
    path.write_bytes(b"two\n")
    assert told(tail) == [REPLACED, "two"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_said_once_and_tried_again(path: Path, tail: FileTail) -> None:
    path.write_bytes(b"one\n")
    path.chmod(0)
    assert told(tail) == ["— the log is not readable for this user: tried again"]
    path.chmod(0o600)
    assert told(tail) == ["— the log can be read", "one"]


def test_a_pipe_in_its_place_is_not_waited_on(path: Path, tail: FileTail) -> None:
    os.mkfifo(path)
    assert told(tail) == ["— the log cannot be read just now: tried again"]
    path.unlink()
    path.write_bytes(b"one\n")
    assert told(tail) == ["— the log can be read", "one"]


@pytest.mark.parametrize(("start", "first"), [(64, "last"), (5, "last"), (4, None), (200_000, "x")])
def test_a_large_file_begins_near_its_end_with_a_whole_line(
    path: Path, start: int, first: str | None
) -> None:
    path.write_bytes(b"x" * 100_000 + b"\nlast\n")
    tail = FileTail(path, start)
    lines = told(tail)
    tail.close()
    assert [line[:4].rstrip("x") or "x" for line in lines][:1] == ([first] if first else [])


def test_a_line_without_an_end_is_bounded(path: Path, tail: FileTail) -> None:
    path.write_bytes(b"")
    tail.more()
    for _ in range(20):
        add(path, b"y" * 10_000)
        assert tail.more() == []
    add(path, b"\nnext\n")
    assert [len(line) for line in tail.more()] == [LONGEST, 4]


async def test_records_come_with_news_apart_from_lines(path: Path) -> None:
    clock = FakeClock()
    reading = FileTail(path, called="agent log").read(clock)
    assert await anext(reading) == LogRecord("— the agent log is not there: waited for", note=True)
    path.write_bytes(b"caf\xe9\n")
    following = asyncio.ensure_future(anext(reading))
    await clock.advance(POLL_S)
    assert await following == LogRecord("— the agent log can be read", note=True)
    assert await anext(reading) == LogRecord("caf\ufffd")
    await reading.aclose()  # type: ignore[attr-defined]
