"""The history is followed in the order it was written, and gone on with by key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.journal.file import open_to_write
from services.journal.tail import BEGINNING, JournalTail, Position, keyed
from services.journal.writing import write
from services.models import Event, Severity


def happened(number: int, at: float | None = None) -> Event:
    when = float(number) if at is None else at
    return Event(when, Severity.INFO, "s", f"box{number}", "panel", f"event {number}")


def recorded(path: Path, *events: Event) -> None:
    with closing(open_to_write(path, 100.0).db) as db:
        write(db, events, 100.0)


def texts(found: object) -> list[str]:
    return [event.text for _, event in keyed(found)]  # type: ignore[arg-type]


async def test_it_goes_on_where_it_was_left_also_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    tail = JournalTail(path)
    assert await tail.start(None) == BEGINNING
    recorded(path, *map(happened, range(1, 6)))
    first = await tail.after(BEGINNING, limit=2)
    assert texts(first) == ["event 1", "event 2"]
    kept = str(first.position)
    await tail.close()

    later = JournalTail(path)
    rest = await later.after(Position.parse(kept))
    assert texts(rest) == ["event 3", "event 4", "event 5"] and not rest.moved
    assert not (await later.after(rest.position)).events
    recorded(path, happened(6))
    assert texts(await later.after(rest.position)) == ["event 6"]
    await later.close()


async def test_since_begins_with_the_first_that_is_not_older(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    recorded(path, *map(happened, range(1, 6)))
    tail = JournalTail(path)
    assert texts(await tail.after(await tail.start(3.0))) == ["event 3", "event 4", "event 5"]
    assert not (await tail.after(await tail.start(9.0))).events
    assert not (await tail.after(await tail.start(None))).events
    await tail.close()


async def test_a_history_begun_anew_is_told_and_gone_on_with_by_its_instants(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    recorded(path, *map(happened, range(1, 6)))
    tail = JournalTail(path)
    position = (await tail.after(BEGINNING)).position
    path.rename(tmp_path / "journal.damaged.db")
    for ending in ("-wal", "-shm"):
        (tmp_path / f"journal.db{ending}").unlink(missing_ok=True)
    found = await tail.after(position)
    assert not found.events and found.position == position, "nothing is there for a moment"
    recorded(path, happened(4), happened(7), happened(8))
    found = await tail.after(position)
    assert found.moved and texts(found) == ["event 7", "event 8"]
    assert not (await tail.after(found.position)).moved
    await tail.close()


async def test_what_was_removed_for_its_age_does_not_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    recorded(path, *map(happened, range(1, 6)))
    tail = JournalTail(path)
    position = (await tail.after(BEGINNING, limit=2)).position
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM events WHERE id <= 3")
    assert texts(await tail.after(position)) == ["event 4", "event 5"]
    await tail.close()


@pytest.mark.parametrize("text", ["", "1", "x-1", "1-", "-1", "1-2-3", "1" * 50 + "-" + "1" * 50])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)
