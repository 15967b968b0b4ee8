"""One gateway as rows of the panel: its own, and one of the agents behind it."""

from __future__ import annotations

from services.agents.openclaw.evidence import LockState, OpenClawEvidence
from services.agents.openclaw.judge import OpenClawJudgement
from services.agents.openclaw.probes import Answers
from services.models import Capability, Facts, Gateway, GatewayId, GatewayState, Sandbox, SandboxId
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.format import duration, span
from services.text.sanitize import sanitize

NO_WAKE = "it is known by its address alone: it is started where it runs"
NO_LINK = "this panel has no connection to it that could be renewed"
NO_QUEUE = "its tasks and lanes are told over a connection with a credential, which is not made"
NO_SHELL = "an agent of OpenClaw has no inside of its own: its commands run on its machine"
NO_LOGS = "its log is not read here; `openclaw logs --follow` shows it"
UNSEEN = "Its probes are good; its channels are not asked."
NOT_ASKED = "not asked: the probes tell nothing of them"
APPROVALS = "see `openclaw approvals pending` or its web page"


def to_rows(
    source: str, native_id: str, seen: OpenClawEvidence, judged: OpenClawJudgement
) -> tuple[Gateway, Sandbox]:
    """The rows of one gateway."""
    front = GatewayId(source, native_id)
    answers = seen.answers
    serves = judged.gateway is GatewayState.READY
    gateway = Gateway(
        front,
        seen.name,
        judged.gateway,
        "" if serves and judged.agent.value == "ready" else judged.reason,
        seen.now,
        address=_address(seen),
        latency_s=answers.latency_s if serves and answers is not None else None,
        evidence=_gateway_facts(seen, judged),
        until=judged.until,
    )
    sandbox = Sandbox(
        SandboxId(source, native_id),
        sanitize(native_id, 80),
        judged.agent,
        judged.reason or UNSEEN,
        seen.now,
        gateway=front,
        needs=(front,),
        evidence=_agent_facts(judged),
        asleep_by_design=judged.agent.value == "asleep",
        until=judged.until,
        unavailable=((Capability.WAKE, NO_WAKE),) if seen.remote else (),
    )
    return gateway, sandbox


def to_verdict(judged: OpenClawJudgement, no_tool: str) -> Verdict:
    """What an attempt may do with it; `no_tool` is why no command can be run, if so."""
    if judged.startable:
        advice = f"{no_tool} {judged.advice}".strip() if no_tool else judged.advice
        return Verdict(VerdictKind.REPAIRABLE, judged.reason, wakeable=not no_tool, advice=advice)
    if judged.gateway is GatewayState.SETTLING:
        return Verdict(VerdictKind.SETTLING, judged.reason, advice=judged.advice)
    if judged.gateway is GatewayState.READY:
        return Verdict(VerdictKind.READY, judged.reason, advice=judged.advice)
    if judged.gateway is GatewayState.UNKNOWN:
        return Verdict(VerdictKind.UNKNOWN, judged.reason, advice=judged.advice)
    return Verdict(VerdictKind.TERMINAL, judged.reason, advice=judged.advice)


def _address(seen: OpenClawEvidence) -> str:
    if seen.remote:
        return seen.place
    return "" if seen.port is None else f"127.0.0.1:{seen.port}"


def _gateway_facts(seen: OpenClawEvidence, judged: OpenClawJudgement) -> Facts:
    rows = [] if seen.remote else [("state directory", seen.place), ("lock", _lock(seen))]
    if seen.config.problem:
        rows.append(("configuration", f"not read: {seen.config.problem}"))
    answers = seen.answers
    if answers is None:
        rows.append(("probes", "not asked"))
    elif answers.health is None:
        rows.append(("probes", answers.reach.value))
    else:
        rows += _answers(answers)
    if seen.service.unit:
        rows.append(("service", _service(seen)))
    if not seen.remote and answers is not None and answers.health is not None:
        rows.append(("listens", seen.owner_name or seen.owner.value))
    if judged.advice:
        rows.append(("advice", judged.advice))
    return (*rows, ("judged by", judged.rule))


def _answers(answers: Answers) -> list[tuple[str, str]]:
    health = answers.health.value if answers.health is not None else ""
    rows = [("healthz", answers.word or health)]
    started, ready = answers.startup, answers.readiness
    if started is not None:
        rows.append(("startupz", started.word))
        if started.version:
            rows.append(("version", started.version))
        if started.uptime_s is not None:
            rows.append(("running for", span(started.uptime_s)))
    if ready is not None:
        rows.append(("readyz", "ready" if ready.ready else "not ready"))
        late = f"{ready.event_loop.delay_ms:.0f} ms late"
        word = "degraded" if ready.event_loop.degraded else "well"
        rows.append(("event loop", f"{word}, {late}"))
    return rows


def _agent_facts(judged: OpenClawJudgement) -> Facts:
    rows = [
        ("channels", NOT_ASKED),
        ("agents and sessions", NOT_ASKED),
        ("waiting approvals", APPROVALS),
    ]
    if judged.advice:
        rows.append(("advice", judged.advice))
    return (*rows, ("judged by", judged.rule))


def _lock(seen: OpenClawEvidence) -> str:
    lock = seen.lock
    if lock.problem:
        return f"not read: {lock.problem}"
    if lock.state is LockState.NONE:
        return "none"
    age = f" for {duration(lock.age_s)}" if lock.age_s is not None else ""
    return f"{lock.state.value}, pid {lock.pid}{age}"


def _service(seen: OpenClawEvidence) -> str:
    told = seen.service
    more = f", exit {told.exit_code}" if told.exit_code else ""
    more += f", {told.restarts} restarts" if told.restarts else ""
    return f"{told.unit}: {told.state.value}{more}"
