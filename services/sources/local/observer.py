"""Observes the embedded world; read-only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.logs.file_tail import FileTail
from services.logs.reader import LogRecord
from services.models import (
    Activity,
    Direction,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    LogStream,
    Observation,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
)
from services.process.identity import Liveness
from services.queues.facts import Survey
from services.queues.kept import KeptFiles
from services.queues.reader import QueueReader
from services.sources.local import judge, probes, simulated
from services.sources.local.gateway_probe import GatewayEvidence
from services.sources.local.layout import World
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize

STREAMS = (
    LogStream("agent", "agent"),
    LogStream("gateway", "gateway"),
    LogStream("host", "host (traffic)"),
)
"""The agent's own log, and those of what all agents share."""


class LocalObserver:
    """The embedded world as a source."""

    def __init__(self, info: Source, world: World, clock: Clock) -> None:
        self.info = info
        self._world = world
        self._clock = clock
        self._records = probes.WorldRecords(world, clock)
        self._kept = KeptFiles()
        self._reader = QueueReader(clock, follow=True, kept=self._kept)
        # Counts of every sandbox and the page of one are different polls of the same files.
        self._summaries = probes.QueueSummaries(clock, self._kept)

    async def observe(self) -> Observation:
        wanted = [self._request(name) for name in self._records.names()]
        gateways, agents = await asyncio.gather(self._gateways(), self._sandboxes(wanted))
        seen = tuple(_with_gateway_problem(gateways, agent) for agent in agents)
        now = self._clock.now()
        many = simulated.rows(self._world, self.info.key, now)
        return Observation(self.info.key, now, gateways, (*seen, *many))

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        name = self._resolve(sandbox)
        alive = not self._request(name).facts.liveness.over
        return await self._reader.snapshot(sandbox, self._world.sandbox(name), window, alive=alive)

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        folder = self._world.sandbox(self._resolve(sandbox))
        return await self._reader.content(folder, direction, message)

    async def probe(self, sandbox: SandboxId) -> Verdict:
        if sandbox.native_id not in self._world.names():
            return Verdict(
                VerdictKind.TERMINAL,
                f"The embedded world has no sandbox {sandbox.native_id!r}.",
                advice="Start the world with `wakedeck local up`.",
            )
        record, facts = probes.role_process(self._world, self._world.read_record, "gateway")
        wanted = probes.AgentRequest(
            sandbox, probes.process(self._world, f"agent-{sandbox.native_id}")
        )
        seen, ((agent, _),) = await asyncio.gather(
            probes.gateway(self._world, facts, record),
            probes.agents(self._world, self._summaries, [wanted]),
        )
        now = self._clock.now()
        return judge.verdict(
            judge.gateway(facts, seen, now),
            judge.host(probes.process(self._world, "host"), now),
            judge.sandbox(agent, now),
        )

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        self._resolve(sandbox)
        return STREAMS

    def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        name = self._resolve(sandbox)
        stream = stream or STREAMS[0].name
        if stream not in {one.name for one in STREAMS}:
            raise NotFoundError(f"The embedded world has no log {sanitize(stream, 40)!r}.")
        role = f"agent-{name}" if stream == "agent" else stream
        return FileTail(self._world.log(role), called=f"{stream} log").read(self._clock)

    async def close(self) -> None:
        self._kept.close()

    def _resolve(self, sandbox: SandboxId) -> str:
        if sandbox.native_id.startswith(simulated.PREFIX):
            raise UnavailableError(f"{sandbox.native_id}: {simulated.REFUSAL}.")
        if sandbox.native_id not in self._records.names():
            raise NotFoundError(f"The embedded world has no sandbox {sandbox.native_id!r}.")
        return sandbox.native_id

    async def _gateways(self) -> tuple[Gateway, ...]:
        record, facts = probes.role_process(self._world, self._records.read, "gateway")
        seen = await probes.gateway(self._world, facts, record)
        now = self._clock.now()
        state, reason = judge.gateway(facts, seen, now)
        _, traffic = probes.role_process(self._world, self._records.read, "host")
        host_state, host_reason = judge.host(traffic, now)
        return (
            Gateway(
                GatewayId(self.info.key, "gateway"),
                "gateway",
                state,
                reason,
                now,
                address="" if record is None else record.socket,
                latency_s=_latency(state, seen),
                evidence=_gateway_facts(facts, seen),
            ),
            Gateway(
                GatewayId(self.info.key, "host"),
                "host (traffic)",
                host_state,
                host_reason,
                now,
                evidence=_process_facts(traffic),
            ),
        )

    def _request(self, name: str) -> probes.AgentRequest:
        _, facts = probes.role_process(self._world, self._records.read, f"agent-{name}")
        return probes.AgentRequest(SandboxId(self.info.key, name), facts)

    async def _sandboxes(self, wanted: Sequence[probes.AgentRequest]) -> list[Sandbox]:
        found = await probes.agents(self._world, self._summaries, wanted)
        pairs = zip(wanted, found, strict=True)
        return [self._sandbox(one.sandbox, seen, files) for one, (seen, files) in pairs]

    def _sandbox(self, identity: SandboxId, seen: judge.AgentEvidence, files: Survey) -> Sandbox:
        now = self._clock.now()
        state, activity, reason = judge.sandbox(seen, now)
        return Sandbox(
            identity,
            identity.native_id,
            state,
            reason,
            now,
            gateway=GatewayId(self.info.key, "gateway"),
            needs=(GatewayId(self.info.key, "gateway"),),
            activity=activity,
            tool=seen.tool if activity is Activity.WORKING else "",
            evidence=_agent_facts(seen, files.facts.problem, now),
            inbound=files.inbound,
            outbound=files.outbound,
            asleep_by_design=state is SandboxState.ASLEEP
            and seen.process.pid is None
            and not seen.due,
        )


def _with_gateway_problem(gateways: tuple[Gateway, ...], agent: Sandbox) -> Sandbox:
    """A sandbox that works says so, and what is wrong in front of it."""
    wrong = next((one.reason for one in gateways if one.state is not GatewayState.READY), "")
    return replace(agent, reason=wrong) if wrong and not agent.reason else agent


def _latency(state: GatewayState, seen: GatewayEvidence | None) -> float | None:
    if seen is None or state not in (GatewayState.READY, GatewayState.SETTLING):
        return None
    return seen.health.latency_s


def _process_facts(facts: judge.ProcessFacts) -> Facts:
    if facts.pid is None:
        return (("process", "none recorded"),)
    return (("process", f"pid {facts.pid}, {facts.liveness.value}"),)


def _gateway_facts(facts: judge.ProcessFacts, seen: GatewayEvidence | None) -> Facts:
    rows = list(_process_facts(facts))
    if seen is None:
        return (*rows, ("probe", "not asked: nothing there can answer"))
    for rung, reply in (
        ("healthz", seen.health),
        ("readyz", seen.ready),
        ("sandboxes", seen.members),
    ):
        if reply is not None:
            status = f" ({reply.status})" if reply.status else ""
            rows.append((rung, f"{reply.answer.value}{status}"))
    return tuple(rows)


def _agent_facts(seen: judge.AgentEvidence, problem: str, now: float) -> Facts:
    silence = (
        "never" if seen.heartbeat_at is None else f"{max(0.0, now - seen.heartbeat_at):.0f} s ago"
    )
    rows = [
        *_process_facts(seen.process),
        ("heartbeat", silence),
        ("claims", str(seen.claims)),
        ("due", str(seen.due)),
    ]
    if problem:
        rows.append(("queue files", problem))
    if seen.crashes:
        rows.append(("failed starts", f"{seen.crashes}, last: {seen.last_crash}"))
    if seen.process.liveness is Liveness.STOPPED:
        rows.append(("why", "suspended by a signal (SIGSTOP)"))
    return tuple(rows)
