"""Gathers what there is to see of the embedded world: processes, probes, queue files."""

from __future__ import annotations

from services.models import SandboxId
from services.queues.facts import Survey
from services.queues.reader import HEARTBEAT
from services.queues.session import INBOUND
from services.sources.local import lock, spawn
from services.sources.local.gateway_probe import GatewayEvidence, probe_gateway
from services.sources.local.judge import AgentEvidence, ProcessFacts
from services.sources.local.layout import World
from services.sources.local.summary import QueueSummaries


def process(world: World, role: str) -> ProcessFacts:
    """A role's process; pid None where no record says who plays it."""
    record = world.read_record(role)
    if record is None:
        return ProcessFacts(None, spawn.Liveness.DEAD)
    return ProcessFacts(record.pid, spawn.alive(record), record.created)


def token(world: World) -> str:
    """The bearer token; empty where there is none to read."""
    try:
        return world.token.read_text("utf-8").strip()
    except OSError:
        return ""


def heartbeat(world: World, name: str) -> float | None:
    """When an agent last moved its heartbeat; None where there is none."""
    try:
        return (world.sandbox(name) / HEARTBEAT).stat().st_mtime
    except OSError:
        return None


async def gateway(world: World, facts: ProcessFacts) -> GatewayEvidence | None:
    """What its probes say; None where it has no port yet or its process cannot answer."""
    record = world.read_record("gateway")
    if record is None or record.port is None or facts.liveness is not spawn.Liveness.RUNNING:
        return None
    return await probe_gateway(record.port, token(world))


async def agent(
    world: World, summaries: QueueSummaries, sandbox: SandboxId
) -> tuple[AgentEvidence, Survey]:
    """Everything known of one sandbox, and what its queue files say, from one visit to them."""
    folder = world.sandbox(sandbox.native_id)
    facts = process(world, f"agent-{sandbox.native_id}")
    # Dead or alive: what failed before the last good start is over.
    failed = [
        crash
        for crash in lock.crashes(folder)
        if facts.started_at is None or crash.at > facts.started_at
    ]
    survey = await summaries.survey(folder, alive=not facts.liveness.over)
    files = survey.facts
    seen = AgentEvidence(
        process=facts,
        heartbeat_at=heartbeat(world, sandbox.native_id),
        tool=files.tool,
        claims=len(files.claims),
        due=files.due,
        crashes=len(failed),
        last_crash=failed[-1].why if failed else "",
        gave_up=(folder / lock.GAVE_UP).exists(),
        folder=(folder / INBOUND).exists(),
    )
    return seen, survey
