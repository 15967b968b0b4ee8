"""Climbs the probe ladder for one assistant: files, liveness, readiness.

See upstream/vellum: Probe ladder.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from services.clock import Clock
from services.errors import UnavailableError
from services.sources.vellum import credential, http_probe, pid_files
from services.sources.vellum.evidence import Evidence
from services.sources.vellum.http_probe import Answer, Reply
from services.sources.vellum.judge import healthy, serving
from services.sources.vellum.layout import Place, Site
from services.sources.vellum.limits import DAEMON_S, HEALTH_S, LOOK_S, READY_S, SPEECH_S
from services.sources.vellum.registry import Entry, Registry, RegistryReader, elsewhere
from services.sources.vellum.tool import Tool

_DRAINING = "draining"
_UNREADY = "unready"


class Looker:
    """Looks; remembers only since when a gateway has been saying the same of not being ready."""

    def __init__(self, site: Site, tool: Tool, clock: Clock) -> None:
        self._site = site
        self._tool = tool
        self._clock = clock
        self._reader = RegistryReader()
        self._since: dict[str, tuple[str, float]] = {}
        self.last = Registry()
        """The lockfile as last read."""

    @property
    def place(self) -> Place:
        """The environment's folders.

        Raises:
            UnavailableError: no such environment.
        """
        return self._site.place

    @property
    def lockfile(self) -> str:
        """What all assistants here share; empty where there is no such environment."""
        try:
            return str(self.place.lockfile)
        except UnavailableError:
            return ""

    async def registry(self) -> Registry:
        """The lockfile as it stands.

        Raises:
            UnavailableError: no such environment.
        """
        self.last = await asyncio.to_thread(self._reader.read, self.place)
        return self.last

    async def assistant(self, registry: Registry, name: str) -> Evidence:
        """Everything about one id: no lockfile problem is probed past, no stranger dialled."""
        place = self._site.place
        entry = registry.find(name)
        base = Evidence(
            self._clock.now(),
            place.environment,
            registry.path,
            registry_problem=registry.problem,
            registered=entry is not None,
        )
        if registry.problem:
            return base
        if entry is None:
            held = await asyncio.to_thread(elsewhere, self._site.others())
            return replace(base, elsewhere=held)
        return await self.entry(entry, base)

    async def entry(self, entry: Entry, base: Evidence) -> Evidence:
        """Files first, then the ladder where there is a port of ours to ask."""
        seen = replace(
            base, cloud=entry.cloud, port=entry.gateway_port, daemon_port=entry.daemon_port
        )
        if not entry.local:
            return seen
        seen = await asyncio.to_thread(self._files, entry, seen)
        if entry.gateway_port is None:
            return seen
        return await self._climb(entry, seen, entry.gateway_port)

    async def files(self, entry: Entry) -> Evidence:
        """What the files say; nothing is dialled."""
        return await asyncio.to_thread(self._files, entry, self._base(entry))

    async def climbed(self, entry: Entry) -> Evidence:
        """Files and ladder of an entry that is known, its port read afresh."""
        entry = (await self.registry()).find(entry.id) or entry
        return await self.entry(entry, self._base(entry))

    def _base(self, entry: Entry) -> Evidence:
        return Evidence(
            self._clock.now(),
            self.place.environment,
            self.last.path,
            cloud=entry.cloud,
            port=entry.gateway_port,
            daemon_port=entry.daemon_port,
        )

    async def paired(self, entry: Entry, seen: Evidence) -> Evidence:
        """One readiness probe of another machine; only where the operator asked."""
        url = f"{entry.runtime_url.rstrip('/')}/readyz"
        if not url.startswith(("http://", "https://")):
            return seen
        return replace(seen, ready=await http_probe.get(url, READY_S))

    def _files(self, entry: Entry, seen: Evidence) -> Evidence:
        folder = instance(self._site.place, entry)
        return replace(
            seen,
            gateway=pid_files.read(folder / "gateway.pid"),
            assistant=pid_files.read(folder / "workspace" / "vellum.pid"),
            credential=credential.read(self._site.place.token(entry.id), seen.now),
            tool=self._tool.problem(),
        )

    async def _climb(self, entry: Entry, seen: Evidence, port: int) -> Evidence:
        began = time.monotonic()
        health = await http_probe.local(port, "/healthz", HEALTH_S)
        silent = health.answer in (Answer.TIMEOUT, Answer.CLOSED)
        if silent and await http_probe.babbles(port, SPEECH_S):
            health = Reply(Answer.GARBLED)
        if not healthy(health):
            self._since.pop(entry.id, None)
            return replace(seen, health=health)
        ready = await http_probe.local(port, "/readyz", READY_S)
        if ready.answer is Answer.REFUSED:
            # It ended between the two questions.
            return replace(seen, health=Reply(Answer.REFUSED))
        daemon = None
        left = LOOK_S - (time.monotonic() - began)
        if not serving(ready) and seen.daemon_port is not None and left > 0:
            daemon = await http_probe.local(seen.daemon_port, "/readyz", min(DAEMON_S, left))
        saying = _saying(ready)
        lasts = self._lasts(entry.id, saying)
        return replace(
            seen,
            health=health,
            ready=ready,
            daemon=daemon,
            unready_s=lasts if saying == _UNREADY else 0.0,
            draining_s=lasts if saying == _DRAINING else 0.0,
        )

    def _lasts(self, name: str, saying: str) -> float:
        """Seconds since it began to say this without a break."""
        if not saying:
            self._since.pop(name, None)
            return 0.0
        now = self._clock.monotonic()
        said, since = self._since.get(name, ("", now))
        if said != saying:
            since = now
        self._since[name] = (saying, since)
        return now - since


def _saying(ready: Reply) -> str:
    """What lasts in an answer and has a limit; empty for readiness and other kinds of settling."""
    if ready.answer is not Answer.ANSWERED or ready.status == 200 or ready.word == "starting":
        return ""
    return _DRAINING if ready.word == _DRAINING else _UNREADY


def instance(place: Place, entry: Entry) -> Path:
    """The folder of an assistant's pid files."""
    root = Path(entry.instance) if entry.instance else place.instance(entry.id)
    return root / ".vellum"
