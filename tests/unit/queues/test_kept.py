"""Queue files that stay open between visits: no writer waits, no other file is taken for them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import psutil
import pytest

from services.queues import kept, readonly
from services.queues.errors import QueueFileError
from services.queues.kept import KeptFiles


def make(path: Path, value: str, *, wal: bool = False) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    if wal:
        db.execute("PRAGMA journal_mode=wal")
    db.execute("CREATE TABLE t (v TEXT)")
    db.execute("INSERT INTO t VALUES (?)", (value,))
    db.close()


def read(files: KeptFiles, path: Path) -> list[tuple[object, ...]]:
    with files.open(path) as db:
        return db.fetch("SELECT v FROM t")


def held(folder: Path) -> list[str]:
    """The files below a folder that this process has open."""
    return sorted(
        Path(one.path).name
        for one in psutil.Process().open_files()
        if folder in Path(one.path).parents
    )


def test_a_writer_at_the_other_side_never_waits_and_is_seen(tmp_path: Path) -> None:
    path, files = tmp_path / "q.db", KeptFiles()
    make(path, "old")
    assert read(files, path) == [("old",)]
    assert held(tmp_path) == ["q.db"]
    writer = sqlite3.connect(path, timeout=0, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("UPDATE t SET v = 'new'")
    writer.execute("COMMIT")
    writer.close()
    assert read(files, path) == [("new",)]
    files.close()
    assert held(tmp_path) == []


def test_another_file_in_its_place_is_read_instead(tmp_path: Path) -> None:
    path, files = tmp_path / "q.db", KeptFiles()
    make(path, "first")
    read(files, path)
    make(tmp_path / "other.db", "second")
    os.replace(tmp_path / "other.db", path)  # noqa: PTH105
    assert read(files, path) == [("second",)]
    path.unlink()
    with pytest.raises(QueueFileError):
        read(files, path)
    assert held(tmp_path) == [], "what is gone is let go of"
    files.close()


def test_a_write_ahead_log_is_not_kept_from_its_end(tmp_path: Path) -> None:
    path, files = tmp_path / "q.db", KeptFiles()
    make(path, "one", wal=True)
    assert read(files, path) == [("one",)]
    assert held(tmp_path) == []
    files.close()


def test_few_stay_open_and_none_after_an_error_or_the_end(tmp_path: Path) -> None:
    files = KeptFiles(most=2)
    paths = [tmp_path / f"{number}.db" for number in range(4)]
    for path in paths:
        make(path, path.stem)
        assert read(files, path) == [(path.stem,)]
    assert held(tmp_path) == ["2.db", "3.db"]
    with pytest.raises(QueueFileError), files.open(paths[3]) as db:
        db.fetch("SELECT nothing FROM nowhere")
    assert held(tmp_path) == ["2.db"]
    with files.open(paths[2]) as first, files.open(paths[2]) as second:
        assert first is not second, "two visits at once have a connection each"
    assert held(tmp_path) == ["2.db"]
    with files.open(paths[2]):
        files.close()
    assert held(tmp_path) == []


def test_a_file_that_changes_its_name_while_it_is_opened_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, files = tmp_path / "q.db", KeptFiles()
    make(path, "first")
    make(tmp_path / "other.db", "second")
    opened = readonly.connect

    def connect(name: str, *, any_thread: bool) -> object:
        db = opened(name, any_thread=any_thread)
        os.replace(tmp_path / "other.db", path)  # noqa: PTH105
        return db

    monkeypatch.setattr(kept, "connect", connect)
    assert read(files, path) == [("first",)]
    monkeypatch.undo()
    assert held(tmp_path) == []
    assert read(files, path) == [("second",)]
    files.close()
