"""Observes OpenShell through its CLI; read-only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError, UnavailableError
from services.lazy_dataclass import dataclass
from services.logs.reader import LogRecord
from services.models import (
    Capability,
    Facts,
    Gateway,
    GatewayState,
    LogStream,
    Observation,
    Sandbox,
    SandboxId,
    Source,
    Unknown,
    UnknownWord,
)
from services.sources.openshell import life_words, proof, sandbox_judge, start_plan
from services.sources.openshell import rows as mapper
from services.sources.openshell.agent_question import AgentAnswers
from services.sources.openshell.cli import MISSING, MISSING_ADVICE, Cli
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.client import GatewayProbe, OpenShellClient
from services.sources.openshell.details_cache import DetailsCache
from services.sources.openshell.forwards import Owners
from services.sources.openshell.gateway_judge import missing
from services.sources.openshell.gateway_status import GatewayJudgement, GatewayStatus
from services.sources.openshell.gather import gather
from services.sources.openshell.lists import PHASES
from services.sources.openshell.logs import STREAMS, filtered, read
from services.sources.openshell.nemoclaw_registry import NemoclawRegistry
from services.sources.openshell.policy import DecidedRules, PolicyReader
from services.sources.openshell.records import Forward, Registration, SandboxRow, Target, safe_name
from services.sources.openshell.rows import target_of
from services.sources.openshell.sandbox_judge import Reconciled, SandboxProbe
from services.sources.openshell.start_plan import StartPlan
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind

PROBE_GET_S = 3.5
PROBE_PROOF_S = 4.0
"""Below what one probe may take; a proof that is late is asked for again by the next."""
UNHURRIED_S = 3.0
"""A look that has taken longer asks for nothing beyond the rows."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look learned beside the rows themselves."""

    listed: NemoclawRegistry
    ports: tuple[Forward, ...]
    owners: Owners
    more: dict[str, Facts]
    """Details by native id."""
    tools: Toolset
    now: float


class OpenShellObserver(NoQueues):
    """OpenShell and NemoClaw as a source."""

    def __init__(
        self,
        info: Source,
        table: OpenShellTable,
        clock: Clock,
        decided: DecidedRules,
        answers: AgentAnswers,
    ) -> None:
        super().__init__("OpenShell sandboxes have no message queues.")
        self.info = info
        self._table = table
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table, clock)
        self._details_cache = DetailsCache(PolicyReader(self._cli))
        self._decided = decided
        self._answers = answers
        self._last: dict[str, tuple[Sandbox, ...]] = {}

    async def observe(self) -> Observation:
        began = self._clock.monotonic()
        tools = await self._client.toolset()
        known, listed, ports = await gather(
            self._client.registrations(tools),
            self._client.registry(),
            self._client.forwards(tools),
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
        owners = self._owners(probes, listed)
        fronts[:1] = [mapper.with_forwards(one, ports, owners) for one in fronts[:1]]
        look = _Look(listed, ports.rows, owners, more, tools, now)
        rows: list[Sandbox] = []
        for probe, front in zip(probes, fronts, strict=True):
            rows += self._rows(probe, front, look)
        self._last = {name: self._last[name] for name in self._last if name in _names(probes)}
        unknown = tuple(
            (front.id, Unknown[Sandbox](_why_unlisted(probe, front)))
            for probe, front in zip(probes, fronts, strict=True)
            if probe.rows is None and probe.judgement.status is not GatewayStatus.MISSING
        )
        return Observation(
            self.info.key,
            now,
            tuple(fronts),
            tuple(rows),
            unknown,
            unknown_words=_unknown_words(self.info.key, probes),
        )

    async def find(self, name: str) -> Sandbox | None:
        """The one of this name, or of this `GATEWAY/NAME`, asked for by name."""
        tools = await self._client.toolset()
        known, listed = await gather(self._client.registrations(tools), self._client.registry())
        target = Target.parse(name)
        wanted = [target] if target else [Target(one.name, name) for one in known]
        wanted = [one for one in wanted if safe_name(one.name) and one.gateway in _keys(known)]
        probes = await gather(*(self._client.sandbox(one, tools, PROBE_GET_S) for one in wanted))
        now = self._clock.now()
        found: list[Sandbox] = []
        silent: list[str] = []
        for one, probe in zip(wanted, probes, strict=True):
            entry = listed.entry(one.gateway, one.name)
            if probe.row is not None:
                row = replace(probe.row, workspace=probe.row.workspace or one.workspace)
                found.append(
                    mapper.sandbox(self.info.key, one.gateway, row, (), (), tools, now, entry)
                )
            elif probe.found is not Reconciled.MISSING:
                why, said = await self._silence(one, probe, known, tools)
                silent.append(said)
                if entry is not None:
                    down = GatewayState.DOWN
                    facts = mapper.registered(entry)
                    found.append(mapper.unseen(self.info.key, one, facts, down, f"{why}.", now))
        if len(found) > 1:
            names = ", ".join(sorted(str(one.id) for one in found))
            raise UnavailableError(f"{name!r} names several sandboxes: {names}.")
        if not found and silent:
            raise UnavailableError(f"{'; '.join(silent)}.")
        return found[0] if found else None

    async def _silence(
        self, one: Target, probe: SandboxProbe, known: Sequence[Registration], tools: Toolset
    ) -> tuple[str, str]:
        """Why a gateway did not say whether it has a sandbox, and a clause that tells it."""
        front = next(row for row in known if row.name == one.gateway)
        judged, _ = await self._client.gateway(front, tools)
        if judged.status is not GatewayStatus.HEALTHY:
            # What is wrong with a gateway is told by its status, never by another call's words.
            told = f"{judged.reason} {judged.advice}".strip().rstrip(".")
            return judged.reason.rstrip("."), f"{one.gateway} does not say: {told}"
        why = probe.said or "no answer in time"
        refused = probe.found is Reconciled.AUTH_FAILED
        login = f"; `openshell gateway login {one.gateway}` may help" if refused else ""
        return why, f"{one.gateway} does not say: {why}{login}"

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
        table = filtered(self._table, stream)
        return read(self._cli, self._client, table, target, self._clock, since)

    async def close(self) -> None:
        """Nothing outlives a look."""

    def _shown(self, name: str) -> bool:
        return not self._table.gateways or name in self._table.gateways

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
        told = sandbox_judge.verdict(
            target.name, probe, tools, self._clock.now(), listed=entry is not None
        )
        return await proof.proven(self._cli, target, tools, told, PROBE_PROOF_S)

    def _plan(self, known: Registration, tools: Toolset) -> StartPlan:
        return start_plan.plan(known.name, known.endpoint, tools, self._table.start)

    def _front(
        self, probe: GatewayProbe, tools: Toolset, listed: NemoclawRegistry, now: float
    ) -> Gateway:
        plan = self._plan(probe.registration, tools)
        return mapper.gateway(self.info.key, probe, plan, tools, listed, now)

    def _owners(self, probes: Sequence[GatewayProbe], listed: NemoclawRegistry) -> Owners:
        """Of everything that is known now, or was when it was last seen."""
        rows = [
            (probe.registration.name, row)
            for probe in probes
            for row in probe.rows or probe.partial
        ]
        last = [one for name in self._last for one in self._last[name]]
        named = [target for one in last if (target := Target.parse(one.id.native_id)) is not None]
        named += [Target(entry.gateway, entry.name) for entry in listed.entries]
        return Owners.of_rows(rows, named)

    def _mapped(self, rows: Sequence[SandboxRow], gateway: str, look: _Look) -> tuple[Sandbox, ...]:
        made = []
        for row in rows:
            target = target_of(gateway, row)
            mine = tuple(one for one in look.ports if look.owners.owned(one, target))
            entry = look.listed.entry(gateway, row.name)
            more = look.more.get(target.native, ()) + self._decided.facts(target.native)
            more += self._answers.facts(target.native, entry)
            made.append(
                mapper.sandbox(self.info.key, gateway, row, mine, more, look.tools, look.now, entry)
            )
        return tuple(made)

    def _rows(self, probe: GatewayProbe, front: Gateway, look: _Look) -> tuple[Sandbox, ...]:
        """Fresh rows, or the last good ones marked stale; and what only NemoClaw lists."""
        name = probe.registration.name
        entries = [entry for entry in look.listed.entries if entry.gateway == name]
        told = {entry.name: mapper.registered(entry) for entry in entries}
        if probe.rows is not None:
            rows = self._mapped(probe.rows, name, look)
            self._last[name] = rows
        else:
            rows = tuple(_aged(row, front) for row in self._last.get(name, ()))
            if probe.partial:
                fresh = self._mapped(probe.partial, name, look)
                seen = {row.id for row in fresh}
                rows = fresh + tuple(row for row in rows if row.id not in seen)
        named = {Target(name, entry.name): told[entry.name] for entry in entries}
        if probe.last_used is not None:
            named.setdefault(probe.last_used, (("known from", "the last use of openshell"),))
        names = {row.name for row in rows}
        return rows + tuple(
            mapper.unseen(self.info.key, target, known, front.state, front.reason, look.now)
            for target, known in named.items()
            if target.name not in names
        )


def _unknown_words(source: str, probes: Sequence[GatewayProbe]) -> tuple[UnknownWord, ...]:
    """Words of the gateways that this panel has no meaning for, each once."""
    found: dict[UnknownWord, None] = {}
    for row in (row for probe in probes for row in probe.rows or probe.partial):
        if row.phase not in PHASES:
            found[UnknownWord(source, "sandbox phase", row.phase)] = None
        for place, said in life_words.unknown_words(row):
            found[UnknownWord(source, place, said)] = None
    return tuple(found)


def _why_unlisted(probe: GatewayProbe, front: Gateway) -> str:
    return f"{probe.problem[:1].upper()}{probe.problem[1:]}." if probe.problem else front.reason


def _keys(known: Sequence[Registration]) -> set[str]:
    return {one.name for one in known}


def _aged(row: Sandbox, front: Gateway) -> Sandbox:
    """As it was last seen, and why nothing newer is known."""
    why = f"{front.name} is {front.state.value}: {front.reason}" if front.reason else ""
    if front.state in (GatewayState.READY, GatewayState.UNKNOWN):
        why = front.reason
    # What its phase forbids says nothing of its gateway, which may be what a wake is for.
    able = tuple(one for one in row.unavailable if one[0] is not Capability.WAKE)
    if front.state in (GatewayState.READY, GatewayState.UNKNOWN):
        able = row.unavailable
    return replace(row, stale=True, reason=f"{row.reason} {why}".strip(), unavailable=able)


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
