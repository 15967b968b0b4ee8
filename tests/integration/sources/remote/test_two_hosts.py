"""Two hosts behind real OpenSSH servers, each with its own world, as one operator uses them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Flags, load
from services.journal.store import Journal
from services.models import AttemptState, SandboxId, SandboxState, Verb
from services.sources.registry import open_sources
from services.terminal.exec.requests import ShellChoice
from services.wire import messages
from services.wire.frames import FrameReader
from tests.support.remote import BIN, embedded_world
from tests.support.sshd import SshHost, ssh_host
from tests.support.waiting import eventually
from tui.engine import Engine

pytestmark = pytest.mark.kit("sshd")
KEYS = ("box", "cabin")


def write_config(home: Path, hosts: dict[str, SshHost]) -> None:
    lines = []
    for key, host in hosts.items():
        lines += [f"[sources.{key}]", 'kind = "remote"', "interval_s = 1.0"]
        lines.append(f"command = {json.dumps(host.argv('wakedeck', 'source', '--stdio'))}")
    folder = home / ".config/wakedeck"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("\n".join(lines) + "\n")


async def command(*words: str) -> tuple[int, str, str]:
    """One command of ours in a process of its own."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "wakedeck"), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )

    done = await asyncio.to_thread(run)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.timeout(280)
async def test_one_panel_for_two_hosts(home: Path, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        hosts, worlds = {}, {}
        for key in KEYS:
            hosts[key] = stack.enter_context(ssh_host(tmp_path / key, key))
            worlds[key] = await stack.enter_async_context(embedded_world(hosts[key].home))
        write_config(home, hosts)

        clock = SystemClock()
        opened = open_sources(load(Flags()), clock)
        attempts_seen: list[object] = []
        engine = Engine(
            opened,
            clock,
            intervals=dict.fromkeys(KEYS, 1.0),
            journal=paths.journal_file(),
            locks=paths.locks_dir(),
            read_only=False,
            jitter=random.Random(1),
            on_delta=lambda _: None,
            on_queue=lambda _: None,
            on_attempt=attempts_seen.append,
            on_events=lambda _: None,
        )
        running = asyncio.create_task(engine.run())
        board = engine.board
        broken = {key: SandboxId(key, "local/data-pull") for key in KEYS}

        def ready(number: int) -> bool:
            rows = [one for one in board.sandboxes.values() if not one.stale]
            return len(rows) == 8 and number == sum(one.state is SandboxState.READY for one in rows)

        try:
            await eventually(lambda: ready(8), what=board.totals)
            assert engine.name_of(broken["box"]) == "box/data-pull"
            for world in worlds.values():
                record = world.read_record("agent-data-pull")
                assert record is not None
                os.kill(record.pid, signal.SIGKILL)
            await eventually(
                lambda: all(
                    board.sandboxes[one].state is SandboxState.DOWN for one in broken.values()
                ),
            )
            code, out, _ = await command("status")
            assert code == 1 and "sandboxes: 2 down, 6 ready" in out, out

            handles = [engine.attempts.request(Verb.WAKE, one) for one in broken.values()]
            ended = [await one.wait() for one in handles]
            assert [one.state for one in ended] == [AttemptState.DONE] * 2, ended
            await eventually(lambda: ready(8), what=board.totals)

            code, out, err = await command("exec", "box/data-pull", "--", "false")
            assert code == 1, err
            code, out, err = await command(
                "exec", "cabin/data-pull", "--", "sh", "-c", "pwd; exit 9"
            )
            assert code == 9 and str(hosts["cabin"].home) in out, (out, err)
            code, out, err = await command("exec", "data-pull", "--", "true")
            assert code == 2 and "box/local/data-pull" in err and "cabin/local/data-pull" in err

            for key, one in broken.items():
                shell = engine.sources[key].actor.shell(one, ShellChoice())
                await shell.open(80, 24)
                await shell.write(b"pwd; exit 4\n")
                heard = b""
                while isinstance(got := await asyncio.wait_for(shell.read(), 60), bytes):
                    heard += got
                assert got.code == 4, got
                assert str(hosts[key].home).encode() in heard.replace(b"\r\n", b"")
                await shell.close()
            code, out, _ = await command("status")
            assert code == 0 and "sandboxes: 8 ready" in out, out
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await engine.close()
        told = history()
        for key in KEYS:
            mine = [
                text
                for source, subject, text in told
                if (source, subject) == (key, "local/data-pull")
            ]
            assert len([one for one in mine if "data-pull is down" in one]) == 1, mine
            assert len([one for one in mine if "data-pull is ready" in one]) == 1, mine
            assert len([one for one in mine if one.startswith("wake: ")]) == 1, mine
        code, out, _ = await command("doctor")
        for key in KEYS:
            assert f"{key} (another machine): 4 sandboxes" in out, out
        assert out.count("      answers: wakedeck ") == len(KEYS), out


def history() -> list[tuple[str, str, str]]:
    """What the journal of this home holds."""
    with sqlite3.connect(paths.journal_file()) as db:
        rows = db.execute("SELECT source, subject, text FROM events ORDER BY id").fetchall()
    db.close()
    return rows


class Told:
    """What a far side tells on its standard output, read until its end."""

    def __init__(self, output: asyncio.StreamReader) -> None:
        self._states: dict[str, str] = {}
        self.end = asyncio.create_task(self._read(output))

    def state(self, name: str) -> str | None:
        """Of a sandbox, as it was told last."""
        return self._states.get(name)

    async def _read(self, output: asyncio.StreamReader) -> None:
        frames = FrameReader()
        while data := await output.read(1 << 16):
            for message in map(messages.decode, frames.feed(data)):
                if isinstance(message, messages.Delta):
                    self._states |= {row.id: row.state for row in message.sandboxes}


@pytest.mark.timeout(200)
async def test_what_happened_meanwhile_is_told_once(home: Path, tmp_path: Path) -> None:
    """A panel that comes back hears what the host saw without it, and each thing once."""
    with ssh_host(tmp_path / "box") as host:
        async with embedded_world(host.home) as world:
            write_config(home, {"box": host})
            journal = Journal(host.home / ".local/state/wakedeck/journal.db", SystemClock())
            assert paths.journal_file().name == journal.path.name
            far = await asyncio.create_subprocess_exec(
                *("env", f"HOME={host.home}", str(BIN / "wakedeck"), "source", "--stdio"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert far.stdout is not None
            told = Told(far.stdout)
            record = world.read_record("agent-data-pull")
            assert record is not None
            # The far side has to have seen it alive first.
            await eventually(lambda: told.state("data-pull") == "ready")
            os.kill(record.pid, signal.SIGKILL)
            await _recorded(journal.path, "data-pull is down")
            assert far.stdin is not None
            far.stdin.close()
            await far.wait()
            await told.end
            for _ in range(2):
                await _panel_for_a_moment()
            downs = [text for _, subject, text in history() if "data-pull is down" in text]
            assert len(downs) == 1, history()


async def _recorded(journal: Path, text: str) -> None:
    def there() -> bool:
        if not journal.exists():
            return False
        with sqlite3.connect(journal) as db:
            found = db.execute("SELECT 1 FROM events WHERE text LIKE ?", (f"%{text}%",)).fetchone()
        db.close()
        return found is not None

    await eventually(there)


async def _panel_for_a_moment() -> None:
    clock = SystemClock()
    engine = Engine(
        open_sources(load(Flags()), clock),
        clock,
        intervals={"box": 1.0},
        journal=paths.journal_file(),
        locks=paths.locks_dir(),
        read_only=False,
        jitter=random.Random(1),
        on_delta=lambda _: None,
        on_queue=lambda _: None,
        on_attempt=lambda _: None,
        on_events=lambda _: None,
    )
    running = asyncio.create_task(engine.run())
    try:
        await eventually(lambda: sum(not one.stale for one in engine.board.sandboxes.values()) == 4)
        await asyncio.sleep(2)  # what is told is written a moment later
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await engine.close()
