"""Looking disturbs nobody: writers at full speed, dead writers, and ten thousand sessions."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.models import SandboxId
from tests.support.clock import FakeClock
from tests.support.nanoclaw import (
    ALPHA,
    FIXTURES,
    NOW,
    ScriptedDocker,
    install_states,
    opened,
    session,
    short_folder,
)

MIXED = SandboxId("claw", "sess-fx-mixed")
LOOKS = 20
EVERY_S = 0.1

WRITER = textwrap.dedent("""
    import pathlib, sqlite3, sys
    path, stop, sql = sys.argv[1:4]
    db = sqlite3.connect(path, timeout=5, isolation_level=None)
    done = 0
    try:
        while not pathlib.Path(stop).exists():
            db.execute("BEGIN IMMEDIATE")
            db.execute(sql, {"n": done})
            db.execute("COMMIT")
            done += 1
    except sqlite3.Error as error:
        sys.exit(f"after {done}: {error}")
    print(done)
""")
WRITES = {
    "inbound.db": """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
        VALUES ('w' || :n, 1000 + 2 * :n, 'chat', '2026-11-20T12:00:00Z', 'completed', '{}')""",
    "outbound.db": """INSERT INTO messages_out (id, seq, kind, timestamp, content)
        VALUES ('w' || :n, 1001 + 2 * :n, 'chat', '2026-11-20 12:00:00', '{}')""",
    "v2.db": "UPDATE sessions SET last_active = 'n' || :n WHERE id = 'sess-fx-mixed'",
}


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        yield install_states(folder / "claw")


@pytest.fixture
def docker(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDocker:
    made = ScriptedDocker(tmp_path / "bin", root)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


@pytest.mark.slow
async def test_writers_at_full_speed_are_never_kept_out(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300))
    stop = tmp_path / "stop"
    mixed = session(root, "sess-fx-mixed")
    places = {"inbound.db": mixed, "outbound.db": mixed, "v2.db": root / "data"}
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, str(places[name] / name), str(stop), sql],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, sql in WRITES.items()
    }
    source = opened(root, SystemClock())
    fresh = 0
    try:
        for _ in range(LOOKS):
            await source.observer.observe()
            snapshot = await source.observer.queue(MIXED, 200)
            fresh += not snapshot.stale
            await asyncio.sleep(EVERY_S)  # looks ten times as often as the panel's
    finally:
        stop.touch()
        ended = {name: writer.communicate(timeout=30) for name, writer in writers.items()}
        await source.observer.close()
    for name, writer in writers.items():
        assert writer.returncode == 0, (name, ended[name][1])
        assert int(ended[name][0]) > 0
    assert fresh > LOOKS / 2
    reader = opened(root, SystemClock())
    await reader.observer.observe()
    final = await reader.observer.queue(MIXED, 5)
    assert sum(dict(final.inbound).values()) == 21 + int(ended["inbound.db"][0])
    assert sum(dict(final.outbound).values()) == 13 + int(ended["outbound.db"][0])


async def test_a_writer_that_died_leaves_its_journal_as_it_was(
    root: Path, docker: ScriptedDocker
) -> None:
    folder = session(root, "sess-fx-claimed")
    for name in ("outbound.db", "outbound.db-journal"):
        shutil.copy(FIXTURES / "hot-journal" / name, folder / name)

    def marks() -> dict[str, tuple[bytes, int]]:
        return {
            path.name: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
            for path in folder.iterdir()
        }

    before = marks()
    clock = FakeClock(NOW)
    source = opened(root, clock)
    for _ in range(5):
        observed = await source.observer.observe()
        await clock.advance(6)
    seen = {one.id.native_id: one for one in observed.sandboxes}["sess-fx-claimed"]
    snapshot = await source.observer.queue(SandboxId("claw", "sess-fx-claimed"), 10)
    await source.observer.close()
    assert "writer died mid-commit" in dict(seen.evidence)["files"]
    assert "deliveries are held" in dict(seen.evidence)["files"]
    assert snapshot.stale
    assert marks() == before


DYING = textwrap.dedent("""
    import os, signal, sqlite3, sys
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.execute("PRAGMA cache_size=5")
    db.execute("BEGIN IMMEDIATE")
    for n in range(4000):
        db.execute(
            "INSERT INTO messages_out (id, seq, kind, timestamp, content)"
            " VALUES ('d' || ?, 5001 + 2 * ?, 'chat', '2026-11-20 12:00:00', hex(randomblob(200)))",
            (n, n),
        )
    os.kill(os.getpid(), signal.SIGKILL)
""")


async def test_a_process_killed_mid_commit_keeps_its_journal_until_it_comes_back(
    root: Path, docker: ScriptedDocker
) -> None:
    folder = session(root, "sess-fx-claimed")
    path = folder / "outbound.db"
    before = sqlite3.connect(path)
    rows = before.execute("SELECT count(*) FROM messages_out").fetchone()
    before.close()
    killed = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False)
    assert killed.returncode == -9
    journal = folder / "outbound.db-journal"
    assert journal.stat().st_size > 512

    def marks() -> dict[str, tuple[bytes, int, int]]:
        return {
            one.name: (
                hashlib.sha256(one.read_bytes()).digest(),
                one.stat().st_mtime_ns,
                one.stat().st_ino,
            )
            for one in folder.iterdir()
        }

    left = marks()
    clock = FakeClock(NOW)
    source = opened(root, clock)
    claimed = SandboxId("claw", "sess-fx-claimed")
    for _ in range(20):
        observed = await source.observer.observe()
        snapshot = await source.observer.queue(claimed, 10)
        await clock.advance(1)
    seen = {one.id.native_id: one for one in observed.sandboxes}["sess-fx-claimed"]
    assert "writer died mid-commit" in dict(seen.evidence)["files"]
    assert "writer died mid-commit" in snapshot.problem
    assert marks() == left
    # Its own next opening heals it, and the panel then shows what was there before.
    healed = sqlite3.connect(path)
    assert healed.execute("SELECT count(*) FROM messages_out").fetchone() == rows
    healed.close()
    assert not journal.exists()
    await clock.advance(6)
    snapshot = await source.observer.queue(claimed, 10)
    await source.observer.close()
    assert not snapshot.problem
    assert sum(dict(snapshot.outbound).values()) == rows[0]


@pytest.mark.slow
async def test_ten_thousand_sessions_are_shown_and_change_is_seen(
    root: Path, docker: ScriptedDocker
) -> None:
    count = 10_000
    group = root / "data" / "v2-sessions" / ALPHA
    template = group / "sess-fx-empty"
    for number in range(count):
        made = group / f"many-{number:05d}"
        made.mkdir()
        for name in ("inbound.db", "outbound.db"):
            os.link(template / name, made / name)
    db = sqlite3.connect(root / "data" / "v2.db")
    with db:
        db.executemany(
            """INSERT INTO sessions (id, agent_group_id, thread_id, status, container_status,
                                     created_at) VALUES (?, ?, ?, 'active', 'stopped', '')""",
            [(f"many-{number:05d}", ALPHA, str(number)) for number in range(count)],
        )
    db.close()
    source = opened(root, SystemClock())
    async with asyncio.timeout(120):
        observed = await source.observer.observe()
        assert len(observed.sandboxes) == count + 9
        changed = group / "many-07777"
        (changed / "inbound.db").unlink()
        shutil.copy(template / "inbound.db", changed / "inbound.db")
        db = sqlite3.connect(changed / "inbound.db")
        with db:
            db.execute(
                """INSERT INTO messages_in (id, seq, kind, timestamp, "trigger", content)
                   VALUES ('c', 2, 'chat', '2026-11-20T12:00:00Z', 0, '{}')"""
            )
        db.close()
        while True:
            observed = await source.observer.observe()
            seen = {one.id.native_id: one for one in observed.sandboxes}["many-07777"]
            if dict(seen.inbound) == {"context only": 1}:
                break
    await source.observer.close()
    assert seen.reason.startswith("Accumulates only: 1 context message,")
