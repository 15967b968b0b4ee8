"""Damaged journals: no new event is lost, none is told as empty, what can be read comes back."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.clock import SystemClock
from services.config import paths
from services.journal import store
from services.journal.file import set_aside_names
from services.journal.rows import EventQuery
from services.journal.salvage import bring_back, read_pages
from services.journal.store import Journal
from services.models import Event, Severity
from tests.support.powerless import powerless
from tests.support.waiting import eventually
from tui.cli.main import main

COUNT = 400
EVERY = EventQuery(10 * COUNT)
PAGE = 4096
PATIENCE_S = 30.0


def note(text: str, at: float | None = None) -> Event:
    return Event(time.time() if at is None else at, Severity.INFO, "here", "box", "panel", text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a sound journal of 400 events."""
    path = tmp_path_factory.mktemp("whole") / "journal.db"

    async def written() -> None:
        journal = Journal(path, SystemClock())
        await journal.open()
        now = time.time() - COUNT
        journal.record(*(note(f"event {n} " + "x" * (n % 200), now + n) for n in range(COUNT)))
        await journal.close()

    asyncio.run(written())
    return path.read_bytes()


def damaged(whole: bytes, kind: str, dice: random.Random) -> bytes:
    data = bytearray(whole)
    if kind == "cut":
        return bytes(data[: dice.randrange(len(data))])
    if kind == "pages":
        for _ in range(dice.randrange(1, 4)):
            at = PAGE * dice.randrange(len(data) // PAGE)
            data[at : at + PAGE] = dice.randbytes(PAGE)
    elif kind == "header":
        data[dice.randrange(100)] ^= 1 << dice.randrange(8)
    elif kind == "bits":
        for _ in range(dice.randrange(1, 60)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif kind == "empty":
        return b""
    return bytes(data)


@pytest.mark.parametrize(
    ("kind", "times"),
    [("cut", 36), ("pages", 36), ("header", 36), ("bits", 36), ("empty", 3), ("locked", 3)],
)
async def test_no_damage_loses_a_new_event_or_is_told_as_an_empty_history(
    tmp_path: Path, whole: bytes, kind: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_OPEN_S", 0.2)
    for seed in range(times):
        dice = random.Random(seed)
        path = tmp_path / str(seed) / "journal.db"
        path.parent.mkdir()
        path.write_bytes(damaged(whole, kind, dice))
        other = sqlite3.connect(path, isolation_level=None) if kind == "locked" else None
        if other is not None:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        journal = Journal(path, SystemClock())
        notices = await journal.open()
        told = await journal.search(EVERY)
        journal.record(note("the new one"))
        await journal.close()
        assert time.monotonic() - began < PATIENCE_S, seed
        old = sum(one.text.startswith("event ") for one in told.events)
        assert told.events or told.problem, seed
        assert old == COUNT or notices or told.problem or told.unreadable, seed
        if other is not None:
            other.execute("ROLLBACK")
            other.close()
        journal = Journal(path, SystemClock())
        await journal.open()
        assert "the new one" in [one.text for one in (await journal.search(EVERY)).events], seed
        await journal.close()


async def test_what_whole_pages_hold_comes_back_once_and_the_rest_is_counted(
    tmp_path: Path, whole: bytes
) -> None:
    path = tmp_path / "journal.db"
    data = bytearray(whole)
    data[:100] = bytes(100)
    path.write_bytes(data)
    journal = Journal(path, SystemClock())
    await journal.open()
    await journal.close()
    (aside,) = set_aside_names(path)
    assert len(read_pages(aside)) == COUNT
    (back,) = await bring_back(path, SystemClock())
    assert (back.found, back.added, back.missing) == (COUNT, COUNT, 0)
    assert await bring_back(path, SystemClock()) == ()
    journal = Journal(path, SystemClock())
    await journal.open()
    texts = [one.text for one in (await journal.search(EVERY)).events]
    await journal.close()
    assert [text.split()[1] for text in texts[1:]] == [str(n) for n in reversed(range(COUNT))]
    assert "damaged" in texts[0]


async def test_what_was_only_in_the_log_comes_back_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path, SystemClock())
    await journal.open()
    journal.record(note("kept only in the log"))
    await eventually(lambda: journal_rows(path) == 1)
    log = path.with_name("journal.db-wal").read_bytes()
    await journal.close()
    lone = tmp_path / "lone" / "journal.db"
    lone.parent.mkdir()
    lone.with_name("journal.db-wal").write_bytes(log)
    journal = Journal(lone, SystemClock())
    (notice,) = await journal.open()
    await journal.close()
    assert "damaged" in notice.text
    (back,) = await bring_back(lone, SystemClock())
    assert back.added == 1


def journal_rows(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM events").fetchone()[0])
    finally:
        db.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WAKEDECK_CONFIG", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    paths.state_dir().mkdir(parents=True)
    return tmp_path


def events(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["events", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def spoil(change: str) -> None:
    db = sqlite3.connect(paths.journal_file())
    db.execute(f"UPDATE events SET {change} WHERE id = (SELECT min(id) FROM events)")
    db.commit()
    db.close()


def test_a_bad_byte_hides_that_byte_and_a_bad_type_that_record(home: Path, whole: bytes) -> None:
    paths.journal_file().write_bytes(whole)
    spoil("text = cast(X'776F72642037F3E1' as text)")
    seen = events("--all", "--json")
    assert seen.exit_code == 0
    lines = [json.loads(one) for one in seen.stdout.splitlines()]
    assert len(lines) == COUNT
    assert lines[0]["text"] == "word 7��"
    spoil("at = 'never'")
    seen = events("--all")
    assert seen.exit_code == 0
    assert len(seen.stdout.splitlines()) == COUNT - 1
    assert "1 record of the journal cannot be read" in seen.stderr
    spoil("text = X'FF00', subject = 5, at = 9e999")
    assert len(events("--all").stdout.splitlines()) == COUNT - 1


def test_damage_is_said_with_1_then_repaired_and_said_no_more(home: Path, whole: bytes) -> None:
    paths.journal_file().write_bytes(whole[: PAGE * 12])
    seen = events()
    assert seen.exit_code == 1
    assert "is damaged" not in seen.stdout
    assert "events --repair" in seen.stderr
    assert "nothing has been recorded" not in seen.stderr
    assert events().exit_code == 0
    assert "events --repair" in events().stderr
    repaired = events("--repair")
    assert "brought back" in repaired.stdout
    assert len(events("--all").stdout.splitlines()) > 10
    assert "--repair" not in events().stderr
    assert events("--repair").stdout == "no journal is damaged\n"
    assert events("--repair").exit_code == 0


def test_nothing_to_repair_where_nothing_was_recorded(home: Path) -> None:
    assert events("--repair").exit_code == 0
    assert not paths.journal_file().exists()


def test_a_locked_journal_is_a_failure_and_not_an_empty_one(home: Path, whole: bytes) -> None:
    paths.journal_file().write_bytes(whole)
    other = sqlite3.connect(paths.journal_file(), isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        for asked in ((), ("--repair",)):
            seen = events(*asked)
            assert seen.exit_code == 1
            assert "locked" in seen.stderr
            assert "nothing has been recorded" not in seen.stderr
    finally:
        other.close()


@pytest.mark.parametrize("target", ["journal.db", "/nowhere/journal.db"])
def test_a_link_that_leads_nowhere_is_a_failure_and_not_an_empty_history(
    home: Path, target: str
) -> None:
    paths.journal_file().symlink_to(target)
    seen = events("--all")
    assert seen.exit_code == 1
    assert "cannot be read" in seen.stderr
    assert "nothing has been recorded" not in seen.stderr


def test_a_file_in_the_place_of_the_folder_is_a_failure_and_not_an_empty_history(
    home: Path,
) -> None:
    state = paths.state_dir()
    state.rmdir()
    state.touch()
    seen = events("--all")
    assert seen.exit_code == 1
    assert "Not a directory" in seen.stderr


def test_a_folder_that_cannot_be_written_is_still_read(home: Path, whole: bytes) -> None:
    paths.journal_file().write_bytes(whole)
    state = paths.state_dir()
    state.chmod(0o500)
    paths.journal_file().chmod(0o400)
    try:
        with powerless():
            seen = events("--all")
    finally:
        state.chmod(0o700)
    assert seen.exit_code == 0
    assert sum("event" in one for one in seen.stdout.splitlines()) == COUNT
    assert "Events are not being kept" in seen.stderr
