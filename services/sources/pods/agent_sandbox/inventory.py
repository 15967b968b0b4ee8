"""Sandboxes, claims and pools of one connection: discovered once, listed once, then watched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeVar

import msgspec

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.files.bounded import UnfitError, json_reader
from services.lazy_dataclass import dataclass
from services.net.http import ApiError, Http, Query
from services.sources.pods.agent_sandbox.records import (
    EXTENSIONS,
    GROUP,
    VERSIONS,
    SandboxClaim,
    SandboxResource,
    WarmPool,
    claim_kind,
    pool_kind,
    sandbox_kind,
)
from services.sources.pods.listing import Watchable, WatchedKind
from services.sources.pods.watch import ResourceWatch
from services.text.sanitize import sanitize

ASKED_AGAIN_S = 60.0
"""After a refusal it is asked so much later: permissions do not change between two looks."""
T = TypeVar("T", bound=Watchable)


class _Served(msgspec.Struct, frozen=True):
    version: str = ""


class ApiGroup(msgspec.Struct, frozen=True):
    """What discovery answers of a group of resources."""

    versions: list[_Served] = []


_read_group = json_reader(ApiGroup)


async def served_version(http: Http, group: str) -> str:
    """The version of a group to speak; empty where the cluster does not have the group.

    Raises:
        UnavailableError: that could not be learned, or only versions nobody here reads are served.
    """
    try:
        body = await http.get(f"/apis/{group}")
        served = [one.version for one in _read_group(body).versions]
    except ApiError as error:
        if error.status == 404:
            return ""
        raise
    except UnfitError as error:
        raise UnavailableError(f"{http.address} described {group} in no known way.") from error
    known = next((one for one in VERSIONS if one in served), "")
    if not known:
        names = sanitize(", ".join(served), 100) or "none"
        raise UnavailableError(f"{group} is served in versions this panel does not read: {names}.")
    return known


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is, by `namespace/name`; empty where agent-sandbox is not installed."""

    installed: bool = False
    version: str = ""
    sandboxes: Mapping[str, SandboxResource] = field(default_factory=dict)
    claims: Mapping[str, SandboxClaim] = field(default_factory=dict)
    pools: Mapping[str, WarmPool] = field(default_factory=dict)
    problem: str = ""
    """Why not all sandboxes are known as they are now; empty where they are."""
    deleted: frozenset[str] = frozenset()
    """Sandboxes that the server told to be gone."""
    listing: bool = False
    """Whether more sandboxes are still to come."""
    asides: tuple[tuple[str, str], ...] = ()
    """What else could not be had: a plural and why."""


class Inventory:
    """Keeps the watches of one connection; a failure is part of what it gives, never raised."""

    def __init__(
        self, http: Http, namespaces: Sequence[str], selection: Query, clock: Clock
    ) -> None:
        """An empty namespace stands for all; `selection` narrows the sandboxes."""
        self._http = http
        self._namespaces = tuple(namespaces)
        self._selection = selection
        self._clock = clock
        self._version: str | None = None
        self._asking = asyncio.Lock()
        self._sandboxes: tuple[ResourceWatch[SandboxResource], ...] = ()
        self._claims: tuple[ResourceWatch[SandboxClaim], ...] = ()
        self._pools: tuple[ResourceWatch[WarmPool], ...] = ()
        self._refused: dict[str, tuple[float, str]] = {}

    async def look(self, limit_s: float) -> Stock:
        """What there is now, waiting `limit_s` at most for what has to be listed."""
        problem = await self._discover()
        if problem:
            return Stock(installed=True, problem=problem)
        if not self._version:
            return Stock()
        version = self._version
        problem, *asides = await asyncio.gather(
            self._refresh("sandboxes", self._sandboxes, limit_s),
            self._refresh("sandboxclaims", self._claims, limit_s),
            self._refresh("sandboxwarmpools", self._pools, limit_s),
        )
        named = zip(("sandboxclaims", "sandboxwarmpools"), asides, strict=True)
        return Stock(
            True,
            version,
            _merged(self._sandboxes),
            _merged(self._claims),
            _merged(self._pools),
            problem,
            frozenset[str]().union(*(one.take_deleted() for one in self._sandboxes)),
            bool(problem) and any(one.coming for one in self._sandboxes),
            tuple((plural, why) for plural, why in named if why),
        )

    def seen_at(self, sandbox: str, now: float) -> float:
        """When a sandbox was as it stands here (epoch)."""
        if len(self._sandboxes) == 1:
            return self._sandboxes[0].seen_at(sandbox, now)
        for one in self._sandboxes:
            if sandbox in one.rows:
                return one.seen_at(sandbox, now)
        return now

    def all_seen_at(self, now: float) -> float | None:
        """The same of all of them; None where they are not of one instant."""
        if len(self._sandboxes) != 1 or self._sandboxes[0].progress:
            return None
        return self._sandboxes[0].seen_at("", now)

    async def more(self) -> str:
        """As `LongLists`."""
        under_way = [one for one in self._sandboxes if one.under_way]
        if not under_way:
            return ""
        await under_way[0].moved(under_way[0].moves)
        return under_way[0].progress or "all sandboxes listed"

    async def version(self) -> str:
        """The version sandboxes are spoken of in.

        Raises:
            NotFoundError: agent-sandbox is not installed.
            UnavailableError: that could not be learned.
        """
        if self._version is None:
            await self._ask()
        if not self._version:
            raise NotFoundError("agent-sandbox is not installed in this cluster.")
        return self._version

    async def close(self) -> None:
        """Stop watching; idempotent."""
        closing = [one.close() for one in self._sandboxes]
        closing += [one.close() for one in self._claims]
        closing += [one.close() for one in self._pools]
        self._sandboxes, self._claims, self._pools = (), (), ()
        await asyncio.gather(*closing)

    async def _discover(self) -> str:
        """Why discovery failed; empty once it is known what there is, or that there is nothing."""
        if self._version is not None:
            return ""
        if waits := self._waits("discovery"):
            return waits
        try:
            await self._ask()
        except UnavailableError as error:
            return self._failed("discovery", error)
        return ""

    async def _ask(self) -> None:
        async with self._asking:
            if self._version is not None:
                return
            version = await served_version(self._http, GROUP)
            extensions = await served_version(self._http, EXTENSIONS) if version else ""
            if version:
                self._sandboxes = self._watches(sandbox_kind(version), self._selection)
            if extensions:
                self._claims = self._watches(claim_kind(extensions), ())
                self._pools = self._watches(pool_kind(extensions), ())
            self._version = version

    def _watches(self, kind: WatchedKind[T], selection: Query) -> tuple[ResourceWatch[T], ...]:
        return tuple(
            ResourceWatch(self._http, kind, namespace, selection, self._clock)
            for namespace in self._namespaces
        )

    async def _refresh(
        self, plural: str, watches: Sequence[ResourceWatch[T]], limit_s: float
    ) -> str:
        """Why not all of a kind is known as it is now; empty where it is."""
        if waits := self._waits(plural):
            return waits
        await asyncio.gather(*(one.look(limit_s) for one in watches))
        for one in watches:
            if (error := one.problem) is not None:
                if isinstance(error, ApiError) and error.status == 404:
                    # The resource was taken away, or its version: it is looked for anew.
                    self._version = None
                    await self.close()
                return self._failed(plural, error)
        return "; ".join(one.progress for one in watches if one.progress)

    def _waits(self, what: str) -> str:
        refused = self._refused.get(what)
        if refused is None or self._clock.monotonic() - refused[0] >= ASKED_AGAIN_S:
            return ""
        return refused[1]

    def _failed(self, what: str, error: UnavailableError) -> str:
        said = error.sentence
        if isinstance(error, ApiError) and error.status == 403:
            group = GROUP if what in ("discovery", "sandboxes") else EXTENSIONS
            needed = f"get /apis/{group}"
            if what != "discovery":
                needed = f"list and watch {what}.{group}"
            said = f"The user lacks the permission to {needed} (403)."
            self._refused[what] = (self._clock.monotonic(), said)
        return said


def _merged(watches: Sequence[ResourceWatch[T]]) -> Mapping[str, T]:
    if len(watches) == 1:
        return watches[0].rows
    return {name: one for watch in watches for name, one in watch.rows.items()}
