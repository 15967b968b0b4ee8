"""Files that have grown long or hold enormous rows: followed truthfully, read without weight."""

from __future__ import annotations

import random
import resource
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from services.models import Direction, InLabel, SandboxId
from services.queues import backfill, incremental, session
from services.queues.content_heads import TOO_LARGE
from services.queues.facts import Survey
from services.queues.reader import QueueReader
from tests.support.clock import FakeClock
from tests.support.nanoclaw import ALPHA, FIXTURES, NOW

ONE = SandboxId("claw", "one")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "session"
    made.mkdir()
    template = FIXTURES / "states" / "data" / "v2-sessions" / ALPHA / "sess-fx-empty"
    for name in ("inbound.db", "outbound.db"):
        (made / name).write_bytes((template / name).read_bytes())
    return made


def write(path: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    db = sqlite3.connect(path)
    with db:
        for sql, bound in statements:
            db.execute(sql, bound)
    db.close()


def plainly(survey: Survey) -> Survey:
    return replace(survey, facts=replace(survey.facts, observed_at=0.0))


async def both(folder: Path, clock: FakeClock, followed: QueueReader) -> tuple[Survey, Survey]:
    known = await followed.survey(folder, alive=True)
    fresh = await QueueReader(clock).survey(folder, alive=True)
    return plainly(known), plainly(fresh)


async def change(folder: Path, rng: random.Random, number: int) -> None:
    """What an install does to its files: rows are added and settle, none is taken away."""
    inbound, outbound = folder / "inbound.db", folder / "outbound.db"
    some = f"m{rng.randrange(1, number + 1)}"
    match rng.randrange(10):
        case 0 | 1:
            kind = rng.choice(("chat", "chat", "system", "task", "webhook"))
            after = rng.choice((None, None, "2026-11-20 16:00:00", "2099-01-01T00:00:00Z", "soon"))
            write(
                inbound,
                (
                    """INSERT INTO messages_in (id, seq, kind, timestamp, process_after, tries,
                           "trigger", on_wake, series_id, recurrence, content)
                       VALUES (?, ?, ?, '2026-11-20T16:59:00.000Z', ?, ?, ?, ?, ?, ?, '{}')""",
                    (
                        *(f"m{number}", 2 * number, kind, after, rng.randrange(3)),
                        *(rng.choice((1, 1, 0)), rng.choice((0, 0, 1)), f"s{rng.randrange(4)}"),
                        rng.choice((None, "0 9 * * *")),
                    ),
                ),
            )
        case 2 | 3:
            status = rng.choice(("processing", "completed", "failed"))
            write(
                outbound,
                (
                    "INSERT OR REPLACE INTO processing_ack VALUES (?, ?, '2026-11-20 17:04:00')",
                    (some, status),
                ),
            )
        case 4 | 5:
            status = rng.choice(("completed", "completed", "failed", "paused"))
            write(
                inbound,
                (
                    "UPDATE messages_in SET status = ? WHERE id = ? AND status IN ('pending', "
                    "'paused')",
                    (status, some),
                ),
            )
        case 6:
            write(outbound, ("DELETE FROM processing_ack WHERE status = 'processing'", ()))
        case 7 | 8:
            write(
                outbound,
                (
                    """INSERT INTO messages_out (id, seq, kind, timestamp, channel_type,
                                                 deliver_after, content)
                       VALUES (?, ?, ?, '2026-11-20 17:00:00', 'telegram', ?, '{}')""",
                    (f"o{number}", 2 * number + 1, "chat", rng.choice((None, "2099-01-01"))),
                ),
            )
        case 9:
            write(
                inbound,
                (
                    "INSERT OR IGNORE INTO delivered VALUES (?, NULL, 'delivered', '')",
                    (f"o{rng.randrange(1, number + 1)}",),
                ),
            )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("large", [False, True])
async def test_what_is_followed_is_what_a_whole_read_finds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int, large: bool
) -> None:
    if large:
        monkeypatch.setattr(incremental, "STRIDE", 7)
        monkeypatch.setattr(incremental, "FEW", 2)
    rng = random.Random(seed)
    clock = FakeClock(NOW)
    followed = QueueReader(clock, follow=True)
    for number in range(1, 160):
        await change(folder, rng, number)
        if number % 4 == 0:
            known, fresh = await both(folder, clock, followed)
            assert known == fresh


async def test_a_long_file_is_caught_up_with_in_strides(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(9)
    for number in range(1, 300):
        await change(folder, rng, number)
    for module, name in ((backfill, "LONG_BYTES"), (session, "LONG_BYTES")):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(incremental, "STRIDE", 11)
    monkeypatch.setattr(incremental, "FEW", 3)
    clock = FakeClock(NOW)
    followed = QueueReader(clock)
    long = plainly(await followed.survey(folder, alive=True))
    monkeypatch.setattr(session, "LONG_BYTES", 1 << 40)
    whole = plainly(await QueueReader(clock).survey(folder, alive=True))
    assert long == whole
    assert sum(dict(long.inbound).values()) > 40


async def test_rows_that_are_taken_away_after_all_are_noticed(folder: Path) -> None:
    clock = FakeClock(NOW)
    followed = QueueReader(clock, follow=True)
    insert = """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
                VALUES (?, ?, 'chat', '2026-11-20T16:00:00.000Z', ?, '{}')"""
    rows = [(f"m{n}", 2 * n, "completed" if n % 2 else "pending") for n in range(40)]
    write(folder / "inbound.db", *((insert, row) for row in rows))
    await both(folder, clock, followed)
    for gone in ("rowid <= 5", "rowid > 30", "id = 'm20'"):
        write(folder / "inbound.db", (f"DELETE FROM messages_in WHERE {gone}", ()))
        known, fresh = await both(folder, clock, followed)
        assert known == fresh, gone
    (folder / "inbound.db").unlink()
    assert "inbound.db" in (await followed.survey(folder, alive=True)).facts.problem


async def test_an_unchanged_answer_file_is_not_opened_unless_wanted(folder: Path) -> None:
    clock = FakeClock(NOW + 10 * 86_400 * 365)
    followed = QueueReader(clock, follow=True)
    await followed.survey(folder, alive=True)
    sound = (folder / "outbound.db").stat()
    import os

    data = (folder / "outbound.db").read_bytes()
    (folder / "outbound.db").write_bytes(b"\0" * len(data))
    os.utime(folder / "outbound.db", ns=(sound.st_atime_ns, sound.st_mtime_ns))
    assert (await followed.survey(folder, alive=True, whole=False)).facts.problem == ""
    for _ in range(4):
        seen = await followed.survey(folder, alive=True, whole=True)
    assert "outbound.db" in seen.facts.problem


@pytest.mark.parametrize("cell", ["zeroblob(?)", "CAST(zeroblob(?) AS TEXT)"])
async def test_an_enormous_row_is_named_and_not_loaded(folder: Path, cell: str) -> None:
    size = 200_000_000
    insert = f"""INSERT INTO messages_in (id, seq, kind, timestamp, process_after, content)
                 VALUES (?, ?, 'task', '2026-11-20T16:00:00.000Z', '2099-01-01', {cell})"""
    small = insert.replace(cell, "?")
    write(
        folder / "inbound.db",
        (small, ("small", 2, '{"prompt":"hello"}')),
        (insert, ("big", 4, size)),
    )
    reader = QueueReader(FakeClock(NOW), follow=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    survey = await reader.survey(folder, alive=False)
    snapshot = await reader.snapshot(ONE, folder, 50, alive=False)
    content = await reader.content(folder, Direction.IN, "big")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{grown} KiB"
    assert {one.text for one in survey.series} == {"hello", TOO_LARGE}
    assert [one.text for one in snapshot.messages] == ["hello", TOO_LARGE]
    assert snapshot.messages[1].label is InLabel.SCHEDULED
    assert content == TOO_LARGE


async def test_content_that_is_not_json_is_shown_as_it_is(folder: Path) -> None:
    write(
        folder / "inbound.db",
        (
            """INSERT INTO messages_in (id, seq, kind, timestamp, content)
               VALUES ('odd', 2, 'chat', 'yesterday', ?)""",
            ("{not json \x1b[31m[bold]",),
        ),
    )
    snapshot = await QueueReader(FakeClock(NOW), follow=True).snapshot(ONE, folder, 5, alive=True)
    assert [(one.text, one.at) for one in snapshot.messages] == [("{not json [bold]", None)]
