"""A notice is claimed once, gathered, kept until it is sent, and held back by budget and night."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import pytest

from services.config.notify import NotifyTable
from services.journal.rows import ADDITIONS, SCHEMA, insert
from services.models import Event, Severity
from services.process.identity import ProcessId
from services.watch.outbox import FIRST_RETRY_S, GATHER_S, LONGEST_RETRY_S, Outbox

NOW = datetime(2026, 11, 20, 12, 0).timestamp()
GONE = ProcessId(2**22 + 7, 1, "an earlier boot")


@pytest.fixture
def db() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    for statement in (*SCHEMA, *ADDITIONS):
        made.execute(statement)
    return made


def box(process: ProcessId = GONE, **more: object) -> Outbox:
    return Outbox("me", NotifyTable(**more), process)  # type: ignore[arg-type]


def happen(db: sqlite3.Connection, after: str, at: float, subject: str = "a") -> None:
    severity = Severity.BETTER if after == "ready" else Severity.WORSE
    before = "down" if after == "ready" else "ready"
    event = Event(
        at, severity, "pods", subject, "sandbox", f"{subject} is {after}: x", before, after
    )
    assert insert(db, event, at)


def began(db: sqlite3.Connection, outbox: Outbox) -> Outbox:
    assert outbox.claim(db, NOW - 1000) is None
    return outbox


def history(db: sqlite3.Connection) -> list[str]:
    return [
        text for (text,) in db.execute("SELECT text FROM events WHERE kind = 'notice' ORDER BY id")
    ]


def test_the_past_is_nobodys_news_and_what_follows_is_gathered(db: sqlite3.Connection) -> None:
    happen(db, "down", NOW - 2000)
    outbox = began(db, box())
    assert outbox.claim(db, NOW) is None
    happen(db, "ready", NOW - 500)
    assert outbox.claim(db, NOW) is None, "it was never told that it was down"
    happen(db, "down", NOW)
    assert outbox.claim(db, NOW + GATHER_S - 0.1) is None
    happen(db, "down", NOW + 1, "b")
    claimed = outbox.claim(db, NOW + GATHER_S)
    assert claimed is not None
    assert claimed.notice.title == "2 worse"
    outbox.finish(db, claimed, "", NOW + 9)
    assert outbox.claim(db, NOW + 10) is None
    assert history(db) == ["notice to me sent: 2 worse"]
    # What was told and is over is told too; the trouble of the other is still open.
    happen(db, "ready", NOW + 20)
    assert outbox.claim(db, NOW + 60) is None
    happen(db, "ready", NOW + 70, "b")
    claimed = outbox.claim(db, NOW + 80)
    assert claimed is not None and "All quiet again." in claimed.notice.body


def test_an_event_of_a_clock_that_was_set_back_is_not_waited_for(db: sqlite3.Connection) -> None:
    outbox = began(db, box())
    happen(db, "down", NOW + 500)
    assert outbox.claim(db, NOW) is not None


def test_what_could_not_be_sent_is_tried_again_later_and_later(db: sqlite3.Connection) -> None:
    outbox = began(db, box())
    happen(db, "down", NOW - 100)
    at, waits = NOW, []
    for tries in range(9):
        claimed = outbox.claim(db, at)
        assert claimed is not None and claimed.tries == tries
        outbox.finish(db, claimed, "no answer", at)
        wait = min(FIRST_RETRY_S * 2**tries, LONGEST_RETRY_S)
        assert outbox.claim(db, at + wait - 0.1) is None
        at += wait
        waits.append(wait)
    assert waits[:2] == [FIRST_RETRY_S, 2 * FIRST_RETRY_S] and waits[-1] == LONGEST_RETRY_S
    # One that would wait longer than the longest comes of a clock that was set back.
    assert outbox.claim(db, at - 2 * LONGEST_RETRY_S) is not None
    claimed = outbox.claim(db, at)
    assert claimed is not None
    outbox.finish(db, claimed, "", at)
    assert history(db) == [
        "notice to me not sent, tried again: no answer",
        "notice to me sent at try 10: a is down",
    ]


def test_what_another_process_holds_is_left_to_it(db: sqlite3.Connection) -> None:
    here = ProcessId.capture()
    assert here is not None
    holder = began(db, box(here))
    happen(db, "down", NOW - 100)
    assert holder.claim(db, NOW) is not None
    assert box(GONE).claim(db, NOW) is None
    db.execute("UPDATE notices SET boot_id = 'another'")
    again = box(GONE).claim(db, NOW)
    assert again is not None and again.tries == 0


def test_a_quiet_night_tells_after_it(db: sqlite3.Connection) -> None:
    outbox = began(db, box(quiet_hours="11:00-13:00"))
    happen(db, "down", NOW - 100)
    assert outbox.claim(db, NOW) is None
    claimed = outbox.claim(db, NOW + 3600)
    assert claimed is not None
    outbox.finish(db, claimed, "no answer", NOW - 60)
    assert outbox.claim(db, NOW) is None, "what is tried again waits too"
    assert outbox.claim(db, NOW + 3600) is not None


def test_no_more_notices_than_the_budget(db: sqlite3.Connection) -> None:
    outbox = began(db, box(at_most="2/10m"))
    for n, (at, told) in enumerate(
        [(0, True), (100, True), (200, False), (599, False), (601, True)]
    ):
        happen(db, "down", NOW + at - 20, f"s{n}")
        claimed = outbox.claim(db, NOW + at)
        assert (claimed is not None) is told, at
        if claimed is not None:
            outbox.finish(db, claimed, "", NOW + at)
    # What happened meanwhile was told in the next.
    assert history(db)[-1] == "notice to me sent: 3 worse"


def test_what_fails_midway_leaves_nothing_begun(db: sqlite3.Connection) -> None:
    outbox = began(db, box())
    happen(db, "down", NOW - 100)
    db.execute("DROP TABLE notices")
    with pytest.raises(sqlite3.Error):
        outbox.claim(db, NOW)
    assert not db.in_transaction
    assert db.execute("SELECT count(*) FROM notice_troubles").fetchone() == (0,)
