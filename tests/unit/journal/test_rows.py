"""Records of the journal: which a query means, and what is read of a file that others wrote."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from services.journal.rows import (
    ADDITIONS,
    SCHEMA,
    EventQuery,
    from_row,
    insert,
    read,
    to_row,
)
from services.journal.salvage import read_pages
from services.journal.writing import MAX_ROWS, RETENTION_S, prune, write
from services.models import Event, Severity

NOTE = Event(100.0, Severity.INFO, "pods", "box", "panel", "The Night began.")


def journal(path: Path | str = ":memory:", *, added: bool = True) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (*SCHEMA, *(ADDITIONS if added else ())):
        db.execute(statement)
    return db


QUERIES = [
    (EventQuery(9), True),
    (EventQuery(9, subject="box"), True),
    (EventQuery(9, subject="bo"), False),
    (EventQuery(9, source="pods"), True),
    (EventQuery(9, source="vellum"), False),
    (EventQuery(9, since=100.0), True),
    (EventQuery(9, since=100.5), False),
    (EventQuery(9, text="nIGHT"), True),
    (EventQuery(9, text="day"), False),
    (EventQuery(9, text=""), True),
    (EventQuery(9, about="box"), True),
    (EventQuery(9, about="pods/box"), True),
    (EventQuery(9, about="vellum/box"), False),
    (EventQuery(9, subject="box", source="vellum"), False),
    (EventQuery(9, subject="other", source="pods"), False),
    (EventQuery(9, since=0.0, text="day"), False),
    (EventQuery(9, about="other", text="night"), False),
]


@pytest.mark.parametrize(("query", "meant"), QUERIES)
def test_what_waits_is_judged_as_the_file_judges(query: EventQuery, meant: bool) -> None:
    db = journal()
    insert(db, NOTE, 200.0)
    assert query.matches(NOTE) is meant
    assert read(db, query) == ([NOTE] if meant else [], 0)


def test_what_waits_and_what_is_kept_come_newest_first_and_no_more_than_asked() -> None:
    kept = [replace(NOTE, at=at) for at in (40.0, 20.0)]
    waiting = [replace(NOTE, at=at) for at in (10.0, 30.0)]
    waiting += [replace(NOTE, at=99.0, source="other")]
    found = EventQuery(3, source="pods").newest(waiting, kept)
    assert [one.at for one in found] == [40.0, 30.0, 20.0]


@pytest.mark.parametrize(
    ("second", "recorded"),
    [
        (NOTE, True),
        (replace(NOTE, told_at=50.0), False),
        (replace(NOTE, told_at=51.0), True),
        (replace(NOTE, told_at=50.0, text="Another."), True),
        (replace(NOTE, told_at=50.0, subject="other"), True),
    ],
)
def test_what_a_system_told_at_an_instant_is_recorded_once(second: Event, recorded: bool) -> None:
    db = journal()
    assert insert(db, replace(NOTE, told_at=50.0), 60.0)
    assert insert(db, second, 60.0) is recorded
    assert db.execute("SELECT count(*) FROM events").fetchone() == (1 + recorded,)


def test_what_cannot_be_read_is_counted_and_what_is_odd_is_harmless() -> None:
    db = journal()
    rows = [("soon", "info"), (1e11, "info"), (-1e11, "info"), (5.0, "dreadful"), (6.0, b"x")]
    for at, severity in rows:
        db.execute(
            "INSERT INTO events (at, severity, source, subject, kind, text, before, after)"
            " VALUES (?, ?, 'a', 'b\x1b[31m', 'c', ?, '', '')",
            (at, severity, b"\xff"),
        )
    found, unreadable = read(db, EventQuery(9))
    assert unreadable == 3
    assert [(one.at, one.severity) for one in found] == [(6.0, Severity.INFO), (5.0, Severity.INFO)]
    assert "\x1b" not in found[0].subject
    assert found[0].text == "\ufffd"


def test_one_that_no_file_can_hold_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    db = journal()
    broken = replace(NOTE, text="\ud800", at=1.0)
    huge = replace(NOTE, at=2.0, told_at=3.0, text="other")
    write(db, [NOTE, broken, huge], 200.0)
    assert [row[0] for row in db.execute("SELECT at FROM events ORDER BY id")] == [100.0, 2.0]
    assert "cannot be written" in caplog.text
    assert not db.in_transaction


def test_what_is_older_or_more_than_is_kept_goes() -> None:
    db = journal()
    now = 2 * RETENTION_S
    for at in (now - RETENTION_S - 1, now - RETENTION_S, now):
        insert(db, replace(NOTE, at=at), now)
    prune(db, now)
    assert [row[0] for row in db.execute("SELECT at FROM events")] == [now - RETENTION_S, now]
    db.execute("UPDATE events SET id = id + ? WHERE at = ?", (MAX_ROWS, now))
    prune(db, now)
    assert [row[0] for row in db.execute("SELECT at FROM events")] == [now]
    db.execute("INSERT INTO events SELECT id - ?, at, severity, source, subject, kind, text,"
               " before, after, told FROM events", (MAX_ROWS - 1,))  # fmt: skip
    prune(db, now)
    assert db.execute("SELECT count(*) FROM events").fetchone() == (2,)


def many(count: int) -> list[Event]:
    dice = random.Random(5)
    return [
        Event(
            dice.choice((float(n), n + 0.5, 0.0, 1.0, -1.5, 40_000.0, 3e9, 5e10)),
            dice.choice(list(Severity)),
            f"s{n}",
            "b" * (n % 70),
            "panel",
            f"{n}: " + "ö" * (n % 190),
            "",
            "x" * (n % 3),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("page", [512, 4096, 65_536])
def test_every_record_is_found_page_by_page(tmp_path: Path, page: int, added: bool) -> None:
    path = tmp_path / "journal.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size = {page}")
    db.close()
    db = journal(path, added=added)
    events = many(300)
    for event in events:
        columns = to_row(event)[: 9 if added else 8]
        names = "at, severity, source, subject, kind, text, before, after" + ", told" * added
        marks = ", ".join("?" * len(columns))
        db.execute(f"INSERT INTO events ({names}) VALUES ({marks})", columns)
    db.close()
    # A record that needs more than its page is not found, and none is made up.
    found = read_pages(path)
    assert all(event == from_row(to_row(events[number - 1])) for number, event in found.items())
    small = {
        n for n, one in enumerate(events, 1) if len(one.text.encode()) + len(one.subject) < 300
    }
    assert found.keys() >= small


def test_what_the_log_holds_is_newer(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    db = journal(path)
    db.execute("PRAGMA journal_mode = WAL")
    for event in many(120):
        insert(db, event, 1e9)
    db.execute("UPDATE events SET text = 'later' WHERE id = 7")
    copies = [tmp_path / f"copy.db{ending}" for ending in ("", "-wal")]
    for copy, ending in zip(copies, ("", "-wal"), strict=True):
        copy.write_bytes(path.with_name(f"journal.db{ending}").read_bytes())
    found = read_pages(copies[0])
    assert set(found) == set(range(1, 121))
    assert found[7].text == "later"
    copies[0].unlink()
    assert set(read_pages(copies[0])) == set(found)
    copies[1].unlink()
    assert read_pages(copies[0]) == {}
    db.close()
