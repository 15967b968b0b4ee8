"""What one round over a NanoClaw install costs, by the number of sessions and of their messages."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
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


async def rounds(count: int) -> tuple[float, float, float]:
    """(first round, median round, resident MiB more) in seconds of CPU."""
    with tempfile.TemporaryDirectory(prefix="nc-bench-") as place:
        root = Path(place) / "claw"
        live = many(root, count)
        source = open_nanoclaw("claw", NanoClawTable(root=str(root)), SystemClock())
        observer = source.observer
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        poller, _ = observer._opened()  # type: ignore[attr-defined]
        first = 0.0
        for _ in range(40):
            await poller.poll(Listing(time.time()))
            if all(one.stamp is not None or one.surveyed_at for one in poller._sessions.values()):
                break
        first = time.process_time() - began
        costs: list[float] = []
        for number in range(ROUNDS):
            change(live[number % SETS :: SETS], root, number)
            await asyncio.sleep(0.5)
            began = time.process_time()
            await poller.poll(Listing(time.time()))
            costs.append(time.process_time() - began)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        await observer.close()
        return first, statistics.median(costs), grown


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
        first, median, grown = await rounds(count)
        print(
            f"  {count:>6} sessions  first {first * 1000:8.1f} ms  "
            f"round {median * 1000:7.1f} ms  memory +{grown:.0f} MiB"
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
