"""What a run of the tests leaves behind: processes, folders, sockets, connections nobody closed.

Each run has a name and a temporary folder of its own, so that two runs at once on one machine are
not taken for each other.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "WAKEDECK_TEST_RUN"
GRACE_S = 10.0
"""What is ending anyway may end within this."""
_SHOWN = 120


@dataclass
class Run:
    """One run: its folder takes what programs make below the temporary folder."""

    folder: Path
    before: str

    def end(self) -> list[str]:
        """What is left below the temporary folder; it is removed."""
        found = [
            f"in the temporary folder: {_told(path)}"
            for path in sorted(self.folder.iterdir())
            if not _is_kept(path)
        ]
        tempfile.tempdir = None
        os.environ["TMPDIR"] = self.before
        shutil.rmtree(self.folder, ignore_errors=True)
        return found


def begin() -> Run:
    """Give this run a temporary folder; pytest's own folders stay where they were."""
    before = tempfile.gettempdir()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", before)
    # Short: sockets live below it.
    folder = Path(tempfile.mkdtemp(prefix="w"))
    folder.chmod(0o711)  # as the place it stands for: another user may pass
    os.environ["TMPDIR"] = str(folder)
    os.environ[MARK] = folder.name
    tempfile.tempdir = None
    return Run(folder, before)


def _is_kept(path: Path) -> bool:
    """The private folder for sockets with long paths: panels share it, so none removes it.

    In a namespace of users it is another's: 0 where somebody else runs the tests.
    """
    return re.fullmatch(r"wakedeck-\d+", path.name) is not None and not any(path.iterdir())


def _told(path: Path) -> str:
    mode = path.lstat().st_mode
    kind = "socket " if stat.S_ISSOCK(mode) else ""
    inside = sorted(one.name for one in path.iterdir())[:5] if path.is_dir() else []
    return f"{kind}{path.name}" + (f" with {', '.join(inside)}" if inside else "")


def children() -> list[str]:
    """Processes this one started that live on, or that nobody has collected.

    A world's own end comes after the last look at it; the next look, of which there may be none,
    would have collected what has ended.
    """
    records = sys.modules.get("services.sources.local.process_records")

    def look() -> list[psutil.Process]:
        if records is not None:
            records.reap()
        return psutil.Process().children(recursive=True)

    return _patiently(look)


def processes(*places: str) -> list[str]:
    """Processes of this run that live on.

    Ours are those with the run's mark, and those whose environment, folder or command names one of
    these places, whoever their parent is by now.
    """
    me = psutil.Process()
    around = {me.pid, *(one.pid for one in me.parents())}
    # With its end: the folder of another run may begin like ours.
    words = [f"{MARK}={os.environ[MARK]}\0", *(f"{place}/" for place in places)]

    def ours() -> list[psutil.Process]:
        return [
            one
            for one in psutil.process_iter()
            if one.pid not in around and any(word in _about(one) for word in words)
        ]

    return _patiently(ours)


def _patiently(look: Callable[[], list[psutil.Process]]) -> list[str]:
    deadline = time.monotonic() + GRACE_S
    while True:
        found = look()
        if not found or time.monotonic() > deadline:
            return [told for one in found if (told := _described(one))]
        time.sleep(0.05)  # between two looks at the processes


def _described(one: psutil.Process) -> str:
    try:
        command = " ".join(one.cmdline())[:_SHOWN] or one.name()
        return f"process {one.pid} ({one.status()}): {command}"
    except psutil.ZombieProcess:
        return f"process {one.pid} ({one.name()}) has ended, and nobody collected it"
    except psutil.Error:
        return ""


def _about(one: psutil.Process) -> str:
    said = ""
    for name in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            said += Path(f"/proc/{one.pid}/{name}").read_bytes().decode(errors="replace") + "\0"
    with contextlib.suppress(OSError):
        said += f"{Path(f'/proc/{one.pid}/cwd').readlink()}/"
    return said


def connections() -> list[str]:
    """Sockets this process still listens on or is connected by."""
    found = []
    for one in psutil.Process().net_connections("all"):
        here, there = _end(one.laddr), _end(one.raddr)
        if here or there:
            found.append(f"connection {here or '-'} to {there or '-'} ({one.status})")
    return found


def _end(address: object) -> str:
    """Of a socket: a path, or a host and its port."""
    return ":".join(map(str, address)) if isinstance(address, tuple) else str(address)


def unclosed() -> list[str]:
    """What complains when the last objects go: warnings, errors without a reader, threads."""
    found: list[str] = []

    def unraisable(said: sys.UnraisableHookArgs) -> None:
        found.append(f"{type(said.exc_value).__name__}: {said.exc_value} in {said.object!r}")

    before = sys.unraisablehook
    sys.unraisablehook = unraisable
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3):
                gc.collect()
    finally:
        sys.unraisablehook = before
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            found.append(f"thread {thread.name}")
    return [one[:400] for one in found]
