"""The two files of a state directory that are read: the lock and the configuration.

Of the configuration only where the gateway is; nothing that may be secret is kept. See
upstream/openclaw: The lock, and upstream/openclaw: Places.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.agents.openclaw.evidence import Config, Lock, LockState
from services.files.bounded import UnfitError, parse_json, read_bounded
from services.files.json5 import parse_json5
from services.process.identity import Liveness, ProcessId, boot_id
from services.sources.openclaw.layout import StateDirectory
from services.text.sanitize import sanitize

_LARGEST_LOCK = 1 << 16
_WRITTEN_S, _AGAIN_S = 0.5, 0.05
_FRESH_S = 3.0
"""A lock that was changed longer ago than that is not being written."""


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock with the process that wrote it, where that can be told apart from any other."""

    lock: Lock
    process: ProcessId | None = None


def read_lock(place: StateDirectory, now: float) -> LockFile:
    """The lock of a state directory; of several the one that is held."""
    try:
        found = [_read_lock(path, now) for path in place.locks()]
    except OSError as error:
        return _unread(_words(error))
    order = (LockState.HELD, LockState.UNKNOWN, LockState.NONE, LockState.STALE)
    return min(found, key=lambda one: order.index(one.lock.state), default=LockFile(Lock()))


def read_written_lock(place: StateDirectory, now: float) -> LockFile:
    """As `read_lock`, for a thread: one that a gateway is writing is read again once it is whole.

    `now` is in seconds since the epoch.
    """
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        found = read_lock(place, now + waited)
        if not found.lock.problem or waited > _WRITTEN_S or not _is_fresh(place, now):
            return found
        time.sleep(_AGAIN_S)


def _is_fresh(place: StateDirectory, now: float) -> bool:
    try:
        return any(path.stat().st_mtime > now - _FRESH_S for path in place.locks() if path.exists())
    except OSError:
        return False


def _read_lock(path: Path, now: float) -> LockFile:
    try:
        foreign = path.stat().st_uid != os.getuid()
        fields = parse_json(read_bounded(path, _LARGEST_LOCK))
    except FileNotFoundError:
        return LockFile(Lock())
    except (OSError, UnfitError) as error:
        return _unread(_words(error))
    pid = fields.get("pid") if isinstance(fields, dict) else None
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return _unread("it names no process")
    port = _port(fields.get("port"))
    taken = _instant(fields.get("createdAt"))
    ticks = fields.get("startTime")
    if foreign:
        return LockFile(Lock(LockState.UNKNOWN, pid, port))
    if sys.platform != "linux" or not isinstance(ticks, int) or isinstance(ticks, bool):
        gone = ProcessId.capture(pid) is None
        return LockFile(Lock(LockState.STALE if gone else LockState.UNKNOWN, pid, port))
    process = ProcessId(pid, ticks, boot_id())
    life = process.liveness()
    if life.over:
        return LockFile(Lock(LockState.STALE, pid, port))
    age = process.age_s()
    # It may have been taken after `now` was read; the process may be older than the lock by days.
    if taken is not None and -_FRESH_S < now - taken < age:
        age = max(0.0, now - taken)
    held = Lock(LockState.HELD, pid, port, age, suspended=life is Liveness.STOPPED)
    return LockFile(held, process)


def _unread(problem: str) -> LockFile:
    return LockFile(Lock(LockState.UNKNOWN, problem=problem))


def read_config(place: StateDirectory) -> Config:
    """What the configuration says of where its gateway is."""
    try:
        value = parse_json5(read_bounded(place.config))
    except FileNotFoundError:
        return Config()
    except UnfitError as error:
        return Config(present=True, problem=str(error))
    except OSError as error:
        return Config(present=True, problem=_words(error))
    gateway = _table(_table(value).get("gateway"))
    mode = gateway.get("mode")
    return Config(
        present=True,
        mode=sanitize(mode, 20) if isinstance(mode, str) else "",
        port=_port(gateway.get("port")),
        tls=_table(gateway.get("tls")).get("enabled") is True,
        remote=_address(_table(gateway.get("remote")).get("url")),
    )


def config_version(place: StateDirectory) -> object:
    """Another value once the configuration has been written anew."""
    try:
        found = place.config.stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_size, found.st_mtime_ns


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _port(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65_536
    return value if fits else None  # type: ignore[return-value]


def _address(value: object) -> str:
    """Scheme, host and port of a URL; what else it holds may be a credential."""
    if not isinstance(value, str):
        return ""
    try:
        parts = urlsplit(value)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return sanitize(f"{parts.scheme}://{parts.hostname}{port}", 120) if parts.hostname else ""


def _instant(value: object) -> float | None:
    """An instant in seconds, of milliseconds or of ISO 8601."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _words(error: OSError | UnfitError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
