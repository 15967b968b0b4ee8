"""The journal on real files: kept, pruned, shared, damaged, locked."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.journal import store as journal_module
from services.journal.rows import APPLICATION_ID
from services.journal.store import Journal
from services.journal.writing import MAX_ROWS, RETENTION_S
from services.models import (
    Event,
    Severity,
)
from tests.support.clock import FakeClock
from tests.support.waiting import eventually


def event(text: str, at: float | None = None, **more: str) -> Event:
    fields: dict[str, Any] = {"source": "here", "subject": "box", "kind": "sandbox", **more}
    return Event(time.time() if at is None else at, Severity.WORSE, text=text, **fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


async def written(path: Path, count: int) -> None:
    await eventually(lambda: len(rows(path)) >= count, what="nothing was written")


def rows(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [row[0] for row in db.execute("SELECT text FROM events ORDER BY id")]
    finally:
        db.close()


async def test_events_are_there_at_once_and_after_a_restart(path: Path) -> None:
    first = Journal(path, SystemClock())
    assert await first.open() == ()
    what = event("box is stuck", before="ready", after="stuck")
    first.record(what, event("box is ready"))
    assert [e.text for e in await first.recent(10)] == ["box is ready", "box is stuck"]
    await written(path, 2)
    assert len(await first.recent(10)) == 2
    first.record(event("last words"))
    await first.close()
    await first.close()
    assert first.dropped == 0
    second = Journal(path, SystemClock())
    await second.open()
    assert (await second.recent(10))[-1] == what
    assert len(await second.recent(10)) == 3
    assert len(await second.recent(1)) == 1
    await second.close()


async def test_files_are_the_owners_alone(path: Path) -> None:
    journal = Journal(path, SystemClock())
    await journal.open()
    journal.record(event("x"))
    await written(path, 1)
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert path.parent.stat().st_mode & 0o077 == 0
    await journal.close()


async def test_questions_narrow_the_answer(path: Path) -> None:
    journal = Journal(path, SystemClock())
    await journal.open()
    now = time.time()
    journal.record(
        event("one 100% Done", now - 30),
        event("two", now - 20, subject="other"),
        event("three", now - 10, source="there"),
    )
    for _ in range(2):

        async def texts(**asked: object) -> list[str]:
            found = await journal.recent(9, **asked)  # type: ignore[arg-type]
            return [e.text for e in found]

        assert await texts(subject="box") == ["three", "one 100% Done"]
        assert await texts(source="here") == ["two", "one 100% Done"]
        assert await texts(since=now - 20) == ["three", "two"]
        assert await texts(text="100% d") == ["one 100% Done"]
        assert await texts(text="OTHER") == ["two"]
        assert await texts(text="_") == []
        assert await texts(text="there") == ["three"]
        assert await texts(about="other") == await texts(about="here/other") == ["two"]
        assert await texts(about="there/box") == ["three"]
        assert await texts(about="there/other") == []
        # Once from memory, once from the file.
        await written(path, 3)
    await journal.close()


async def test_secrets_and_control_sequences_do_not_come_back(path: Path) -> None:
    journal = Journal(path, SystemClock())
    await journal.open()
    journal.record(event("it said token=hunter2"))
    await written(path, 1)
    assert rows(path) == ["it said token=***"]
    db = sqlite3.connect(path)
    db.execute("UPDATE events SET text = 'a\x1b[31mb', severity = 'from the future'")
    db.commit()
    db.close()
    (found,) = await journal.recent(5)
    assert found.text == "ab"
    assert found.severity is Severity.INFO
    await journal.close()


async def test_old_and_many_are_pruned_on_open_and_hourly(path: Path) -> None:
    clock = FakeClock(time.time())
    journal = Journal(path, clock)
    await journal.open()
    await journal.close()
    now = clock.now()
    db = sqlite3.connect(path)
    insert = (
        "INSERT INTO events (at, severity, source, subject, kind, text, before, after)"
        " VALUES (?, 'info', '', '', 'panel', ?, '', '')"
    )
    db.executemany(insert, ((now - RETENTION_S - 5 + n, f"old {n}") for n in range(10)))
    db.executemany(insert, ((now, "many") for _ in range(MAX_ROWS + 70)))
    db.commit()
    db.close()
    journal = Journal(path, clock)
    await journal.open()
    assert len(rows(path)) == MAX_ROWS
    journal.record(event("soon old", now - RETENTION_S + 60))
    await written(path, MAX_ROWS + 1)
    await clock.advance(3_601)
    await eventually(lambda: "soon old" not in rows(path))
    await journal.close()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
async def test_a_damaged_file_is_moved_aside_and_said(path: Path, damage: bytes | None) -> None:
    journal = Journal(path, FakeClock(1_700_000_000.0))
    await journal.open()
    journal.record(*(event(f"event {n} " + "x" * 300, 1_700_000_000.0) for n in range(400)))
    await journal.close()
    if damage is None:
        whole = bytearray(path.read_bytes())
        whole[4096 * 3 : 4096 * 9] = b"\xff" * 4096 * 6
        damage = bytes(whole)
    path.write_bytes(damage)
    journal = Journal(path, FakeClock(1_700_000_000.0))
    (notice,) = await journal.open()
    assert notice.kind == "panel"
    aside = path.parent / "journal.damaged-20231114T221320Z.db"
    assert aside.name in notice.text
    assert aside.read_bytes() == damage
    assert journal.problem == ""
    journal.record(event("goes on", 1_700_000_000.0))
    await journal.close()
    assert rows(path) == [notice.text, "goes on"]


async def test_a_locked_file_is_waited_for_then_lived_without(path: Path) -> None:
    journal = Journal(path, SystemClock())
    await journal.open()
    await journal.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    journal = Journal(path, SystemClock())
    (notice,) = await journal.open()
    assert "locked" in notice.text
    assert "locked" in journal.problem
    journal.record(event("only in memory"))
    assert [e.text for e in await journal.recent(5)] == ["only in memory", notice.text]
    other.execute("ROLLBACK")
    other.close()
    await journal.close()


async def test_writing_goes_on_once_the_lock_is_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    journal = Journal(path, SystemClock())
    await journal.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.record(event("waits"))
    await eventually(lambda: "locked" in journal.problem)
    assert [e.text for e in await journal.recent(5)] == ["waits"]
    other.execute("ROLLBACK")
    other.close()
    # Others see the row before the loop has heard that it was kept.
    await eventually(lambda: journal.problem == "", what=lambda: journal.problem)
    assert rows(path) == ["waits"]
    await journal.close()


async def test_beyond_the_bound_the_oldest_is_dropped_and_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_QUEUE", 10)
    journal = Journal(path, SystemClock())
    journal.record(*(event(str(n), float(n)) for n in range(25)))
    assert journal.dropped == 15
    assert [e.text for e in await journal.recent(3)] == ["24", "23", "22"]
    await journal.close()


@pytest.mark.parametrize("what", ["folder", "foreign", "newer"])
async def test_a_file_that_is_not_ours_is_left_alone(path: Path, what: str) -> None:
    path.parent.mkdir(parents=True)
    if what == "folder":
        path.mkdir()
    else:
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE precious (x)")
        if what == "newer":
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("PRAGMA user_version = 99")
        db.commit()
        db.close()
    before = path.read_bytes() if path.is_file() else b""
    journal = Journal(path, SystemClock())
    (notice,) = await journal.open()
    assert notice.text == journal.problem
    journal.record(event("x"))
    assert len(await journal.recent(5)) == 2
    await journal.close()
    assert (path.read_bytes() if path.is_file() else b"")[100:] == before[100:]
    assert [p.name for p in path.parent.iterdir() if "damaged" in p.name] == []


WRITER = """
import asyncio, sys
from pathlib import Path
from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Event, Severity

async def main():
    journal = Journal(Path(sys.argv[1]), SystemClock())
    notices = await journal.open()
    assert not notices, notices
    for n in range(200):
        at = 2_000_000_000.0 + n
        journal.record(Event(at, Severity.INFO, sys.argv[2], "", "panel", str(n)))
        while n % 5 == 4 and (journal._pending or journal._lock.locked()):
            await asyncio.sleep(0)
    await journal.close()

asyncio.run(main())
"""


async def test_several_panels_write_at_once(path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    panels = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(path), name],
            cwd=root,
            stderr=subprocess.PIPE,
        )
        for name in ("a", "b", "c")
    ]
    for panel in panels:
        _, said = await asyncio.to_thread(panel.communicate, timeout=60)
        assert panel.returncode == 0, said.decode()
    reader = Journal(path, SystemClock())
    await reader.open()
    found = await reader.recent(1000)
    for name in "abc":
        assert sorted(int(e.text) for e in found if e.source == name) == list(range(200))
    await reader.close()


async def test_no_thread_and_no_task_stays(path: Path) -> None:
    before = threading.active_count()
    journal = Journal(path, SystemClock())
    await journal.open()
    journal.record(event("x"))
    await journal.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await eventually(lambda: threading.active_count() <= before, what=threading.enumerate)
    journal.record(event("too late"))
    assert journal.dropped == 1


async def test_every_field_comes_back_as_it_was_written(path: Path) -> None:
    whole = replace(event("t", 123.5), before="ready", after="stuck", kind="gateway")
    journal = Journal(path, FakeClock(200.0))
    await journal.open()
    journal.record(whole)
    await written(path, 1)
    assert await journal.recent(1) == (whole,)
    await journal.close()
