"""The health of one install beside its host: disk, credentials, errors of the log.

See upstream/nanoclaw: Health of an install.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from services.clock import Clock
from services.files.bounded import UnfitError, parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.models import Facts
from services.sources.nanoclaw.host_log import LoggedError
from services.sources.nanoclaw.install import Install
from services.sources.nanoclaw.tracked import PollContext
from services.text.format import ago, plural, size, span
from services.text.sanitize import sanitize

EVERY_S = 60.0
WALK_EVERY_S = 900.0
"""How often the whole data folder is summed up."""
MOST_ENTRIES = 1_000_000
MOST_GROUPS = 500
_SHOWN = 8
_CREDENTIAL = ".claude-shared/.credentials.json"
_LONGEST_FILE = 64 * 1024
_BLOCK = 512
_LOW_SHARE = 0.05
_LOG_SLACK_S = 60.0
_ERROR_NAMES = ("last error", "error before", "third last error")


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What a folder takes up."""

    used: int
    """Bytes on the disk; a file with several names counts once."""
    files: int
    whole: bool
    """False: there is more than was counted."""
    at: float


@dataclass(frozen=True, slots=True)
class CredentialExpiry:
    """When the sign-in of a group ends, as its own file says; nothing else of it is kept."""

    group: str
    expires_at: float
    renews: bool
    """Whether the file holds what a new one can be had with."""


@dataclass(frozen=True, slots=True)
class HealthReading:
    """What was found at one instant."""

    at: float
    disk: DiskUse | None = None
    free: int | None = None
    """Bytes its file system has left for this user."""
    size: int | None = None
    credentials: tuple[CredentialExpiry, ...] = ()


class HealthReader:
    """Reads in a thread beside the polls, which never wait for it."""

    def __init__(self, install: Install, clock: Clock) -> None:
        self._install = install
        self._clock = clock
        self._task: asyncio.Task[HealthReading] | None = None
        self._stop = threading.Event()
        self._begun: float | None = None
        self._walked: float | None = None
        self._last: HealthReading | None = None

    def latest(self) -> HealthReading | None:
        """What the last reading found; begins another where that is old."""
        if (task := self._task) is not None and task.done():
            self._task = None
            if not task.cancelled() and task.exception() is None:
                self._last = task.result()
        now = self._clock.monotonic()
        if self._task is None and (self._begun is None or now - self._begun >= EVERY_S):
            self._begun = now
            walk = self._walked is None or now - self._walked >= WALK_EVERY_S
            self._walked = now if walk else self._walked
            self._task = asyncio.create_task(self._read(walk=walk))
        return self._last

    async def _read(self, *, walk: bool) -> HealthReading:
        at, stop = self._clock.now(), self._stop.is_set
        found = await asyncio.to_thread(read_health, self._install, at, stop, walk=walk)
        if found.disk is None and self._last is not None:
            found = replace(found, disk=self._last.disk)
        return found

    async def close(self) -> None:
        """End what is read just now; idempotent."""
        self._stop.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        self._stop = threading.Event()


def read_health(
    install: Install, at: float, stop: Callable[[], bool] = lambda: False, *, walk: bool = True
) -> HealthReading:
    """Everything of one instant; blocking. Folders are summed up only where `walk` says so."""
    free, whole = _file_system(install.data)
    found = HealthReading(at, None, free, whole, read_credentials(install))
    return replace(found, disk=sum_folder(install.data, at, stop)) if walk else found


def sum_folder(folder: Path, at: float, stop: Callable[[], bool] = lambda: False) -> DiskUse | None:
    """What lies below a folder, links not followed, other file systems left out.

    None where it cannot be listed, or where `stop` became true.
    """
    try:
        device = os.lstat(folder).st_dev
        waiting: list[str] = [str(folder)]
        os.scandir(folder).close()
    except OSError:
        return None
    used = files = entries = 0
    whole = True
    linked: set[int] = set()
    while waiting:
        try:
            listed = os.scandir(waiting.pop())
        except OSError:
            whole = False
            continue
        with listed:
            for entry in listed:
                entries += 1
                if stop():
                    return None
                if entries > MOST_ENTRIES:
                    return DiskUse(used, files, whole=False, at=at)
                try:
                    about = entry.stat(follow_symlinks=False)
                except OSError:
                    whole = False
                    continue
                if about.st_dev != device:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif about.st_nlink > 1:
                    if about.st_ino in linked:
                        continue
                    linked.add(about.st_ino)
                    files += 1
                else:
                    files += 1
                used += about.st_blocks * _BLOCK
    return DiskUse(used, files, whole, at)


def read_credentials(install: Install) -> tuple[CredentialExpiry, ...]:
    """The groups that keep a sign-in of their own in a file, the soonest to expire first."""
    found: list[CredentialExpiry] = []
    try:
        with os.scandir(install.sessions) as listed:
            groups = [entry.name for _, entry in zip(range(MOST_GROUPS), listed, strict=False)]
    except OSError:
        return ()
    for group in groups:
        path = install.sessions / group / _CREDENTIAL
        try:
            told = parse_json(read_bounded(path, _LONGEST_FILE, links=False))
        except (OSError, UnfitError):
            continue
        signed_in = told.get("claudeAiOauth") if isinstance(told, dict) else None
        if not isinstance(signed_in, dict):
            continue
        expires = signed_in.get("expiresAt")
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            continue
        found.append(CredentialExpiry(group, expires / 1000, bool(signed_in.get("refreshToken"))))
    return tuple(sorted(found, key=lambda one: (one.renews, one.expires_at, one.group)))


def _file_system(folder: Path) -> tuple[int | None, int | None]:
    try:
        about = os.statvfs(folder)
    except OSError:
        return None, None
    return about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize


def host_facts(context: PollContext, errors: Iterable[LoggedError], now: float) -> Facts:
    """Version, uptime and errors of the host, ready to show."""
    known, began = context.generation, context.host_started_at
    told = f"{known.version} (package.json)" if known.version else "unknown: no package.json says"
    rows = [("version", told)]
    if began is not None and context.host.up:
        rows.append(("host up", span(now - began)))
        if known.code_at is not None and known.code_at > began:
            rows.append(("code on disk", "newer than the running host"))
        logged = context.host.log_at
        if logged is not None and logged < began - _LOG_SLACK_S:
            silent = f"last written {ago(now - logged)}, before this start: its silence is no sign"
            rows.append(("host log", silent))
    if context.troubles:
        last = max(context.troubles.values(), key=lambda one: one.at)
        rows.append(("last failed start", f"{ago(now - last.at)}: {last.why}"))
    for name, one in zip(_ERROR_NAMES, errors, strict=False):
        often = f", {one.times} times in the log's end" if one.times > 1 else ""
        rows.append((name, f"{ago(now - one.at)}: {one.text}{often}"))
    return tuple(rows)


def install_facts(found: HealthReading | None, groups: Mapping[str, str], now: float) -> Facts:
    """Disk and credentials, ready to show; `groups`: id to name."""
    if found is None:
        return (("data folder", "not measured yet"),)
    rows: list[tuple[str, str]] = []
    disk = found.disk
    if disk is not None:
        least = "" if disk.whole else "at least "
        counted = f"{least}{size(disk.used)}B in {plural(disk.files, 'file')}"
        rows.append(("data folder", f"{counted}, counted {ago(now - disk.at)}"))
    if found.free is not None and found.size:
        low = " – low" if found.free < found.size * _LOW_SHARE else ""
        rows.append(("disk free", f"{size(found.free)}B of {size(found.size)}B{low}"))
    for one in found.credentials[:_SHOWN]:
        name = sanitize(groups.get(one.group, ""), 40) or sanitize(one.group, 40)
        rows.append((f"credential of {name}", _expiry(one, now)))
    if len(found.credentials) > _SHOWN:
        more = plural(len(found.credentials) - _SHOWN, "group")
        rows.append(("credentials", f"{more} more, which expire later"))
    return tuple(rows)


def _expiry(one: CredentialExpiry, now: float) -> str:
    left = one.expires_at - now
    when = f"expires in {span(left)}" if left > 0 else f"expired {span(-left)} ago"
    if one.renews:
        return f"{when}, renewed by its agent when it is used"
    return f"{when}{': after that,' if left > 0 else ':'} sign that agent in again"
