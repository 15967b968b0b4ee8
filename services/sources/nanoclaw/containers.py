"""Which containers of an install run, and which session each of them serves; only looks."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from pathlib import PurePosixPath

from services.clock import Clock
from services.errors import ProcessError
from services.lazy_dataclass import dataclass
from services.process import run
from services.sources.nanoclaw.docker_cli import (
    DOCKER,
    Inspected,
    ListedRow,
    complaint,
    epoch,
    inspect_argv,
    list_argv,
    parse_inspected,
    parse_rows,
    started_at,
)
from services.sources.nanoclaw.install import Install
from services.text.sanitize import sanitize

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


CREATED = ("created", "configured", "initialized")
RUNNING = ("running", "paused", "restarting", *CREATED, "stopping")
"""Words for one that is, or is about to be, a session's (upstream/nanoclaw: Containers)."""
_ENDED = ("exited", "dead", "removing", "stopped")
"""Words for one that is no more; any other word is of one that may still be there."""


@dataclass(frozen=True, slots=True)
class AgentContainer:
    """One container of the install."""

    id: str
    name: str
    session_key: SessionKey | None
    """None where neither label nor mount says whose it is."""
    started_at: float | None
    """When it started, seconds since the epoch; None where nobody says."""
    status: str = "running"
    """The runtime's own word."""
    labelled: bool = False
    """Its labels name the session, so that a later host keeps it at its start."""
    contradiction: str = ""
    """Its labels and its mount name different sessions."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The containers at one instant, or why they are not known."""

    at: float
    containers: tuple[AgentContainer, ...] = ()
    problem: str = ""
    installed: bool = True
    latency_s: float | None = None
    by_session: Mapping[SessionKey, AgentContainer] = field(default_factory=dict)
    doubled: frozenset[SessionKey] = frozenset()
    """Sessions with more than one agent container."""

    @property
    def known(self) -> bool:
        """Whether the container runtime answered."""
        return not self.problem


_YOUNG = "second"
"""In a status of a container up for less than a minute: it may have been started anew."""


class Containers:
    """Lists them; what never changes of a container is inspected once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, AgentContainer | None]] = {}
        """Id to the state it was inspected in and what was found; None: not an agent's."""

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
            return Listing(now, problem=f"docker: {complaint(done.stderr)}")
        if done.truncated:
            return Listing(now, problem="docker lists more than can be read")
        rows = parse_rows(done.stdout)
        if rows is None:
            return Listing(now, problem="docker lists containers in a way this panel cannot read")
        problem = await self._inspect(install, rows)
        if problem:
            return Listing(now, problem=problem)
        found: list[AgentContainer] = []
        for row in rows:
            _, one = self._known.get(row.id, ("", None))
            if one is not None:
                found.append(one)
        return listing_of(now, found, done.duration_s)

    async def _inspect(self, install: Install, rows: list[ListedRow]) -> str:
        listed = {row.id for row in rows}
        self._known = {key: one for key, one in self._known.items() if key in listed}
        fresh = [
            row
            for row in rows
            if row.id not in self._known
            or self._known[row.id][0] != row.status
            or _YOUNG in row.uptime
        ]
        for start in range(0, len(fresh), _AT_ONCE):
            some = fresh[start : start + _AT_ONCE]
            argv = inspect_argv((row.id for row in some), some[0].key)
            try:
                done = await run.run(argv, timeout_s=INSPECT_S, max_output=_ENOUGH)
            except ProcessError as error:
                return error.sentence
            if done.timed_out:
                return f"docker does not answer within {INSPECT_S:g} s"
            # One that ended meanwhile makes the status an error and leaves the others' lines good.
            told = parse_inspected(done.stdout)
            if any(row.id not in told for row in some) and (why := _uninspected(done)):
                return why
            for row in some:
                if row.id in told:
                    self._known[row.id] = (row.status, agent_of(row, told[row.id], install))
                else:
                    self._known.pop(row.id, None)
        return ""


def _uninspected(done: run.Completed) -> str:
    """Why some were not inspected; empty where they ended meanwhile."""
    if not done.code:
        return "docker inspects containers in a way this panel cannot read"
    gone = not done.stderr.strip() or b"no such" in done.stderr.lower()
    return "" if gone else f"docker: {complaint(done.stderr)}"


def listing_of(
    at: float, containers: Iterable[AgentContainer], latency_s: float | None = None
) -> Listing:
    """Those that run or start, by session; what has ended is nobody's container."""
    found = tuple(one for one in containers if one.status not in _ENDED)
    by_session: dict[SessionKey, AgentContainer] = {}
    doubled: set[SessionKey] = set()
    for one in found:
        key = one.session_key
        if key is None:
            continue
        other = by_session.get(key)
        if other is not None:
            doubled.add(key)
            if _rank(other.status) <= _rank(one.status):
                continue
        by_session[key] = one
    return Listing(
        at, found, latency_s=latency_s, by_session=by_session, doubled=frozenset(doubled)
    )


def _rank(status: str) -> int:
    return RUNNING.index(status) if status in RUNNING else len(RUNNING)


def agent_of(row: ListedRow, told: Inspected, install: Install) -> AgentContainer | None:
    """The agent's container that was inspected; None where its role is another.

    See upstream/nanoclaw: Containers.
    """
    if _label(told, "nanoclaw-role") not in ("", "agent"):
        return None
    mounted = session_of(told.mounts, install)
    group, session = _label(told, "nanoclaw-group"), _label(told, "nanoclaw-session")
    named = (group, session) if group and session else None
    contradiction = ""
    if named is not None and mounted is not None and named != mounted:
        contradiction = f"its labels name session {session}, its mount {mounted[1]}"
    first = (
        started_at(_label(told, "nanoclaw-container-name"))
        or started_at(row.name)
        or epoch(told.created)
    )
    return AgentContainer(
        row.id,
        row.name,
        named or mounted,
        epoch(told.started) or first,
        row.status,
        bool(session),
        sanitize(contradiction, 200),
    )


def _label(told: Inspected, name: str) -> str:
    value = told.labels.get(name)
    return value if isinstance(value, str) else ""


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
