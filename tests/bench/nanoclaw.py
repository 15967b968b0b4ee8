"""What one round over a NanoClaw install costs, by the number of sessions and of their messages."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.clock import SystemClock
from services.config.sources import NanoClawTable
from services.models import SandboxId
from services.queues.reader import QueueReader
from services.sources.nanoclaw.containers import Listing
from services.sources.nanoclaw.source import open_nanoclaw
from tests.support.nanoclaw import ALPHA, FIXTURES

SIZES = (10, 1_000, 10_000)
CHANGED = 0.01
SETS = 5
"""So many different hundredths of the sessions change, one in each round."""
ROUNDS = 15
DEPTHS = (1_000, 1_000_000)


def many(root: Path, count: int) -> list[Path]:
    """An install of `count` sessions; gives the folders of those that will change."""
    shutil.copytree(FIXTURES / "states", root)
    group = root / "data" / "v2-sessions" / ALPHA
    template = group / "sess-fx-empty"
    live: list[Path] = []
    every = max(1, int(1 / CHANGED / SETS))
    for number in range(count):
        folder = group / f"sess-{number:06d}"
        folder.mkdir()
        for name in ("inbound.db", "outbound.db"):
            if number % every == 0:
                shutil.copy(template / name, folder / name)
            else:
                os.link(template / name, folder / name)
        if number % every == 0:
            live.append(folder)
    db = sqlite3.connect(root / "data" / "v2.db")
    with db:
        db.executemany(
            """INSERT INTO sessions (id, agent_group_id, messaging_group_id, thread_id, status,
                                     container_status, last_active, created_at)
               VALUES (?, ?, 'mg-sl', ?, 'active', 'stopped', NULL, '2026-11-20T12:00:00.000Z')""",
            [(f"sess-{number:06d}", ALPHA, f"17.{number}") for number in range(count)],
        )
    db.close()
    return live


def change(folders: list[Path], root: Path, number: int) -> None:
    """One more inbound message in each, and a central DB that says so."""
    for folder in folders:
        db = sqlite3.connect(folder / "inbound.db")
        with db:
            db.execute(
                """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
                   VALUES (?, ?, 'chat', '2026-11-20T12:00:00.000Z', 'completed', '{}')""",
                (f"bench-{number}", 2 * number + 2),
            )
        db.close()
    db = sqlite3.connect(root / "data" / "v2.db")
    with db:
        db.execute("UPDATE sessions SET last_active = ? WHERE id = 'sess-000000'", (str(number),))
    db.close()


def read_plainly(root: Path) -> list[tuple[object, ...]]:
    """The same facts by `sqlite3` alone, file by file: what reading them costs anybody."""
    found: list[tuple[object, ...]] = []
    db = _plain(root / "data" / "v2.db")
    sessions = db.execute(
        """SELECT agent_group_id, id, messaging_group_id, thread_id, status, container_status,
                  last_active, created_at FROM sessions"""
    ).fetchall()
    db.close()
    for group, name, *_ in sessions:
        folder = root / "data" / "v2-sessions" / group / name
        if not (folder / "inbound.db").exists():
            continue
        row: list[object] = []
        for file, statements in PLAIN.items():
            db = _plain(folder / file)
            row += [db.execute(one).fetchall() for one in statements]
            db.close()
        found.append(tuple(row))
    return found


def _plain(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.25, isolation_level=None)
    db.execute("PRAGMA query_only=1")
    db.execute("PRAGMA mmap_size=0")
    return db


PLAIN = {
    "outbound.db": (
        "SELECT name, sql FROM sqlite_master",
        "SELECT message_id, status, status_changed FROM processing_ack",
        """SELECT id, kind, channel_type, deliver_after, datetime(deliver_after),
                  platform_id IS NULL, timestamp FROM messages_out""",
        "SELECT current_tool, tool_declared_timeout_ms, tool_started_at FROM container_state",
        "SELECT value FROM session_state WHERE key = 'token_usage'",
    ),
    "inbound.db": (
        "SELECT name, sql FROM sqlite_master",
        """SELECT id, seq, kind, status, timestamp, datetime(process_after), tries, series_id,
                  "trigger", on_wake FROM messages_in""",
        "SELECT message_out_id, status, platform_message_id, delivered_at FROM delivered",
    ),
}


def stat_plainly(root: Path) -> int:
    """Both files of every session folder, by `stat` alone."""
    seen = 0
    for group in os.scandir(root / "data" / "v2-sessions"):
        for folder in os.scandir(group.path):
            for name in ("inbound.db", "outbound.db"):
                with contextlib.suppress(OSError):
                    os.stat(f"{folder.path}/{name}")  # noqa: PTH116  the cheapest way there is
                    seen += 1
    return seen


def cost(work: Callable[[], object]) -> float:
    """Seconds of CPU, the least of three."""
    costs: list[float] = []
    for _ in range(3):
        began = time.process_time()
        work()
        costs.append(time.process_time() - began)
    return min(costs)


@dataclass(frozen=True)
class Rounds:
    """Seconds of CPU, and of the wall until rows and until all of them were read."""

    first: float
    plain: float
    median: float
    stats: float
    shown: float
    all_read: float
    memory: float
    """Resident MiB more."""


async def rounds(count: int) -> Rounds:
    """One install of that many sessions."""
    with tempfile.TemporaryDirectory(prefix="nc-bench-") as place:
        root = Path(place) / "claw"
        live = many(root, count)
        source = open_nanoclaw("claw", NanoClawTable(root=str(root)), SystemClock())
        observer = source.observer
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        poller, _ = observer._opened()  # type: ignore[attr-defined]
        started, shown = time.monotonic(), 0.0
        for _ in range(40):
            await poller.poll(Listing(time.time()))
            shown = shown or time.monotonic() - started
            if not poller.unread:
                break
        first, all_read = time.process_time() - began, time.monotonic() - started
        costs: list[float] = []
        for number in range(ROUNDS):
            change(live[number % SETS :: SETS], root, number)
            await asyncio.sleep(0.5)
            began = time.process_time()
            await poller.poll(Listing(time.time()))
            costs.append(time.process_time() - began)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        await observer.close()
        plain = cost(lambda: read_plainly(root))
        stats = cost(lambda: stat_plainly(root))
        return Rounds(first, plain, statistics.median(costs), stats, shown, all_read, grown)


def deep(folder: Path, rows: int) -> None:
    """A session with `rows` messages each way, nearly all of them done."""
    template = FIXTURES / "states" / "data" / "v2-sessions" / ALPHA / "sess-fx-empty"
    shutil.copytree(template, folder)
    db = sqlite3.connect(folder / "inbound.db")
    with db:
        db.executemany(
            """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
               VALUES (?, ?, 'chat', '2026-11-20T12:00:00.000Z', ?, '{"text":"hello there"}')""",
            ((f"m{n}", 2 * n, "pending" if n > rows - 5 else "completed") for n in range(rows)),
        )
        db.executemany(
            "INSERT INTO delivered VALUES (?, 'p', 'delivered', '2026-11-20 12:00:00')",
            ((f"o{n}",) for n in range(rows - 3)),
        )
    db.close()
    db = sqlite3.connect(folder / "outbound.db")
    with db:
        db.executemany(
            """INSERT INTO messages_out (id, seq, kind, timestamp, channel_type, content)
               VALUES (?, ?, 'chat', '2026-11-20 12:00:00', 'telegram', '{"text":"hello back"}')""",
            ((f"o{n}", 2 * n + 1) for n in range(rows)),
        )
        db.executemany(
            "INSERT INTO processing_ack VALUES (?, 'completed', '2026-11-20 12:00:00')",
            ((f"m{n}",) for n in range(rows - 5)),
        )
    db.close()


async def depth(rows: int) -> tuple[float, float, float, float]:
    """(first, survey, page, resident MiB more): seconds of CPU after one more message."""
    with tempfile.TemporaryDirectory(prefix="nc-bench-") as place:
        folder = Path(place) / "session"
        deep(folder, rows)
        glance, reader = QueueReader(SystemClock()), QueueReader(SystemClock())
        one = SandboxId("claw", "deep")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        await glance.survey(folder, alive=False)
        await reader.snapshot(one, folder, 500, alive=False)
        first = time.process_time() - began
        surveys: list[float] = []
        pages: list[float] = []
        for number in range(ROUNDS):
            db = sqlite3.connect(folder / "inbound.db")
            with db:
                db.execute(
                    """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
                       VALUES (?, ?, 'chat', '2026-11-20T12:00:00.000Z', 'pending', '{}')""",
                    (f"new{number}", 2 * (rows + number) + 2),
                )
            db.close()
            await asyncio.sleep(0.1)
            began = time.process_time()
            await glance.survey(folder, alive=False)
            surveys.append(time.process_time() - began)
            began = time.process_time()
            await reader.snapshot(one, folder, 500, alive=False)
            pages.append(time.process_time() - began)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        return first, statistics.mean(surveys), statistics.mean(pages), grown


async def measure() -> None:
    """Print both tables."""
    print("NanoClaw: one round, 1 % of the sessions changed (CPU)")
    for count in SIZES:
        seen = await rounds(count)
        print(
            f"  {count:>6} sessions  first {seen.first * 1000:8.1f} ms"
            f" = {seen.first / seen.plain:4.1f} x plain sqlite3"
            f"  round {seen.median * 1000:7.1f} ms = {seen.median / seen.stats:4.1f} x stat"
            f"  rows after {seen.shown:4.1f} s, all read after {seen.all_read:4.1f} s"
            f"  memory +{seen.memory:.0f} MiB"
        )
    print("NanoClaw: one session, one message more (CPU)")
    for rows in DEPTHS:
        first, survey, page, grown = await depth(rows)
        print(
            f"  {rows:>9} rows  first {first * 1000:8.1f} ms  survey {survey * 1000:6.1f} ms  "
            f"page {page * 1000:6.1f} ms  memory +{grown:.0f} MiB"
        )


def main() -> None:
    """Measure and print."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
