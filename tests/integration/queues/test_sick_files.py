"""Files that are absent, half made, damaged, locked, huge or hostile, and writers at full speed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.models import Direction, InLabel, OutLabel, QueueSnapshot, SandboxId
from services.queues.reader import QueueReader
from services.sources.local.queue_files import create_inbound, create_outbound
from tests.support.clock import FakeClock
from tests.support.powerless import powerless
from tests.support.waiting import eventually

ONE = SandboxId("local", "one")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a #folder? with 100% odd name"
    made.mkdir()
    create_inbound(made)
    create_outbound(made)
    return made


def execute(path: Path, sql: str, rows: list[tuple[object, ...]]) -> None:
    db = sqlite3.connect(path)
    with db:
        db.executemany(sql, rows)
    db.close()


def post(folder: Path, *rows: tuple[str, str, str]) -> None:
    """Insert (id, status, content)."""
    execute(
        folder / "inbound.db",
        """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
           VALUES (?, (SELECT coalesce(max(seq), 0) + 2 FROM messages_in), 'chat',
                   '2026-11-20T12:00:00.000Z', ?, ?)""",
        list(rows),
    )


def send(folder: Path, *ids: str, deliver_after: str | None = None) -> None:
    execute(
        folder / "outbound.db",
        """INSERT INTO messages_out (id, seq, kind, timestamp, channel_type, deliver_after, content)
           VALUES (?, (SELECT coalesce(max(seq), -1) + 2 FROM messages_out), 'chat',
                   '2026-11-20 12:00:01', 'telegram', ?, '{"text":"answer"}')""",
        [(one, deliver_after) for one in ids],
    )


def acknowledge(folder: Path, status: str, *ids: str) -> None:
    execute(
        folder / "outbound.db",
        "INSERT OR REPLACE INTO processing_ack VALUES (?, ?, '2026-11-20 12:00:00')",
        [(one, status) for one in ids],
    )


def deliver(folder: Path, *ids: str) -> None:
    execute(
        folder / "inbound.db",
        "INSERT INTO delivered VALUES (?, 'telegram:1', 'delivered', '2026-11-20 12:00:02')",
        [(one,) for one in ids],
    )


class Polls:
    """A reader whose clock moves a second a poll."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(1_795_194_300.0)
        self.reader = QueueReader(self.clock)
        self._folder = folder

    async def __call__(self, window: int = 50) -> QueueSnapshot:
        await self.clock.advance(1.0)
        return await self.reader.snapshot(ONE, self._folder, window, alive=True)


async def test_no_files_is_not_an_error_and_nothing_is_created(tmp_path: Path) -> None:
    polls = Polls(tmp_path / "never")
    for _ in range(6):
        snapshot = await polls()
        assert (snapshot.problem, snapshot.stale) == ("no queue files yet", False)
    assert not (tmp_path / "never").exists()
    facts = (await polls.reader.survey(tmp_path / "never", alive=None)).facts
    assert (facts.problem, facts.stale) == ("no queue files yet", False)


async def test_half_made_sessions_are_initialising(tmp_path: Path) -> None:
    polls = Polls(tmp_path)
    create_inbound(tmp_path)
    post(tmp_path, ("m", "pending", "{}"))
    first = await polls()
    assert first.problem == "initialising: outbound.db not complete yet"
    assert dict(first.inbound) == {"due": 1}
    (tmp_path / "outbound.db").touch()
    assert "outbound.db" in (await polls()).problem
    create_outbound(tmp_path)
    assert (await polls()).problem == ""
    (tmp_path / "inbound.db").unlink()
    gone = await polls()
    assert gone.problem == "initialising: inbound.db not complete yet"
    assert gone.inbound == ()


async def test_files_that_vanish_leave_the_last_good_rows(folder: Path) -> None:
    polls = Polls(folder)
    post(folder, ("m", "pending", "{}"))
    good = await polls()
    for name in ("inbound.db", "outbound.db"):
        (folder / name).unlink()
    gone = await polls()
    assert gone.messages == good.messages
    assert (gone.stale, gone.problem) == (True, "the queue files are gone")


async def test_a_torn_read_is_retried_before_it_is_called_damage(folder: Path) -> None:
    polls = Polls(folder)
    post(folder, ("m", "pending", "{}"))
    good = await polls()
    (folder / "inbound.db").write_bytes(b"not a database, whatever its name says" * 200)
    assert await polls() == good
    assert await polls() == good
    damaged = await polls()
    assert damaged.stale
    assert damaged.messages == good.messages
    assert damaged.problem.startswith("inbound.db is corrupt")


async def test_busy_is_said_after_five_polls_and_forgotten_after_one(folder: Path) -> None:
    polls = Polls(folder)
    post(folder, ("m", "pending", "{}"))
    good = await polls()
    writer = sqlite3.connect(folder / "outbound.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    quiet = [await polls() for _ in range(4)]
    assert all(snapshot == good for snapshot in quiet)
    busy = await polls()
    assert busy.stale
    assert busy.problem == "outbound.db is busy: a writer keeps it locked"
    assert busy.observed_at == good.observed_at
    writer.execute("ROLLBACK")
    writer.close()
    assert not (await polls()).stale


@pytest.fixture
def bound_by_permissions() -> Iterator[None]:
    with powerless():
        yield


async def test_what_may_not_be_read_is_said(folder: Path, bound_by_permissions: None) -> None:
    polls = Polls(folder)
    (folder / "inbound.db").chmod(0)
    assert "permission" in (await polls()).problem
    folder.chmod(0)
    assert "permission" in (await polls()).problem
    folder.chmod(0o700)


async def test_an_unknown_shape_is_said_and_never_raised(folder: Path) -> None:
    (folder / "inbound.db").unlink()
    execute(folder / "inbound.db", "CREATE TABLE messages_in (id TEXT)", [()])
    execute(folder / "inbound.db", "INSERT INTO messages_in VALUES ('m')", [()])
    polls = Polls(folder)
    assert [(await polls()).stale for _ in range(3)] == [True, True, True]
    assert (await polls()).problem == "inbound.db has a shape this panel does not know"
    facts = [(await polls.reader.survey(folder, alive=None)).facts for _ in range(3)][-1]
    assert "shape" in facts.problem


async def test_a_shape_that_changes_between_polls_is_probed_again(folder: Path) -> None:
    (folder / "inbound.db").unlink()
    execute(
        folder / "inbound.db",
        """CREATE TABLE messages_in (id TEXT PRIMARY KEY, seq INTEGER UNIQUE, kind TEXT,
           timestamp TEXT, status TEXT, process_after TEXT, tries INTEGER, channel_type TEXT,
           content TEXT)""",
        [()],
    )
    polls = Polls(folder)
    post(folder, ("old", "pending", "{}"))
    assert dict((await polls()).inbound) == {"due": 1}
    execute(
        folder / "inbound.db",
        'ALTER TABLE messages_in ADD COLUMN "trigger" INTEGER NOT NULL DEFAULT 1',
        [()],
    )
    execute(folder / "inbound.db", 'UPDATE messages_in SET "trigger" = 0', [()])
    assert dict((await polls()).inbound) == {"context only": 1}


async def test_cells_of_any_type_and_hostile_text_are_shown_harmless(folder: Path) -> None:
    hostile = "\x1b]52;c;eA==\x07[bold]x[/bold]\u202ey\u200b\x00"
    execute(
        folder / "inbound.db",
        """INSERT INTO messages_in (id, seq, kind, timestamp, status, tries, process_after,
           channel_type, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            (hostile, 2, hostile, hostile, "pending", "many", None, hostile, hostile),
            (b"\xff\xfe", 4, b"\xff", 12, "pending", 1.5, 7, 9, b"\x00\xff binary"),
            ("n", None, "chat", "", None, None, "", None, 5),
        ],
    )
    db = sqlite3.connect(folder / "inbound.db")
    db.execute("UPDATE messages_in SET content = CAST(X'FF41' AS TEXT) WHERE id = 'n'")
    db.commit()
    db.close()
    send(folder, hostile)
    polls = Polls(folder)
    snapshot = await polls()
    assert snapshot.problem == ""
    assert len(snapshot.messages) == 4
    assert sum(count for _, count in snapshot.inbound) == 3
    for message in snapshot.messages:
        for text in (message.id, message.kind, message.text, message.channel):
            assert not set(text) & set("\x1b\x07\x00\u202e\u200b\n")
        content = await polls.reader.content(folder, message.direction, message.id)
        assert "\x1b" not in content
    assert any("[bold]x[/bold]" in message.text for message in snapshot.messages)


async def test_contents_are_bounded_and_secrets_masked(folder: Path) -> None:
    post(
        folder,
        ("big", "pending", "x" * 3_000_000),
        ("secret", "pending", json.dumps({"text": "Authorization: Bearer abcdefghijklmnop"})),
    )
    polls = Polls(folder)
    assert len(await polls.reader.content(folder, Direction.IN, "big")) <= 1 << 20
    assert "abcdefghijklmnop" not in await polls.reader.content(folder, Direction.IN, "secret")
    sizes = {message.id: message.size for message in (await polls()).messages}
    assert sizes["big"] == 3_000_000


async def test_counts_follow_every_change(folder: Path) -> None:
    polls = Polls(folder)
    post(folder, *((f"m{n}", "pending", "{}") for n in range(6)))
    assert dict((await polls()).inbound) == {"due": 6}
    acknowledge(folder, "processing", "m0", "m1")
    assert dict((await polls()).inbound) == {"processing": 2, "due": 4}
    acknowledge(folder, "completed", "m0")
    send(folder, "o1", "o2")
    snapshot = await polls()
    assert dict(snapshot.inbound) == {
        "completed, not yet synced": 1,
        "processing": 1,
        "due": 4,
    }
    assert dict(snapshot.outbound) == {"undelivered": 2}
    execute(
        folder / "inbound.db", "UPDATE messages_in SET status = 'completed' WHERE id = 'm0'", [()]
    )
    deliver(folder, "o1")
    snapshot = await polls()
    assert dict(snapshot.inbound) == {"completed": 1, "processing": 1, "due": 4}
    assert dict(snapshot.outbound) == {"delivered": 1, "undelivered": 1}
    execute(
        folder / "outbound.db",
        "UPDATE processing_ack SET status = 'completed' WHERE message_id = 'm1'",
        [()],
    )
    assert dict((await polls()).inbound)["completed, not yet synced"] == 1
    execute(folder / "outbound.db", "DELETE FROM processing_ack", [()])
    execute(folder / "outbound.db", "DELETE FROM messages_out WHERE id = 'o1'", [()])
    snapshot = await polls()
    assert dict(snapshot.inbound) == {"completed": 1, "due": 5}
    assert dict(snapshot.outbound) == {"undelivered": 1}


async def test_counts_by_memory_are_the_counts_by_a_fresh_look(folder: Path) -> None:
    """However rows come, go and change, what is remembered between polls never shows."""
    rng = random.Random(7)
    polls = Polls(folder)
    number = 0
    for _ in range(60):
        for _ in range(rng.randrange(4)):
            number += 1
            match rng.randrange(7):
                case 0 | 1:
                    post(folder, (f"m{number}", "pending", "{}"))
                case 2:
                    acknowledge(folder, "processing", f"m{rng.randrange(1, number + 1)}")
                case 3:
                    acknowledge(folder, "completed", f"m{rng.randrange(1, number + 1)}")
                case 4:
                    send(folder, f"o{number}")
                case 5:
                    execute(
                        folder / "inbound.db",
                        "INSERT OR IGNORE INTO delivered VALUES (?, NULL, 'delivered', '')",
                        [(f"o{rng.randrange(1, number + 1)}",)],
                    )
                case 6:
                    table, file = rng.choice(
                        (
                            ("processing_ack", "outbound.db"),
                            ("messages_out", "outbound.db"),
                            ("messages_in", "inbound.db"),
                        )
                    )
                    execute(
                        folder / file,
                        f"DELETE FROM {table} WHERE rowid = (SELECT rowid FROM {table} "
                        "ORDER BY rowid LIMIT 1)",
                        [()],
                    )
        known = await polls()
        fresh = await QueueReader(polls.clock).snapshot(ONE, folder, 50, alive=True)
        assert known == fresh


async def test_long_histories_are_counted_whole(folder: Path) -> None:
    many = 4000
    post(folder, *((f"m{n}", "pending" if n % 4 else "completed", "{}") for n in range(many)))
    acknowledge(folder, "completed", *(f"m{n}" for n in range(0, many, 2)))
    send(folder, *(f"o{n}" for n in range(many)))
    deliver(folder, *(f"o{n}" for n in range(0, many, 2)))
    polls = Polls(folder)
    for _ in range(2):
        snapshot = await polls(window=3)
        assert dict(snapshot.inbound) == {
            "completed": many // 4,
            "completed, not yet synced": many // 4,
            "due": many // 2,
        }
        assert dict(snapshot.outbound) == {"delivered": many // 2, "undelivered": many // 2}
        assert len(snapshot.messages) == 6


class SlowClock(FakeClock):
    """Every look at it takes three tenths of a second."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic() + self.looks * 0.3


async def test_costly_counts_rest_a_while_and_are_made_again(folder: Path) -> None:
    post(folder, ("m1", "pending", "{}"))
    clock = SlowClock(1_795_194_300.0)
    reader = QueueReader(clock)
    await reader.snapshot(ONE, folder, 5, alive=True)
    post(folder, ("m2", "pending", "{}"))
    rested = await reader.snapshot(ONE, folder, 5, alive=True)
    assert dict(rested.inbound) == {"due": 1}
    assert [m.id for m in rested.messages] == ["m1", "m2"]
    await clock.advance(6.0)
    assert dict((await reader.snapshot(ONE, folder, 5, alive=True)).inbound) == {"due": 2}


async def test_the_page_is_one_conversation(folder: Path) -> None:
    db = sqlite3.connect(folder / "inbound.db")
    rows = [("a", 2, "2026-11-20T12:00:05.300Z"), ("c", 4, "2026-11-20 12:00:07"), ("e", 6, "junk")]
    for one, seq, at in rows:
        db.execute(
            """INSERT INTO messages_in (id, seq, kind, timestamp, content)
               VALUES (?, ?, 'chat', ?, '')""",
            (one, seq, at),
        )
    db.commit()
    db.close()
    db = sqlite3.connect(folder / "outbound.db")
    out = [("b", 45, "2026-11-20 12:00:05", "a"), ("d", 47, "2026-11-20 12:00:07", None)]
    for one, seq, at, reply in out:
        db.execute(
            """INSERT INTO messages_out (id, seq, kind, timestamp, in_reply_to, content)
               VALUES (?, ?, 'chat', ?, ?, '')""",
            (one, seq, at, reply),
        )
    db.commit()
    db.close()
    assert [m.id for m in (await Polls(folder)()).messages] == ["a", "b", "c", "e", "d"]


async def test_unchanged_files_are_not_opened_for_five_seconds(folder: Path) -> None:
    post(folder, ("m", "pending", "{}"))
    for name in ("inbound.db", "outbound.db"):
        os.utime(folder / name, (1_795_000_000, 1_795_000_000))
    polls = Polls(folder)
    first = await polls()
    moved = folder / "inbound.db"
    data = moved.read_bytes()
    stat = moved.stat()
    with moved.open("r+b") as stream:
        stream.write(b"\xff" * len(data))
    os.utime(moved, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    rested = await polls()
    assert (rested.messages, rested.problem) == (first.messages, "")
    assert rested.observed_at == first.observed_at + 1
    for _ in range(8):
        last = await polls()
    assert last.stale


async def test_starvation_and_unclaimed_responses_are_seen(folder: Path) -> None:
    post(folder, ("due", "pending", "{}"))
    execute(
        folder / "inbound.db",
        """INSERT INTO messages_in (id, seq, kind, timestamp, "trigger", content)
           VALUES (?, ?, ?, '2026-11-20 12:00:00', 0, '')""",
        [(f"c{n}", 100 + 2 * n, "chat") for n in range(9)],
    )
    polls = Polls(folder)
    assert not (await polls.reader.survey(folder, alive=None)).facts.starved
    execute(
        folder / "inbound.db",
        """INSERT INTO messages_in (id, seq, kind, timestamp, content)
           VALUES ('qr-1', 200, 'system', '2026-11-20 12:00:00', '')""",
        [()],
    )
    facts = (await polls.reader.survey(folder, alive=None)).facts
    assert facts.starved
    assert facts.unclaimed_response
    acknowledge(folder, "processing", "due")
    assert not (await polls.reader.survey(folder, alive=None)).facts.starved


HAMMER = textwrap.dedent("""
    import sqlite3, sys, time
    path, until, kind = sys.argv[1], time.time() + float(sys.argv[2]), sys.argv[3]
    db = sqlite3.connect(path, timeout=5, isolation_level=None)
    done = 0
    try:
        while time.time() < until:
            db.execute("BEGIN IMMEDIATE")
            if kind == "in":
                db.execute("INSERT INTO messages_in (id, seq, kind, timestamp, content) "
                           "VALUES (?, ?, 'chat', '2026-11-20T12:00:00Z', ?)",
                           (f"h{done}", 2 * done + 2, "x" * 300))
            else:
                db.execute("INSERT INTO messages_out (id, seq, kind, timestamp, content) "
                           "VALUES (?, ?, 'chat', '2026-11-20 12:00:00', '')",
                           (f"o{done}", 2 * done + 1))
            db.execute("COMMIT")
            done += 1
    except sqlite3.OperationalError as error:
        sys.exit(f"after {done}: {error}")
    print(done)
""")


async def test_writers_at_full_speed_never_wait_for_the_panel(folder: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", HAMMER, str(folder / name), "3", kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, kind in (("inbound.db", "in"), ("outbound.db", "out"))
    ]
    reader = QueueReader(SystemClock())
    read = 0
    try:
        while any(writer.poll() is None for writer in writers):
            snapshot = await reader.snapshot(ONE, folder, 200, alive=True)
            await reader.survey(folder, alive=None)
            read += not snapshot.stale
            await asyncio.sleep(0.02)  # the panel's looks beside writers that take seconds
        written = []
        for writer in writers:
            out, err = writer.communicate()
            assert writer.returncode == 0, err
            written.append(int(out))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert read > 0
    final = await settled(reader, folder, lambda s: sum(dict(s.inbound).values()) == written[0])
    assert dict(final.inbound) == {"due": written[0]}
    assert dict(final.outbound) == {"undelivered": written[1]}


async def settled(
    reader: QueueReader, folder: Path, enough: Callable[[QueueSnapshot], bool]
) -> QueueSnapshot:
    async def looked() -> QueueSnapshot | None:
        snapshot = await reader.snapshot(ONE, folder, 50, alive=True)
        assert enough(snapshot), snapshot
        return snapshot

    found = await eventually(looked)
    assert found is not None
    return found


async def test_polls_at_once_share_one_and_cancelled_ones_leave_nothing(folder: Path) -> None:
    post(folder, *((f"m{n}", "pending", "{}") for n in range(200)))
    before = set(threading.enumerate())
    reader = QueueReader(SystemClock())
    many = await asyncio.gather(*(reader.snapshot(ONE, folder, 50, alive=True) for _ in range(40)))
    assert all(dict(snapshot.inbound) == {"due": 200} for snapshot in many)
    for turns in range(40):
        post(folder, (f"n{turns}", "pending", "{}"))
        task = asyncio.ensure_future(reader.snapshot(ONE, folder, 50, alive=True))
        for _ in range(turns):
            await asyncio.sleep(0)  # a turn of the loop: called off at another point each time
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert dict((await reader.snapshot(ONE, folder, 50, alive=True)).inbound) == {"due": 240}
    others = {one for one in threading.enumerate() if not one.name.startswith("asyncio_")}
    assert others <= before, "beside the loop's own pool"
    open_files = Path("/proc/self/fd")
    if open_files.exists():
        names = [str(fd.readlink()) for fd in open_files.iterdir() if fd.is_symlink()]
        assert not [name for name in names if str(folder) in name]


async def test_labels_are_the_enums_the_views_know(folder: Path) -> None:
    post(folder, ("m", "failed", "{}"))
    send(folder, "o", deliver_after="2099-01-01 00:00:00")
    labels = {message.id: message.label for message in (await Polls(folder)()).messages}
    assert labels == {"m": InLabel.FAILED, "o": OutLabel.DEFERRED}
