"""The logs of the embedded world: bounded while they are written, with what was left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sources.local import process_log
from services.sources.local.process_log import LOG_BOUND, LOG_KEPT, BoundedLog, cut

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
LINE = "line {:09d}\n"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "log"
    handle = os.open(path, FLAGS, 0o600)
    yield path, handle
    os.close(handle)


def test_it_never_grows_beyond_its_bound(log: tuple[Path, int]) -> None:
    path, handle = log
    stream, largest, written = BoundedLog(handle), 0, 0
    for number in range(100_000):
        written += stream.write(LINE.format(number))
        largest = max(largest, path.stat().st_size)
    assert largest < LOG_BOUND + process_log._CHECKED_EACH + 100
    first, *rest = path.read_text("utf-8").splitlines()
    assert rest == [LINE.format(n).strip() for n in range(100_000 - len(rest), 100_000)]
    told = re.fullmatch("… ([0-9]+) bytes of this log were left out", first)
    assert told is not None
    assert int(told.group(1)) + len("\n".join(rest)) + 1 == written


def test_what_was_left_out_is_summed(log: tuple[Path, int]) -> None:
    path, handle = log
    for _ in range(2):
        os.write(handle, b"x" * 99 + b"\n" + b"y\n" * LOG_BOUND)
        cut(handle)
        assert path.stat().st_size <= LOG_KEPT
    total = 2 * (100 + 2 * LOG_BOUND)
    first, _, rest = path.read_bytes().partition(b"\n")
    assert int(first.split()[1]) + len(rest) == total
    before = path.read_bytes()
    cut(handle)
    assert path.read_bytes() == before


def test_a_pipe_is_left_alone_and_a_full_disk_ends_nothing() -> None:
    reader, writer = os.pipe()
    cut(writer)
    os.close(reader)
    os.close(writer)
    assert BoundedLog(writer).write("said into nothing\n") == 18
