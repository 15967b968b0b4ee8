"""Which containers of an install run, and which session each of them serves; only looks."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from services.clock import Clock
from services.errors import ProcessError
from services.process import run
from services.sources.nanoclaw.install import Install
from services.text.redact import redact_line

DOCKER = "docker"
LIST_S = 8.0
INSPECT_S = 8.0
_WORKSPACE = "/workspace"
_SESSIONS = "v2-sessions"
_AT_ONCE = 100
_ENOUGH = 8 * 1024 * 1024

SessionKey = tuple[str, str]
"""(group id, session id), as the folders are called."""
EVERY_S = 2.0
PATIENCE_S = 2.0
KEPT_S = 15.0
"""A listing older than this says nothing about now."""


@dataclass(frozen=True, slots=True)
class AgentContainer:
    """One running container of the install."""

    id: str
    name: str
    session_key: SessionKey | None
    """None where no mount says whose it is."""
    started_at: float | None
    """From its name, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The containers at one instant, or why they are not known."""

    at: float
    containers: tuple[AgentContainer, ...] = ()
    problem: str = ""
    installed: bool = True
    latency_s: float | None = None
    by_session: Mapping[SessionKey, AgentContainer] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether the container runtime answered."""
        return not self.problem


def list_argv(install: Install) -> tuple[str, ...]:
    """The running containers of one install (upstream/nanoclaw: Containers)."""
    return (
        *(DOCKER, "ps", "--no-trunc", "--filter", f"label={install.label}"),
        *("--format", "{{json .}}"),
    )


def logs_argv(name: str) -> tuple[str, ...]:
    """Ten minutes of a container's log, then what comes; it goes when the container ends."""
    return (DOCKER, "logs", "--since", "10m", "-f", name)


def mounts_argv(names: Iterable[str]) -> tuple[str, ...]:
    """Name and mounts of each, one line a container."""
    return (DOCKER, "inspect", "--type", "container", "--format", _MOUNTS, *names)


_MOUNTS = "[{{json .Name}},{{json .Mounts}}]"


class Containers:
    """Lists them; mounts never change, so each container is inspected once."""

    def __init__(self) -> None:
        self._homes: dict[str, SessionKey | None] = {}

    async def ask(self, install: Install, now: float) -> Listing:
        """Ask the runtime. A failure is a listing with a problem, never an exception."""
        try:
            done = await run.run(list_argv(install), timeout_s=LIST_S, max_output=_ENOUGH)
        except ProcessError as error:
            there = "not installed" not in error.sentence
            return Listing(now, problem=error.sentence, installed=there)
        if done.timed_out:
            return Listing(now, problem=f"docker does not answer within {LIST_S:g} s")
        if done.code:
            return Listing(now, problem=f"docker: {_complaint(done.stderr)}")
        if done.truncated:
            return Listing(now, problem="docker lists more than can be read")
        rows = parse_rows(done.stdout)
        if rows is None:
            return Listing(now, problem="docker lists containers in a way this panel cannot read")
        problem = await self._inspect(install, rows)
        if problem:
            return Listing(now, problem=problem)
        found = tuple(
            AgentContainer(key, name, self._homes.get(key), started_at(name)) for key, name in rows
        )
        session_keys = {one.session_key: one for one in found if one.session_key is not None}
        return Listing(now, found, latency_s=done.duration_s, by_session=session_keys)

    async def _inspect(self, install: Install, rows: list[tuple[str, str]]) -> str:
        listed = {key for key, _ in rows}
        self._homes = {
            key: session_key for key, session_key in self._homes.items() if key in listed
        }
        fresh = [(key, name) for key, name in rows if key not in self._homes]
        for start in range(0, len(fresh), _AT_ONCE):
            some = fresh[start : start + _AT_ONCE]
            argv = mounts_argv(name for _, name in some)
            try:
                done = await run.run(argv, timeout_s=INSPECT_S, max_output=_ENOUGH)
            except ProcessError as error:
                return error.sentence
            if done.timed_out:
                return f"docker does not answer within {INSPECT_S:g} s"
            # One that ended meanwhile makes the status an error and leaves the others' lines good.
            mounts = parse_mounts(done.stdout)
            for key, name in some:
                if name in mounts:
                    self._homes[key] = session_of(mounts[name], install)
        return ""


def parse_rows(stdout: bytes) -> list[tuple[str, str]] | None:
    """(id, name) of each listed container; None where a line is something else."""
    rows: list[tuple[str, str]] = []
    for line in stdout.splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            key, name = row["ID"], row["Names"].split(",")[0]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not (isinstance(key, str) and safe_name(name)):
            return None
        rows.append((key, name))
    return rows


def safe_name(name: object) -> bool:
    """Whether it is a name docker itself would give, and so cannot be taken for an option."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= 255
        and name.isascii()
        and name[0].isalnum()
        and all(char.isalnum() or char in "_.-" for char in name)
    )


def parse_mounts(stdout: bytes) -> dict[str, list[Mapping[str, object]]]:
    """Mounts by container name; lines that are something else are left out."""
    found: dict[str, list[Mapping[str, object]]] = {}
    for line in stdout.splitlines():
        try:
            name, mounts = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if isinstance(name, str) and isinstance(mounts, list):
            found[name.removeprefix("/")] = [one for one in mounts if isinstance(one, dict)]
    return found


def session_of(mounts: Iterable[Mapping[str, object]], install: Install) -> SessionKey | None:
    """Whose container it is: the mount at `/workspace` names group and session."""
    for mount in mounts:
        source = mount.get("Source")
        if mount.get("Destination") != _WORKSPACE or not isinstance(source, str):
            continue
        parts = PurePosixPath(source).parts
        if len(parts) < 3 or parts[-3] != _SESSIONS:
            return None
        session_key = (parts[-2], parts[-1])
        # Where the path exists here it must be ours; a virtual machine spells it its own way.
        if os.path.exists(source):  # noqa: PTH110  says no where a Path raises
            ours = os.path.realpath(install.sessions / session_key[0] / session_key[1])
            return session_key if os.path.realpath(source) == ours else None
        return session_key
    return None


def started_at(name: str) -> float | None:
    """The instant at the end of `nanoclaw-v2-<folder>-<ms>`."""
    digits = name.rsplit("-", 1)[-1]
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 14):
        return None
    return int(digits) / 1000


def _complaint(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return redact_line(lines[-1], 160) if lines else "it failed without a word"


class ContainerListings:
    """The containers of one install."""

    def __init__(self, install: Install, clock: Clock) -> None:
        self._install = install
        self._clock = clock
        self._containers = Containers()
        self._last: Listing | None = None
        self._good: Listing | None = None
        self._begun_at = 0.0
        self._task: asyncio.Task[Listing] | None = None

    async def latest(self) -> Listing:
        """The newest listing; where none could be made in time, one with a problem."""
        now = self._clock.now()
        if shutil.which(DOCKER) is None:
            return Listing(now, problem="docker is not installed here", installed=False)
        if self._task is None and (self._last is None or now - self._last.at >= EVERY_S):
            self._begun_at = now
            self._task = asyncio.create_task(self._containers.ask(self._install, now))
        if (task := self._task) is not None:
            await asyncio.wait({task}, timeout=PATIENCE_S)
            self._store(task)
        if self._task is None and self._last is not None:
            return self._last
        if self._good is not None and now - self._good.at < KEPT_S:
            return self._good
        waited = self._clock.now() - self._begun_at
        return Listing(now, problem=f"docker has not answered for {waited:.0f} s")

    def _store(self, task: asyncio.Task[Listing]) -> None:
        """Keep what a listing brought, once, whoever waited for it."""
        if self._task is not task or not task.done():
            return
        self._task = None
        if not task.cancelled():
            self._last = task.result()
            if self._last.known:
                self._good = self._last

    async def refresh(self) -> Listing:
        """A listing begun after this call."""
        if self._task is not None:
            await self.latest()
        if self._last is not None:
            self._last = replace(self._last, at=0.0)
        return await self.latest()

    async def close(self) -> None:
        """End what is asked just now; idempotent."""
        task, self._task = self._task, None
        self._last = self._good = None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
