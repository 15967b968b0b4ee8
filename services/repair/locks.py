"""Locks of repairs: one repair per gateway in this panel and among all panels.

Between panels a kernel lock on a file decides, so a killed panel lets go too. The file holds the
process of whoever has it, for the others to name.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.files.bounded import parse_json
from services.files.private import open_private, private_folder
from services.process.identity import ProcessId

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LockOwner:
    """Somebody else holds the lock; `who` names them for the operator."""

    who: str


class RepairLock:
    """A held lock of one gateway; kept until released."""

    def __init__(self, locks: RepairLocks, key: str, handle: int | None) -> None:
        self._locks = locks
        self._key = key
        self._handle = handle

    def release(self) -> None:
        """Let the next one have it; idempotent."""
        if self._locks.held.get(self._key) is self:
            del self._locks.held[self._key]
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.ftruncate(handle, 0)
            os.close(handle)


class RepairLocks:
    """Grants locks without waiting. `folder` is made when first needed, owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.held: dict[str, RepairLock] = {}

    def path(self, source: str, wake_key: str) -> Path:
        """The lock file of a gateway; any text makes a safe name."""
        import hashlib

        name = hashlib.sha256(f"{source}\0{wake_key}".encode()).hexdigest()[:24]
        return self._folder / f"{name}.lock"

    def acquire(self, source: str, wake_key: str) -> RepairLock | LockOwner:
        """The lock, or its owner. Where no file can be locked, only this panel is guarded."""
        key = f"{source}\0{wake_key}"
        if key in self.held:
            return LockOwner("another repair of the same gateway")
        handle: int | None = None
        try:
            private_folder(self._folder)
            path = self.path(source, wake_key)
            handle = open_private(path, os.O_RDWR | os.O_CREAT)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(_lock_content()).encode(), 0)
        except BlockingIOError:
            who = _owner_text(handle)
            if handle is not None:
                os.close(handle)
            return LockOwner(who)
        except OSError as error:
            _LOG.warning("no lock among panels for a wake: %s", error)
            if handle is not None:
                os.close(handle)
                handle = None
        lock = RepairLock(self, key, handle)
        self.held[key] = lock
        return lock


class LockRequest:
    """One attempt's request for the lock of its gateway; the key is asked for once."""

    def __init__(self, locks: RepairLocks, source: str, wake_key: Callable[[], str]) -> None:
        self._locks = locks
        self._source = source
        self._wake_key = wake_key
        self._key: str | None = None
        self._lock: RepairLock | None = None
        self.owner = ""
        """Who holds the lock, where somebody else does."""

    def acquire(self) -> bool:
        """Acquire the lock; False where somebody else holds it."""
        if self._lock is not None:
            return True
        if self._key is None:
            self._key = self._wake_key()
        result = self._locks.acquire(self._source, self._key)
        if isinstance(result, LockOwner):
            self.owner = result.who
            return False
        self._lock, self.owner = result, ""
        return True

    def release(self) -> None:
        """Let the next one have it; idempotent."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _lock_content() -> dict[str, int | str]:
    me = ProcessId.capture()
    return {"pid": os.getpid()} if me is None else me.fields()


def _owner_text(handle: int | None) -> str:
    if handle is None:
        return "another panel"
    try:
        fields = parse_json(os.pread(handle, 4096, 0))
    except (OSError, ValueError):
        return "another panel"
    pid = fields.get("pid") if isinstance(fields, dict) else None
    if type(pid) is not int:
        return "another panel"
    process = ProcessId.of(fields)
    # Left by a panel that is gone, while the next one has not written its own yet.
    if process is not None and not process.alive():
        return "another panel"
    return f"another panel (process {pid})"
