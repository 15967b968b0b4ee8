"""Files of an earlier version are read as they are, and its processes and ours exclude each other.

`tests/fixtures/golden/README.md` says how the files were made. What holds a lock here uses nothing
of ours: names and contents are those that the earlier version wrote.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from services.clock import SystemClock
from services.errors import UnavailableError
from services.journal.store import Journal
from services.models import SandboxId
from services.repair.locks import LockOwner, RepairLock, RepairLocks
from services.sources.local import world as worlds
from services.sources.local.actor import LocalActor
from services.sources.local.layout import World
from services.sources.local.leases import lease_count
from services.sources.pods.remote_cleanup import OpenShells
from services.terminal.session.recording import read_recording
from tests.support.clock import FakeClock
from tests.support.local_world import all_ready, live_world
from tests.support.panels import drawn, panel
from tests.support.waiting import eventually, eventually_sync
from tui.cli import tables
from tui.cli.main import main
from tui.panel.layout import Pane, PaneGrid
from tui.panel.replay import Replay
from tui.panel.view_state import load_view, view_file
from widgets.panes.events import EventPane
from widgets.panes.queues import QueuePane
from widgets.panes.sandboxes import SandboxPane

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "fixtures" / "golden"
LOCKS = json.loads((GOLDEN / "locks.json").read_text("utf-8"))
EVENTS = [json.loads(line) for line in (GOLDEN / "events.jsonl").read_text("utf-8").splitlines()]
ENTRY = "from tui.cli.main import main; main()"
HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("busy", os.pread(handle, 4096, 0).decode(), flush=True)
else:
    os.ftruncate(handle, 0)
    os.pwrite(handle, sys.argv[2].replace("PID", str(os.getpid())).encode(), 0)
    print("held", flush=True)
    sys.stdin.read()
"""
"""Locks a file as the earlier version did, until its input ends."""


@contextmanager
def held(path: Path, content: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock; its first line says whether it could."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-I", "-c", HOLDER, str(path), content],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def lock_content(row: dict[str, str]) -> str:
    """What a live process of the earlier version writes: its own number in the recorded text."""
    recorded = json.loads(row["held"])
    return row["held"].replace(f'"pid": {recorded["pid"]}', '"pid": PID')


@pytest.fixture
def state(home: Path) -> Path:
    """A home as the earlier version left it; gives its folder of state."""
    folder = home / ".local" / "state" / "wakedeck"
    shutil.copytree(GOLDEN / "state", folder)
    config = home / ".config" / "wakedeck" / "config.toml"
    config.parent.mkdir(parents=True)
    shutil.copy(GOLDEN / "config.toml", config)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, at the path the configuration names: the working folder's `world`."""
    shutil.copytree(GOLDEN / "world", tmp_path / "world")
    monkeypatch.chdir(tmp_path)
    return World(tmp_path / "world")


async def test_the_journal_is_read_with_the_log_a_killed_panel_left(state: Path) -> None:
    journal = Journal(state / "journal.db", FakeClock(EVENTS[-1]["at"]))
    assert await journal.open() == ()
    try:
        found = await journal.recent(1000)
    finally:
        await journal.close()
    assert [tables.event_json(one) for one in reversed(found)] == EVENTS
    assert {one.kind for one in found} == {
        "sandbox", "gateway", "source", "attempt", "shell", "panel"
    }  # fmt: skip
    assert {one.severity.value for one in found} == {"info", "better", "worse", "action"}


def test_events_lists_it_and_goes_on_in_the_same_file(state: Path) -> None:
    # The command forgets what is older than a month: the same events, today.
    shift = time.time() - EVENTS[-1]["at"]
    with sqlite3.connect(state / "journal.db") as db:
        db.execute("UPDATE events SET at = at + ?", (shift,))
    db.close()
    done = CliRunner().invoke(main, ["events", "--all", "--json"])
    assert done.exit_code == 0, done.output
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [{**one, "at": None} for one in listed] == [{**one, "at": None} for one in EVENTS]
    assert [one["at"] for one in listed] == [pytest.approx(one["at"] + shift) for one in EVENTS]
    done = CliRunner().invoke(main, ["events", "--sandbox", "here/release-notes", "--json"])
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == [
        one["kind"] for one in EVENTS if one["subject"] == "release-notes"
    ]


@pytest.mark.parametrize("profile", ["default", "night", "a.b-c_d"])
def test_the_configuration_says_the_same(home: Path, state: Path, profile: str) -> None:
    done = CliRunner().invoke(main, ["--profile", profile, "config", "show", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.replace(str(home), "HOME"))
    before = json.loads((GOLDEN / f"config-{profile}.json").read_text("utf-8"))
    known = {one["name"] for one in before["values"]}
    # Keys that came since have their defaults; what was there says the same, in the same order.
    assert all(one["origin"] == "default" for one in said["values"] if one["name"] not in known)
    said["values"] = [one for one in said["values"] if one["name"] in known]
    assert said == before


async def test_the_panel_opens_as_the_earlier_one_was_left(state: Path) -> None:
    written = view_file(state, "default").read_bytes()
    assert load_view(view_file(state, "default")).zoomed == "events"
    async with panel(state) as stage:
        dashboard = stage.app.dashboard
        sandboxes = dashboard.query_one(SandboxPane)
        assert sandboxes.filter_text == "!night"
        assert sandboxes.table.sort == ("name", True)
        assert dashboard.query_one(QueuePane).apart
        assert dashboard.query_one(PaneGrid).pane_layout.zoomed is Pane.EVENTS
        assert dashboard.focused_pane is Pane.EVENTS
        await stage.until(lambda: not dashboard.query_one(EventPane).following)
        assert "MUTED" in drawn(stage.app)
    assert json.loads(view_file(state, "default").read_bytes()) == json.loads(written)


async def test_a_transcript_plays_to_the_same_screen(state: Path) -> None:
    (path,) = (state / "transcripts").iterdir()
    app = Replay(path.name, read_recording(path), SystemClock(), at_once=True)
    async with app.run_test(size=(100, 40)):
        await eventually(lambda: app.ended)
        shown = "\n".join(line.rstrip() for line in app.emulator.display).rstrip()
    assert shown == (GOLDEN / "transcript.txt").read_text("utf-8").rstrip()
    assert not app.cut_short


def test_shells_of_a_killed_panel_are_found(state: Path) -> None:
    shells = OpenShells(state / "open-shells", "pods")
    (left,) = shells.abandoned("0f7c4d8e-uid-golden")
    assert (left.namespace, left.name, left.container) == ("agents", "box-7d9", "agent")
    assert (left.pid, left.started, left.became) == (4711, 123456, "bash")
    shells.close()


def test_a_world_whose_processes_died_is_known_for_what_it_is(state: Path, place: World) -> None:
    done = CliRunner().invoke(main, ["local", "status", "--json"])
    assert done.exit_code == 1
    recorded = json.loads((GOLDEN / "world-status.json").read_text("utf-8"))
    told = json.loads(done.stdout)
    for one in told["processes"]:
        # A port is named only while its process owns it.
        assert not one.pop("port", None) and not one.pop("socket", "")
    for one in recorded["processes"]:
        one.pop("port", None)
    assert told == recorded
    assert not worlds.is_up(place)
    assert lease_count(place) == 0


async def test_a_world_is_taken_over_with_what_is_in_it(place: World, tmp_path: Path) -> None:
    token = place.token.read_bytes()
    rows = _rows(GOLDEN / "world" / "sandboxes" / "inbox-triage" / "inbound.db")
    assert len(rows) > 10
    async with live_world(tmp_path) as live:
        seen = await live.until(all_ready)
        assert lease_count(place) == 1
        assert {one.name for one in seen.sandboxes} == set(place.names())
        assert place.token.read_bytes() != token, "each start has a token of its own"
        queue = await live.source.observer.queue(live.id("inbox-triage"), 2000)
        assert rows <= {one.id for one in queue.messages}
        assert live.source.lifecycle is not None
        await live.source.lifecycle.leave()
        # `keep` stands: it was started to stay.
        assert worlds.is_up(place)
    assert not worlds.is_up(place)


def _rows(path: Path) -> set[str]:
    db = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        return {str(one) for (one,) in db.execute("SELECT id FROM messages_in")}
    finally:
        db.close()


async def test_a_live_process_of_an_earlier_world_is_ended_and_nobody_else(place: World) -> None:
    def stand_in(role: str, *words: str, later_s: float = 0.0) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-c", "input()", *words]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE)
        created = psutil.Process(child.pid).create_time() + later_s
        path = place.record(role)
        fields = {**json.loads(path.read_text("utf-8")), "pid": child.pid, "created": created}
        path.write_text(json.dumps(fields), "utf-8")
        return child

    host = stand_in("host", "--world", str(place.root))
    # Of another program that began at that part of a second, an hour later, with the same pid.
    stranger = stand_in("gateway", later_s=-3600.0)
    try:
        with held(place.leases / "1.lease"):
            assert await worlds.take_down(place) == 1
        assert host.wait(30) != 0
        assert stranger.poll() is None
        assert not place.keep.exists()
        assert not list((place.root / "run").glob("*.json"))
    finally:
        for child in (host, stranger):
            child.kill()
            child.communicate()


async def test_a_world_that_an_earlier_one_is_starting_is_left_to_it(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "_LOCK_WAIT_S", 0.2)
    with held(place.lock):
        with pytest.raises(UnavailableError, match="starting or ending"):
            await worlds.keep_up(place)
        assert not worlds.is_up(place)


async def test_a_journal_that_an_earlier_one_is_opening_is_waited_for(state: Path) -> None:
    journal = Journal(state / "journal.db", FakeClock(EVENTS[-1]["at"]))
    with held(state / "journal.db.lock"):
        (notice,) = await journal.open()
        assert "another panel is busy with the file" in notice.text
    await journal.close()


@pytest.mark.parametrize("row", LOCKS, ids=lambda row: row["source"])
def test_a_repair_lock_has_the_same_name_and_content(tmp_path: Path, row: dict[str, str]) -> None:
    locks = RepairLocks(tmp_path / "locks")
    path = locks.path(row["source"], row["wake_key"])
    assert path.name == row["file"]
    with held(path, lock_content(row)) as other:
        owner = locks.acquire(row["source"], row["wake_key"])
        assert owner == LockOwner(f"another panel (process {other.pid})")
    mine = locks.acquire(row["source"], row["wake_key"])
    assert isinstance(mine, RepairLock)
    # The earlier version, on its side, finds it locked and reads whose it is.
    done = subprocess.run(
        [sys.executable, "-I", "-c", HOLDER, str(path), ""],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    word, _, content = done.stdout.partition(" ")
    written = json.loads(content)
    assert word == "busy"
    assert written["pid"] == os.getpid()
    mine.release()
    assert path.read_text("utf-8") == row["released"]


def test_the_lock_of_the_world_is_asked_for_by_the_same_key() -> None:
    actor = LocalActor("here", World(Path("world")), SystemClock())
    assert actor.wake_key(SandboxId("here", "inbox-triage")) == LOCKS[0]["wake_key"]


@pytest.mark.slow
def test_wake_says_who_repairs_and_goes_on_when_they_are_done(
    state: Path, place: World, tmp_path: Path
) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words),
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def command(*words: str) -> list[str]:
        return [sys.executable, "-c", ENTRY, "--profile", "default", *words]

    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert run("local", "up").returncode == 0
    try:
        eventually_sync(lambda: run("local", "status").returncode == 0)
        assert run("local", "fault", "inbox-triage", "gateway-hang").returncode == 0
        # The lock the earlier version left, unlocked by its death, stands there by its own name.
        path = state / "locks" / LOCKS[0]["file"]
        assert path.read_text("utf-8") == LOCKS[0]["held"]
        with held(path, lock_content(LOCKS[0])) as other:
            waking = subprocess.Popen(
                command("wake", "here/inbox-triage"),
                env=env,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert waking.stderr is not None
            said = ""
            while "is repairing this" not in said:
                line = waking.stderr.readline()
                assert line, f"it ended, having said: {said}"
                said += line
            assert f"another panel (process {other.pid}) is repairing this" in said
            assert waking.poll() is None
        rest = waking.communicate(timeout=60)
        assert waking.returncode == 0, rest
        assert "inbox-triage" in rest[0]
    finally:
        assert run("local", "down").returncode == 0
