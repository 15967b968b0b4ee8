"""One gateway as rows of the panel: its own, and those of the agents behind it."""

from __future__ import annotations

from services.agents.openclaw.evidence import ConnectionState, LockState, OpenClawEvidence
from services.agents.openclaw.judgement import OpenClawJudgement
from services.agents.openclaw.probes import Answers
from services.agents.openclaw.told import ChannelAccount, SavedConfig
from services.models import Facts, Gateway, GatewayId, GatewayState, Sandbox
from services.sources.openclaw.agents import dollars, to_sandboxes
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.format import duration, size, span
from services.text.sanitize import end_sentence

NO_LINK = "no credential is configured: there is no connection that could be renewed"
NO_QUEUE = "its tasks are told over a connection, and no credential is configured for one"
NO_SHELL = "an agent of OpenClaw has no inside of its own: its commands run on its machine"
NO_LOGS = "its log is told over a connection, and no credential is configured for one"
_MOST = 6


def to_rows(
    source: str, native_id: str, seen: OpenClawEvidence, judged: OpenClawJudgement
) -> tuple[Gateway, tuple[Sandbox, ...]]:
    """The rows of one gateway."""
    front = GatewayId(source, native_id)
    answers = seen.answers
    serves = judged.gateway is GatewayState.READY
    gateway = Gateway(
        front,
        seen.name,
        judged.gateway,
        _unsaved(seen) if serves and judged.agent.value == "ready" else judged.reason,
        seen.now,
        address=_address(seen),
        latency_s=answers.latency_s if serves and answers is not None else None,
        evidence=_gateway_facts(seen, judged),
        until=judged.until,
    )
    return gateway, to_sandboxes(source, native_id, seen, judged)


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


def _unsaved(seen: OpenClawEvidence) -> str:
    """What would end a gateway that serves well."""
    saved = seen.heard.told.saved
    if not seen.heard.reading or saved is None or saved.valid:
        return ""
    why = f"its saved configuration is not accepted: {_issues(saved)}"
    return end_sentence(f"A restart would end it: {why}")


def _issues(saved: SavedConfig) -> str:
    return "; ".join(saved.issues) or "it does not say why"


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
    rows += _told(seen)
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


def _told(seen: OpenClawEvidence) -> list[tuple[str, str]]:
    """What it tells over its connection, the troubles of tasks first."""
    heard, told = seen.heard, seen.heard.told
    if heard.connection is ConnectionState.OFF:
        return []
    rows = [("connection", heard.connection.value + (f": {heard.problem}" * bool(heard.problem)))]
    ours, theirs = seen.command_version, heard.version
    if theirs and ours and ours != theirs:
        rows.append(("versions", f"gateway {theirs}, command {ours}: is a restart due?"))
    if not heard.reading:
        return rows
    if told.saved is not None and not told.saved.valid:
        rows.append(("saved config", f"not accepted: {_issues(told.saved)}"))
    elif told.saved is not None and not told.saved.in_force:
        rows.append(("saved config", "not in force before a restart"))
    if told.health is not None and told.health.reloads not in ("", "active"):
        rows.append(("reloads config", told.health.reloads))
    summary = told.summary
    if summary is not None and summary.audit:
        rows.append(("troubles", ", ".join(f"{code} {n}" for code, n in summary.audit)))
    rows += [("channel " + one.name, _channel(one)) for one in told.channels or ()]
    rows += [("channel issue", one) for one in told.issues]
    busy = [one for one in told.lanes or () if one.queued or one.active or one.blocked_by]
    said = [f"{one.name} {one.active}/{one.most} at work, {one.queued} queued" for one in busy]
    rows.append(("lanes", "; ".join(said[:_MOST]) or "nothing waits"))
    if told.cost is not None:
        missing = f", {told.cost.missing} entries without a price" if told.cost.missing else ""
        today = f", {dollars(told.cost.today)} today" if told.cost.today is not None else ""
        rows.append(
            ("cost", f"{dollars(told.cost.total)} in {told.cost.days} days{today}{missing}")
        )
    if summary is not None and summary.memory:
        rows.append(("memory", size(summary.memory)))
    if told.device:
        rows.append(("identity", told.device[:16]))
    return rows


def _channel(one: ChannelAccount) -> str:
    if not one.wanted:
        return "off"
    words = {True: "connected", False: "not connected", None: "whether connected is not told"}
    said = words[one.connected] if one.running is not False else "does not run"
    more = [one.lifecycle] if one.lifecycle else []
    return ", ".join((said, *more, *([one.error] if one.error else [])))


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
