"""Probes one assistant: files, liveness, readiness.

See upstream/vellum: Probe ladder.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import open_regular
from services.process.identity import ProcessId
from services.sources.vellum import credential, http_probe, ownership, pid_files
from services.sources.vellum.conditions import healthy, refused, serving
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.history import StartHistory
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.layout import EnvironmentPaths, Site
from services.sources.vellum.limits import DAEMON_S, EARLY_S, HEALTH_S, PROBE_S, READY_S, SPEECH_S
from services.sources.vellum.ownership import Holder, Marks
from services.sources.vellum.pid_files import PidFile
from services.sources.vellum.registry import (
    AssistantEntry,
    AssistantRegistry,
    RegistryReader,
    elsewhere,
)
from services.sources.vellum.tool import Tool
from services.text.redact import redact_line

_DRAINING = "draining"
_UNREADY = "unready"
_SIGNING_KEY = Path("protected") / "actor-token-signing-key"
"""Never opened (upstream/vellum: Registry)."""
_LOG_TAIL = 32 * 1024
_LOG_TAG = "[gateway]"
_SLACK_S = 2.0
_LONGEST_LINE = 160


class AssistantProbes:
    """Probes assistants; remembers since when each has not been ready."""

    def __init__(self, site: Site, tool: Tool, clock: Clock) -> None:
        self._site = site
        self._tool = tool
        self._clock = clock
        self._reader = RegistryReader()
        self._since: dict[str, tuple[str, float]] = {}
        self._recorded: dict[str, ProcessId] = {}
        self.history = StartHistory(clock)
        self.last = AssistantRegistry()
        """The lockfile as last read."""

    @property
    def place(self) -> EnvironmentPaths:
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

    async def registry(self) -> AssistantRegistry:
        """The lockfile as it stands.

        Raises:
            UnavailableError: no such environment.
        """
        self.last = await asyncio.to_thread(self._reader.read, self.place)
        return self.last

    async def assistant(self, registry: AssistantRegistry, name: str) -> AssistantEvidence:
        """Everything about one id: no lockfile problem is probed past, no stranger dialled."""
        place = self._site.place
        entry = registry.find(name)
        base = AssistantEvidence(
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

    async def entry(self, entry: AssistantEntry, base: AssistantEvidence) -> AssistantEvidence:
        """Files first, then who listens, then the ladder where that is no stranger."""
        seen = replace(
            base, cloud=entry.cloud, port=entry.gateway_port, daemon_port=entry.daemon_port
        )
        if not entry.local:
            return seen
        seen = await asyncio.to_thread(self._files, entry, seen)
        port = entry.gateway_port
        if port is None:
            return seen
        if seen.listener.holder not in (Holder.OTHER, Holder.HIDDEN) or entry.cloud != "local":
            seen = await self._probe_ladder(entry, seen, port)
        if refused(seen):
            seen = await asyncio.to_thread(self._explain_refusal, entry, seen)
        return self.history.note(entry.id, seen)

    async def gateway_file(self, entry: AssistantEntry) -> PidFile:
        """The gateway's pid file with whose it is."""
        return await asyncio.to_thread(self._gateway_file, entry)

    async def ended_at_once(
        self, entry: AssistantEntry, before: PidFile
    ) -> AssistantEvidence | None:
        """What is seen where the gateway recorded since `before` has ended and none listens."""
        seen = await asyncio.to_thread(self._files, entry, self._base(entry))
        started = (seen.gateway.pid, seen.gateway.written_at) != (before.pid, before.written_at)
        if not (started and seen.gateway.state.over and seen.listener.holder is Holder.NOBODY):
            return None
        return await asyncio.to_thread(self._explain_refusal, entry, seen)

    def prove(self, entry: AssistantEntry) -> ProcessId | None:
        """The process of this assistant that listens on its gateway's port now; blocking."""
        if entry.cloud != "local" or entry.gateway_port is None:
            return None
        marks = self._marks(entry)
        gateway = self._gateway_file(entry)
        found = ownership.listener(entry.gateway_port, gateway, marks)
        return found.process if found.holder is Holder.OURS else None

    def any_recorded_ended(self) -> bool:
        """Whether a recorded process that lived at the last look has ended; each is told once."""
        ended = [key for key, process in list(self._recorded.items()) if not process.alive()]
        for key in ended:
            self._recorded.pop(key, None)
        return bool(ended)

    async def files(self, entry: AssistantEntry) -> AssistantEvidence:
        """What the files say; nothing is dialled."""
        return await asyncio.to_thread(self._files, entry, self._base(entry))

    async def probe_known(self, entry: AssistantEntry) -> AssistantEvidence:
        """Files and ladder of an entry that is known, its port read afresh."""
        entry = (await self.registry()).find(entry.id) or entry
        return await self.entry(entry, self._base(entry))

    def _base(self, entry: AssistantEntry) -> AssistantEvidence:
        return AssistantEvidence(
            self._clock.now(),
            self.place.environment,
            self.last.path,
            cloud=entry.cloud,
            port=entry.gateway_port,
            daemon_port=entry.daemon_port,
        )

    async def probe_paired(
        self, entry: AssistantEntry, seen: AssistantEvidence
    ) -> AssistantEvidence:
        """One readiness probe of another machine; only where the operator asked."""
        url = f"{entry.runtime_url.rstrip('/')}/readyz"
        if not url.startswith(("http://", "https://")):
            return seen
        return replace(seen, ready=await http_probe.get(url, READY_S))

    def _files(self, entry: AssistantEntry, seen: AssistantEvidence) -> AssistantEvidence:
        folder = instance(self._site.place, entry)
        marks = self._marks(entry)
        gateway = self._gateway_file(entry)
        assistant = ownership.recorded(pid_files.read(folder / "workspace" / "vellum.pid"), marks)
        for name, file in (("gateway", gateway), ("assistant", assistant)):
            if file.process is not None:
                self._recorded[f"{entry.id}/{name}"] = file.process
        port, local = entry.gateway_port, entry.cloud == "local"
        found = ownership.Listener()
        if local and port is not None:
            found = ownership.listener(port, gateway, marks)
        key_files = (
            _written_at(self._site.place.registry()),
            _written_at(folder / _SIGNING_KEY),
        )
        return replace(
            seen,
            gateway=gateway,
            assistant=assistant,
            listener=found,
            shared=self.last.sharing(entry),
            lived=(folder / "workspace").is_dir(),
            key_files=key_files,
            key_refusal=self.history.key_refusal(entry.id, key_files),
            gateway_s=None if gateway.process is None else gateway.process.age_s(),
            credential=credential.read(self._site.place.token(entry.id), seen.now),
            tool=self._tool.problem(),
        )

    def _explain_refusal(self, entry: AssistantEntry, seen: AssistantEvidence) -> AssistantEvidence:
        """What stands behind a port on which nobody listens."""
        gateway = seen.gateway
        said = ""
        if gateway.state.over and gateway.written_at is not None:
            said = last_log_line(self._site.place.log, gateway.written_at)
        return replace(
            seen,
            starter=ownership.starter(entry.id, self._site.place),
            moved=() if gateway.process is None else tuple(sorted(gateway.process.ports())),
            last_line=said,
        )

    def _marks(self, entry: AssistantEntry) -> Marks:
        ports = tuple(one for one in (entry.gateway_port, entry.daemon_port) if one is not None)
        folder = str(instance(self._site.place, entry).parent)
        return Marks(entry.id, folder, ports, bool(self.last.sharing(entry)))

    def _gateway_file(self, entry: AssistantEntry) -> PidFile:
        path = instance(self._site.place, entry) / "gateway.pid"
        return ownership.recorded(pid_files.read(path), self._marks(entry))

    async def _probe_ladder(
        self, entry: AssistantEntry, seen: AssistantEvidence, port: int
    ) -> AssistantEvidence:
        began = time.monotonic()
        health = await http_probe.local(port, "/healthz", HEALTH_S)
        silent = health.answer in (HttpOutcome.TIMEOUT, HttpOutcome.CLOSED)
        if silent and await http_probe.is_not_http(port, SPEECH_S):
            health = HttpReply(HttpOutcome.GARBLED)
        if not healthy(health):
            self._since.pop(entry.id, None)
            return replace(seen, health=health)
        ready = await http_probe.local(port, "/readyz", READY_S)
        if ready.answer is HttpOutcome.REFUSED:
            # It ended between the two questions.
            return replace(seen, health=HttpReply(HttpOutcome.REFUSED))
        daemon = None
        left = PROBE_S - (time.monotonic() - began)
        if not serving(ready) and seen.daemon_port is not None and left > 0:
            daemon = await http_probe.local(seen.daemon_port, "/readyz", min(DAEMON_S, left))
        saying = _unready_kind(ready)
        lasts = self._lasted_s(entry.id, saying)
        return replace(
            seen,
            health=health,
            ready=ready,
            daemon=daemon,
            unready_s=lasts if saying == _UNREADY else 0.0,
            draining_s=lasts if saying == _DRAINING else 0.0,
        )

    def _lasted_s(self, name: str, saying: str) -> float:
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


def _unready_kind(ready: HttpReply) -> str:
    """What lasts in an answer and has a limit; empty for readiness and other kinds of settling."""
    if ready.answer is not HttpOutcome.ANSWERED or ready.status == 200 or ready.word == "starting":
        return ""
    return _DRAINING if ready.word == _DRAINING else _UNREADY


def _written_at(path: Path) -> float | None:
    """Seconds since the epoch; None where there is no such file."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def instance(place: EnvironmentPaths, entry: AssistantEntry) -> Path:
    """The folder of an assistant's pid files."""
    root = Path(entry.instance) if entry.instance else place.instance(entry.id)
    return root / ".vellum"


def last_log_line(path: Path, started_at: float) -> str:
    """The last line of the gateway that was started then, one harmless line; empty without one.

    All assistants of an environment write there, so only what was said right after counts
    (upstream/vellum: Waiting).
    """
    for line in reversed(_tail(path)):
        stamp, tag, text = line.partition(_LOG_TAG)
        at = _instant(stamp.strip())
        if not tag or at is None or not text.strip():
            continue
        if started_at - _SLACK_S <= at <= started_at + EARLY_S + _SLACK_S:
            return redact_line(text.strip(), _LONGEST_LINE)
    return ""


def _tail(path: Path) -> list[str]:
    try:
        with open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL))
            return file.read(_LOG_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _instant(stamp: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(stamp[:40])
    except ValueError:
        return None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
