"""Every place we write, with something hostile there first: refused with a reason, or safe."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.errors import WakedeckError
from services.files.private import write_new
from services.journal import unwritten
from services.journal.store import Journal
from services.logs import own_log
from services.models import Event, Severity
from services.repair.locks import LockOwner, RepairLocks
from services.sources.local import leases, spawn, world
from services.sources.local.layout import World, write_private
from services.sources.pods.remote_cleanup import OpenShell, OpenShells
from services.terminal.session.recording import SessionRecorder
from tests.integration.files.test_private import OTHER, mode, needs_root
from tui.panel import screenshots, welcome
from tui.panel.view_state import ViewState, load_view, save_view

EVENT = Event(1.0, Severity.INFO, "s", "a", "sandbox", "hello", "", "")
SHELL = OpenShell("n", "p", "u", "c", 1, 2, "")
VICTIM = b"somebody else's words\n"


def _journal(file: Path) -> None:
    async def go() -> None:
        journal = Journal(file, SystemClock())
        await journal.open()
        journal.record(EVENT)
        problem = journal.problem
        await journal.close()
        if problem:
            raise OSError(errno.EPERM, problem)

    asyncio.run(go())


def _log(file: Path) -> None:
    handler = own_log._PrivateFileHandler(file)
    try:
        handler.stream = handler._open()
        handler.stream.write("a line\n")
    finally:
        handler.close()


def _lock(file: Path) -> None:
    locks = RepairLocks(file.parent)
    locks.path = lambda source, wake_key: file  # type: ignore[method-assign]
    lock = locks.acquire("s", "k")
    assert not isinstance(lock, LockOwner)
    lock.release()


def _shells(file: Path) -> None:
    shells = OpenShells(file.parent, "s")
    shells._path = lambda: file  # type: ignore[method-assign]
    shells.add(SHELL)
    shells.close()


def _view(file: Path) -> None:
    save_view(file, ViewState(focus="queues"))
    assert load_view(file).focus in ("queues", "")


def _recording(file: Path) -> None:
    recorder = SessionRecorder(file.parent, file.stem, SystemClock())
    recorder.output(b"x")
    recorder.close()


def _lease(file: Path) -> None:
    one = World(file.parent.parent)
    leases.Lease(one).close()
    leases.lease_count(one)


def _world_lock(file: Path) -> None:
    world.end_if_unneeded(World(file.parent))


def _world_log(file: Path) -> None:
    with spawn._open_log(file) as handle:
        os.write(handle, b"a line\n")


PLACES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "journal": ("wakedeck/journal.db", _journal),
    "journal's lock": ("wakedeck/journal.db.lock", lambda f: _journal(f.with_suffix(""))),
    "journal's log": (
        "wakedeck/journal.db-wal",
        lambda f: _journal(f.with_name("journal.db")),
    ),
    "new journal": ("wakedeck/journal.db.new", lambda f: _journal(f.with_suffix(""))),
    "unwritten": (
        "wakedeck/journal.unwritten.jsonl",
        lambda f: unwritten.keep(f.with_name("journal.db"), [EVENT]),
    ),
    "log": ("wakedeck/wakedeck.log", _log),
    "lock": ("wakedeck/locks/x.lock", _lock),
    "open shells": ("wakedeck/open-shells/s.1.json", _shells),
    "view": ("wakedeck/views/default.json", _view),
    "screenshot": (
        "wakedeck/screenshots/a.svg",
        lambda f: screenshots._write(f.parent, f.name, "<svg/>"),
    ),
    "recording": ("wakedeck/recordings/a.wdrec", _recording),
    "welcome": ("wakedeck/welcomed", lambda f: welcome.claim_first_start(f.parent)),
    "configuration": ("wakedeck/config.toml", lambda f: write_new(f, "x = 1\n")),
    "world's lock": ("wakedeck/local/lock", _world_lock),
    "world's log": ("wakedeck/local/logs/host.log", _world_log),
    "token": ("wakedeck/local/gateway/token", lambda f: write_private(f, "secret")),
    "lease": (f"wakedeck/local/leases/.{os.getpid()}.new", _lease),
}

GUARDED_ABOVE = {"configuration", "world's lock", "world's log", "token", "lease"}
"""Places whose folder another step makes, and refuses."""


def _link(file: Path, victim: Path) -> None:
    file.symlink_to(victim)


def _dangling(file: Path, victim: Path) -> None:
    file.symlink_to(victim.with_name("not there"))


def _pipe(file: Path, _: Path) -> None:
    os.mkfifo(file)


def _folder(file: Path, _: Path) -> None:
    file.mkdir()


def _open_to_all(file: Path, _: Path) -> None:
    file.touch()
    file.chmod(0o666)


def _anothers(file: Path, _: Path) -> None:
    file.touch()
    file.chmod(0o666)
    os.chown(file, OTHER, OTHER)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "plant",
    [_link, _dangling, _pipe, _folder, _open_to_all, pytest.param(_anothers, marks=needs_root)],
)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_there_first_gets_nothing(
    tmp_path: Path, place: str, plant: Callable[[Path, Path], None]
) -> None:
    where, write = PLACES[place]
    home, victim = tmp_path / "state", tmp_path / "victim"
    victim.write_bytes(VICTIM)
    victim.chmod(0o644)
    World(home / "wakedeck/local").create()
    file = home / where
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    plant(file, victim)
    before = file.lstat()
    try:
        write(file)
    except (OSError, WakedeckError) as error:
        assert getattr(error, "strerror", None) or str(error)
    assert victim.read_bytes() == VICTIM
    assert mode(victim) == 0o644
    assert not victim.with_name("not there").exists()
    if os.path.lexists(file):
        about = file.lstat()
        if about.st_ino == before.st_ino:
            harmless = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
            assert harmless or about.st_size == before.st_size
        elif stat.S_ISREG(about.st_mode):
            assert (about.st_uid, about.st_mode & 0o077) == (os.geteuid(), 0)


@needs_root
@pytest.mark.timeout(20)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_written_into_another_users_folder(tmp_path: Path, place: str) -> None:
    where, write = PLACES[place]
    file = tmp_path / where
    file.parent.mkdir(parents=True)
    for one in (file.parent, tmp_path / "wakedeck"):
        one.chmod(0o777)
        os.chown(one, OTHER, OTHER)
    if place in GUARDED_ABOVE:
        # Their folder was made or refused before, by `World.create` or by `config`.
        with pytest.raises(OSError, match="another user"):
            World(file.parent).create()
        return
    try:
        write(file)
    except (OSError, WakedeckError) as error:
        assert "another user" in str(error)
    assert not list(file.parent.iterdir())
