"""Observes OpenShell through its CLI; read-only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Direction,
    Facts,
    Gateway,
    GatewayState,
    LogStream,
    Observation,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    Source,
    Verdict,
    VerdictKind,
)
from services.sources.openshell import proof, sandbox_judge, start_plan
from services.sources.openshell import rows as mapper
from services.sources.openshell.cli import MISSING, MISSING_ADVICE, Cli
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.client import GatewayProbe, OpenShellClient
from services.sources.openshell.details_cache import DetailsCache
from services.sources.openshell.gateway_judge import GatewayJudgement, GatewayStatus, missing
from services.sources.openshell.gather import gather
from services.sources.openshell.logs import STREAMS, filtered, read
from services.sources.openshell.nemoclaw_registry import NemoclawRegistry
from services.sources.openshell.options import OpenShellOptions
from services.sources.openshell.records import Forward, Registration, Target
from services.sources.openshell.start_plan import StartPlan

PROBE_GET_S = 3.5
PROBE_PROOF_S = 4.0
"""Below what one probe may take; a proof that is late is asked for again by the next."""
UNHURRIED_S = 3.0
"""A look that has taken longer asks for nothing beyond the rows."""
_NO_QUEUES = "OpenShell sandboxes have no message queues."


class OpenShellObserver:
    """OpenShell and NemoClaw as a source."""

    def __init__(self, info: Source, options: OpenShellOptions, clock: Clock) -> None:
        self.info = info
        self._options = options
        self._clock = clock
        self._cli = Cli(options.binary)
        self._client = OpenShellClient(self._cli, options)
        self._details_cache = DetailsCache(self._client)
        self._last: dict[str, tuple[Sandbox, ...]] = {}

    async def observe(self) -> Observation:
        began = self._clock.monotonic()
        tools = await self._client.toolset()
        known, listed, ports = await gather(
            self._client.registrations(tools), self._client.registry(), self._client.forwards()
        )
        probes = list(await gather(*(self._client.probe_gateway(one, tools) for one in known)))
        named = {one.name for one in known}
        for name in listed.gateways:
            if name not in named and self._shown(name):
                probes.append(GatewayProbe(Registration(name), missing(name)))
        late = self._clock.monotonic() - began > UNHURRIED_S
        more = (
            self._details_cache.cached()
            if late
            else await self._details_cache.update(probes, tools)
        )
        now = self._clock.now()
        fronts = [self._front(probe, tools, listed, now) for probe in probes]
        rows: list[Sandbox] = []
        for probe, front in zip(probes, fronts, strict=True):
            rows += self._rows(probe, front, listed, ports, more, now)
        self._last = {name: self._last[name] for name in self._last if name in _names(probes)}
        return Observation(self.info.key, now, tuple(fronts), tuple(rows))

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        raise UnavailableError(_NO_QUEUES)

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        raise NotFoundError(_NO_QUEUES)

    async def probe(self, sandbox: SandboxId) -> Verdict:
        target = Target.parse(sandbox.native_id)
        if target is None:
            return Verdict(VerdictKind.TERMINAL, "This is not the name of an OpenShell sandbox.")
        try:
            return await self._verdict(target)
        except UnavailableError as error:
            terminal = error.sentence == MISSING
            kind = VerdictKind.TERMINAL if terminal else VerdictKind.UNKNOWN
            return Verdict(kind, error.sentence, advice=error.advice or MISSING_ADVICE)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return STREAMS

    def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        target = Target.parse(sandbox.native_id)
        if target is None:
            raise NotFoundError("This is not the name of an OpenShell sandbox.")
        options = filtered(self._options, stream)
        return read(self._cli, self._client, options, target, self._clock, since)

    async def close(self) -> None:
        """Nothing outlives a look."""

    def _shown(self, name: str) -> bool:
        return not self._options.gateways or name in self._options.gateways

    async def _verdict(self, target: Target) -> Verdict:
        tools = await self._client.toolset()
        known, listed = await gather(self._client.registrations(tools), self._client.registry())
        entry = listed.entry(target.gateway, target.name)
        registered = next((one for one in known if one.name == target.gateway), None)
        if registered is None:
            if entry is None and tools.generation is not Generation.A:
                return _missing_verdict(target, known)
            registered = Registration(target.gateway)
            judged = missing(target.gateway)
        else:
            judged, _ = await self._client.gateway(registered, tools)
        if judged.status is not GatewayStatus.HEALTHY:
            return gateway_verdict(judged, self._plan(registered, tools))
        probe = await self._client.sandbox(target, tools, PROBE_GET_S)
        probe = await self._client.with_grpc_reasons(registered, judged.version, probe)
        told = sandbox_judge.verdict(target.name, probe, tools, entry is not None)
        return await proof.proven(self._cli, target, tools, told, PROBE_PROOF_S)

    def _plan(self, known: Registration, tools: Toolset) -> StartPlan:
        return start_plan.plan(known.name, known.endpoint, tools, self._options.start)

    def _front(
        self, probe: GatewayProbe, tools: Toolset, listed: NemoclawRegistry, now: float
    ) -> Gateway:
        plan = self._plan(probe.registration, tools)
        return mapper.gateway(self.info.key, probe, plan, tools, listed, now)

    def _rows(
        self,
        probe: GatewayProbe,
        front: Gateway,
        listed: NemoclawRegistry,
        ports: tuple[Forward, ...],
        more: dict[str, Facts],
        now: float,
    ) -> tuple[Sandbox, ...]:
        """Fresh rows, or the last good ones marked stale; and what only NemoClaw lists."""
        name = probe.registration.name
        entries = [entry for entry in listed.entries if entry.gateway == name]
        told = {entry.name: mapper.registered(listed, entry) for entry in entries}
        if probe.rows is not None:
            rows = tuple(
                mapper.sandbox(
                    self.info.key,
                    name,
                    row,
                    ports,
                    more.get(mapper.target_of(name, row).native, ()) + told.get(row.name, ()),
                    now,
                )
                for row in probe.rows
            )
            self._last[name] = rows
        else:
            rows = tuple(_aged(row, front) for row in self._last.get(name, ()))
        named = {Target(name, entry.name): told[entry.name] for entry in entries}
        if probe.last_used is not None:
            named.setdefault(probe.last_used, (("known from", "the last use of openshell"),))
        seen = {row.name for row in rows}
        return rows + tuple(
            mapper.unseen(self.info.key, target, known, front.state, front.reason, now)
            for target, known in named.items()
            if target.name not in seen
        )


def _aged(row: Sandbox, front: Gateway) -> Sandbox:
    """As it was last seen, and why nothing newer is known."""
    why = f"{front.name} is {front.state.value}: {front.reason}" if front.reason else ""
    if front.state is GatewayState.READY:
        why = front.reason
    return replace(row, stale=True, reason=f"{row.reason} {why}".strip())


def _names(probes: list[GatewayProbe]) -> set[str]:
    return {probe.registration.name for probe in probes}


def _missing_verdict(target: Target, known: tuple[Registration, ...]) -> Verdict:
    there = ", ".join(one.name for one in known) or "none"
    judged = missing(target.gateway)
    return Verdict(
        VerdictKind.TERMINAL, f"{judged.reason} Registered: {there}.", advice=judged.advice
    )


def gateway_verdict(judged: GatewayJudgement, plan: StartPlan) -> Verdict:
    """What an attempt may do about a gateway that is not well.

    See upstream/openshell: Gateway states.
    """
    if judged.status is GatewayStatus.PROBE_TIMEOUT:
        return Verdict(VerdictKind.UNKNOWN, judged.reason, advice=judged.advice)
    if not judged.status.startable:
        return Verdict(VerdictKind.TERMINAL, judged.reason, advice=judged.advice)
    if plan.possible and (judged.status is not GatewayStatus.MISSING or plan.by_cli):
        return Verdict(VerdictKind.REPAIRABLE, judged.reason, wakeable=True)
    advice = judged.advice if judged.status is GatewayStatus.MISSING else plan.advice
    return Verdict(VerdictKind.REPAIRABLE, judged.reason, advice=advice)
