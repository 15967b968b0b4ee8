"""Gathers the evidence of each gateway: its files, its port, its service where needed."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from services.agents.openclaw.evidence import (
    DEFAULT_PORT,
    Config,
    LockState,
    OpenClawEvidence,
    Owner,
    Service,
    ServiceState,
)
from services.agents.openclaw.link import GatewayLink
from services.agents.openclaw.probes import Answers, EventLoop, Reach, ask
from services.clock import Clock
from services.errors import ProcessError
from services.net.http import Http
from services.process.identity import ProcessId, port_owner
from services.process.run import run
from services.sources.openclaw import commands
from services.sources.openclaw.carrier import GatewayAddress, carrier_over
from services.sources.openclaw.files import LockFile, config_version, read_config, read_written_lock
from services.sources.openclaw.layout import StateDirectory, state_directories
from services.sources.openclaw.links import GatewayLinks
from services.text.redact import redact_line
from services.text.sanitize import sanitize

LATE_MS, LATE_LOOKS, LATE_S = 1000.0, 3, 15.0
"""An event loop this late, in so many looks in a row over so long, is said."""
SERVICE_S = 3.0
"""How long what a service said holds while its gateway stays away."""
_SYSTEMD_S = 2.0
_LOOKS = 3
_AGAIN_S = 1.0
"""Another look begins only so soon after the first: the last must end within a poll's deadline."""
_UNIT_PROPERTIES = (
    "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,ActiveEnterTimestampMonotonic"
)
_UNIT_STATES = {
    "active": ServiceState.RUNNING,
    "activating": ServiceState.RUNNING,
    "reloading": ServiceState.RUNNING,
    "failed": ServiceState.FAILED,
    "inactive": ServiceState.ENDED,
}


class EventLoopLateness:
    """Remembers in how many looks in a row an event loop was late."""

    def __init__(self) -> None:
        self._looks = 0
        self._began = 0.0

    def note(self, answers: Answers | None, monotonic: float) -> EventLoop | None:
        """The event loop, where it has been late for long enough."""
        loop = (
            None if answers is None or answers.readiness is None else answers.readiness.event_loop
        )
        if loop is None or not loop.degraded or loop.delay_ms < LATE_MS:
            self._looks = 0
            return None
        if not self._looks:
            self._began = monotonic
        self._looks += 1
        long = monotonic - self._began >= LATE_S
        return loop if self._looks >= LATE_LOOKS and long else None


class GatewayGatherer:
    """Looks at the gateways of one source; read-only."""

    def __init__(
        self,
        state_dir: str,
        links: GatewayLinks,
        command: str,
        environ: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._state_dir = state_dir
        self._command = command
        self._environ = environ
        self._clock = clock
        self.links = links
        self._http: dict[str, Http] = {}
        self._late: dict[str, EventLoopLateness] = {}
        self._places: dict[str, StateDirectory] = {}
        self._known: tuple[str, ...] = ()
        self._services: dict[str, tuple[float, Service]] = {}
        self._refused: dict[str, tuple[object, str]] = {}
        """Of each configuration that its command was asked about, what it said of which version."""
        self._versions: dict[str, object] = {}
        self._holders: dict[str, tuple[ProcessId, float]] = {}
        """Who was seen to hold each lock, and when last."""
        self._started: dict[str, tuple[ProcessId, bool]] = {}
        """Of each lock, the process that was seen to have started, and whether it held it then."""

    async def gather(self) -> dict[str, OpenClawEvidence]:
        """The evidence of every gateway, by its native id."""
        if self.links.named is not None:
            one = await self._gather_remote(self.links.named)
            self._known = (one.name,)
            return {one.name: one}
        places, locks = await asyncio.to_thread(self._read_places)
        self._places = {one.id: one for one in places}
        self._known = tuple(self._places)
        await self.links.forget(self._known)
        seen = await asyncio.gather(*(self._gather_local(one, locks[one.id]) for one in places))
        return {
            place.id: replace(one, claimed_by=_rival(place, one.port, places, locks))
            for place, one in zip(places, seen, strict=True)
        }

    def place(self, native_id: str) -> StateDirectory | None:
        """The state directory a row belongs to, as of the last look; None for a remote one."""
        return self._places.get(self.owner(native_id))

    def owner(self, native_id: str) -> str:
        """The gateway that a row belongs to, as of the last look; without one the row itself."""
        fits = [one for one in self._known if native_id == one or native_id.startswith(f"{one}:")]
        return max(fits, key=len, default=native_id)

    def link(self, native_id: str) -> GatewayLink | None:
        """The connection of the gateway that a row belongs to; None where none is made."""
        return self.links.get(self.owner(native_id))

    def forget_services(self) -> None:
        """Have every service asked anew: something was done to one."""
        self._services.clear()

    def note_refused(self, place: StateDirectory, problem: str) -> None:
        """What its command says of its configuration as it is now; empty where it accepts it."""
        self._refused[place.id] = (config_version(place), problem)

    async def close(self) -> None:
        """Let go of the connections."""
        await self.links.close()
        for one in self._http.values():
            await one.close()

    def _read_places(self) -> tuple[tuple[StateDirectory, ...], dict[str, LockFile]]:
        places = state_directories(self._state_dir, self._environ)
        return places, {one.id: read_written_lock(one, self._clock.now()) for one in places}

    async def _gather_remote(self, address: GatewayAddress) -> OpenClawEvidence:
        http = self._http.get(address.url) or self._http.setdefault(address.url, address.http())
        answers = await ask(carrier_over(lambda: http), self._clock.monotonic)
        return OpenClawEvidence(
            self._clock.now(),
            http.address,
            http.address,
            remote=True,
            answers=answers,
            slow=self._slow(address.url, answers),
            heard=await self.links.hear(http.address, answers, None, None),
        )

    async def _gather_local(self, place: StateDirectory, held: LockFile) -> OpenClawEvidence:
        """One look; where the lock changed hands meanwhile, another one: a start takes it twice."""
        began = self._clock.monotonic()
        for _ in range(_LOOKS):
            one = await self._look(place, held)
            before = held
            held = await asyncio.to_thread(read_written_lock, place, self._clock.now())
            if (held.process, held.lock.state) == (before.process, before.lock.state):
                break
            if self._clock.monotonic() - began >= _AGAIN_S:
                break
        return one

    async def _look(self, place: StateDirectory, held: LockFile) -> OpenClawEvidence:
        lock = held.lock
        config = await asyncio.to_thread(self._read_config, place)
        port = self._port(place, held, config)
        answers: Answers | None = None
        owner, owner_name = Owner.UNKNOWN, ""
        address = None if port is None else GatewayAddress.local(port, tls=config.tls)
        if address is not None and port is not None:
            http = self._http.get(address.url) or self._http.setdefault(address.url, address.http())
            carrier = carrier_over(lambda: http)
            answers = await ask(carrier, self._clock.monotonic, suspended=lock.suspended)
        former = self._former(place, held)
        process = held.process if former is None else former[0]
        if port is not None and answers is not None and answers.reach is Reach.ANSWERED:
            owner, owner_name = await asyncio.to_thread(_owner, port, held.process, process)
        own = answers if owner in (Owner.LOCK, Owner.FORMER) else None
        one = OpenClawEvidence(
            self._clock.now(),
            sanitize(place.path.name, 80),
            redact_line(str(place.path), 200),
            config=config,
            lock=lock,
            without_lock=None if former is None else (former[0].pid, former[1]),
            was_started=self._was_started(place, process, own, held=former is None),
            port=port,
            owner=owner,
            owner_name=owner_name,
            answers=answers,
            slow=self._slow(place.id, answers),
            command_version=await asyncio.to_thread(
                commands.installed_version, self._command, self._environ
            ),
        )
        proven = place if owner is Owner.LOCK else None
        one = replace(one, heard=await self.links.hear(place.id, answers, proven, address))
        away = answers is None or answers.reach is Reach.REFUSED
        if away and lock.state in (LockState.NONE, LockState.STALE):
            one = replace(one, service=await self._service(place))
        else:
            self._services.pop(place.unit, None)
        return one

    def _read_config(self, place: StateDirectory) -> Config:
        version = config_version(place)
        link = self.links.get(place.id)
        if link is not None and self._versions.get(place.id, version) != version:
            link.touch("config.get")
        self._versions[place.id] = version
        of, refused = self._refused.get(place.id, (version, ""))
        return replace(read_config(place), refused=refused if of == version else "")

    def _former(self, place: StateDirectory, held: LockFile) -> tuple[ProcessId, float] | None:
        """Who held the lock until lately and still runs, and the seconds since."""
        now = self._clock.monotonic()
        if held.lock.state is LockState.HELD and held.process is not None:
            self._holders[place.id] = (held.process, now)
            return None
        process, at = self._holders.get(place.id, (None, 0.0))
        if process is None or not process.alive():
            self._holders.pop(place.id, None)
            return None
        return process, now - at

    def _was_started(
        self,
        place: StateDirectory,
        process: ProcessId | None,
        answers: Answers | None,
        *,
        held: bool,
    ) -> bool:
        """Whether a process is past its start, as it said itself while it held the lock.

        It starts anew within one process too: then it says so, or takes its lock anew.
        """
        known, held_then = self._started.pop(place.id, (None, False))
        started = known == process and (held_then or not held)
        startup = None if answers is None else answers.startup
        ready = answers is not None and answers.readiness is not None and answers.readiness.ready
        if startup is not None and startup.word != "started":
            started = False
        elif held and (startup is not None or ready):
            started = True
        if process is None or not started:
            return False
        self._started[place.id] = process, held
        return True

    def _port(self, place: StateDirectory, held: LockFile, config: Config) -> int | None:
        """Where it is asked; None where nothing says it or there is no gateway of its own."""
        lock = held.lock
        if lock.port is not None and lock.state in (LockState.HELD, LockState.UNKNOWN):
            return lock.port
        if config.mode == "remote" or config.problem:
            return lock.port
        said = self._environ.get("OPENCLAW_GATEWAY_PORT", "") if place.default else ""
        if said.isdecimal() and 0 < int(said[:6]) < 65_536:
            return int(said)
        if config.port is not None:
            return config.port
        # The rule for a profile's port is not documented: where it was last is the best there is.
        return lock.port or (DEFAULT_PORT if place.default and config.present else None)

    async def _service(self, place: StateDirectory) -> Service:
        now = self._clock.monotonic()
        kept = self._services.get(place.unit)
        if kept is not None and now - kept[0] < SERVICE_S:
            return kept[1]
        told = await ask_service(place.unit, self._environ)
        self._services[place.unit] = (now, told)
        return told

    def _slow(self, key: str, answers: Answers | None) -> EventLoop | None:
        return self._late.setdefault(key, EventLoopLateness()).note(
            answers, self._clock.monotonic()
        )


def _rival(
    place: StateDirectory,
    port: int | None,
    places: tuple[StateDirectory, ...],
    locks: Mapping[str, LockFile],
) -> str:
    """Another state directory whose lock is held and names this port."""
    for other in places:
        lock = locks[other.id].lock
        if other != place and lock.state is LockState.HELD and port and lock.port == port:
            return other.path.name
    return ""


def _owner(port: int, holder: ProcessId | None, process: ProcessId | None) -> tuple[Owner, str]:
    """Whether the process that holds or held the lock listens on the port, and who does else."""
    if process is not None and process.owns_port(port):
        return (Owner.FORMER if holder is None else Owner.LOCK), ""
    found = port_owner(port)
    if found is None or found.process is None:
        return Owner.UNKNOWN, ""
    name = f"{redact_line(found.name, 40)}, pid {found.process.pid}"
    return (Owner.OTHER if holder is not None else Owner.UNKNOWN), name


async def ask_service(unit: str, environ: Mapping[str, str]) -> Service:
    """The state of a user unit (upstream/openclaw: Services); not known without systemd."""
    command = shutil.which("systemctl", path=environ.get("PATH"))
    if not unit:
        return Service(ServiceState.ABSENT)
    if sys.platform != "linux" or command is None:
        return Service(unit=unit)
    try:
        done = await run(
            [command, "--user", "show", unit, "-p", _UNIT_PROPERTIES],
            timeout_s=_SYSTEMD_S,
            env=environ,
            max_output=1 << 16,
        )
    except ProcessError:
        return Service(unit=unit)
    if done.code != 0:
        return Service(unit=unit)
    return read_unit(unit, done.stdout.decode("utf-8", "replace"), time.monotonic())


def read_unit(unit: str, text: str, monotonic: float) -> Service:
    """A service from what `systemctl show` printed; a word that is not known says nothing."""
    told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    load, active = told.get("LoadState", ""), told.get("ActiveState", "")
    if load == "not-found":
        return Service(ServiceState.ABSENT, unit)
    if load != "loaded":
        return Service(unit=unit)
    state = _UNIT_STATES.get(active, ServiceState.UNKNOWN)
    if active == "activating" and told.get("SubState", "").startswith("auto-restart"):
        state = ServiceState.RESTARTING
    entered = _count(told.get("ActiveEnterTimestampMonotonic", ""))
    running: float | None = None
    if active == "activating":
        running = 0.0
    elif active == "active" and entered:
        running = max(0.0, monotonic - entered / 1_000_000)
    return Service(
        state,
        unit,
        _count(told.get("ExecMainStatus", "")),
        _count(told.get("NRestarts", "")),
        running,
        sanitize(told.get("Result", ""), 40),
    )


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
