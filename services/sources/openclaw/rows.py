"""One gateway as rows of the panel: its own, and those of the agents behind it."""

from __future__ import annotations

from collections import Counter

from services.agents.openclaw.evidence import ConnectionState, LockState, OpenClawEvidence
from services.agents.openclaw.judgement import OpenClawJudgement
from services.agents.openclaw.probes import Answers
from services.agents.openclaw.told import AgentInfo, ChannelAccount, SavedConfig, SessionInfo, Told
from services.agents.openclaw.told_judge import judge_agent, judge_session
from services.models import (
    Activity,
    Capability,
    Counts,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
)
from services.sources.openclaw.work import inbound, outbound
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.format import age, clock_time, duration, plural, size, span
from services.text.sanitize import end_sentence, sanitize

NO_LINK = "no credential is configured: there is no connection that could be renewed"
NO_QUEUE = "its tasks are told over a connection, and no credential is configured for one"
NO_SHELL = "an agent of OpenClaw has no inside of its own: its commands run on its machine"
NO_LOGS = "its log is told over a connection, and no credential is configured for one"
_MOST = 6
NO_WAKE = "it is known by its address alone: it is started where it runs"
UNSEEN = "Its probes are good; its channels are not asked."
UNHEARD = "Its probes are good; what it tells is not known: {}"
ASKED = "Its probes are good; it is being asked what it does."
NOT_ASKED = "not asked: no credential is configured"
APPROVALS = "not shown to a reader: `openclaw approvals pending`, or its web page"
RECENT_S = 24 * 3600.0
"""A session without a run is a row for so long after its last change."""
_MOST_FACTS = 8


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


def to_sandboxes(
    source: str, native_id: str, seen: OpenClawEvidence, judged: OpenClawJudgement
) -> tuple[Sandbox, ...]:
    """The agents, the default one first and under the gateway's own name, then their sessions."""
    told = seen.heard.told
    agents = sorted(told.agents or (), key=lambda one: one.id != told.default_agent)
    first, others = (agents[0], agents[1:]) if agents else (None, [])
    maker = _Maker(source, native_id, seen, judged)
    rows = [maker.agent(first, native_id)]
    rows += [maker.agent(one, f"{native_id}:{one.id}") for one in others]
    if seen.heard.reading:
        rows += [maker.session(one) for one in told.sessions or () if _is_row(one, seen.now)]
    # A stranger names sessions: none takes the place of another row.
    return tuple({row.id: row for row in reversed(rows)}.values())[::-1]


class _Maker:
    """Makes the rows of one gateway at one instant."""

    def __init__(
        self, source: str, native_id: str, seen: OpenClawEvidence, judged: OpenClawJudgement
    ) -> None:
        self._source = source
        self._native_id = native_id
        self._seen = seen
        self._judged = judged

    def agent(self, one: AgentInfo | None, native_id: str) -> Sandbox:
        """The row of an agent; of all of them where none is known by name."""
        told, judged = self._seen.heard.told, self._judged
        state, activity, reason, needs = judged.agent, Activity.NONE, judged.reason, ""
        first = native_id == self._native_id
        if one is not None and self._is_judged_alone(first=first):
            state, activity, reason, needs = judge_agent(told, one.id)
            reason = reason or (one.model and f"Serves with {one.model}.")
        elif not reason and not self._seen.heard.reading:
            reason = self._unheard
        extra = (("agent", one.id), ("model", one.model or "-")) if one is not None else ()
        facts = (*extra, *_agent_facts(told, one, self._seen, first=first), *self._advice())
        if one is None or not self._seen.heard.reading:
            return self._row(native_id, state, reason, facts)
        named = frozenset({one.id} | ({""} if first else set()))
        ins = inbound(task for task in told.tasks or () if task.agent in named)
        outs = outbound(
            [task for task in told.tasks or () if task.agent in named],
            [job for job in told.jobs or () if job.agent in named],
        )
        return self._row(native_id, state, reason, facts, activity, ins, outs, needs)

    def session(self, one: SessionInfo) -> Sandbox:
        """The row of a session."""
        judged = self._judged
        state, activity, reason = judged.agent, Activity.NONE, judged.reason
        if self._is_judged_alone(first=False):
            state, activity, reason = judge_session(one)
        spent = _spent(one)
        facts: list[tuple[str, str]] = [
            ("session", one.key),
            ("agent", one.agent or "-"),
            ("kind", one.kind or "-"),
            ("model", one.model or "-"),
            ("tokens", "not known" if one.tokens is None else size(one.tokens)),
            ("cost", "not told" if one.cost is None else dollars(one.cost)),
            ("last change", age(self._seen.now, one.updated_at)),
        ]
        if one.status:
            facts.append(("its own word", one.status))
        tasks = [task for task in self._seen.heard.told.tasks or () if task.is_of(one)]
        return self._row(
            f"{self._native_id}:{one.key}",
            state,
            reason or spent,
            (*facts, *self._advice()),
            activity,
            inbound(tasks),
            outbound(tasks, ()),
            name=f"{self._native_id}:{one.agent}:{one.name}",
        )

    def _is_judged_alone(self, *, first: bool) -> bool:
        """Whether a row is judged by its own runs: one trouble of a gateway is one row's."""
        judged = self._judged
        well = judged.agent is SandboxState.READY or not first
        return self._seen.heard.reading and judged.gateway is GatewayState.READY and well

    @property
    def _unheard(self) -> str:
        """Why a gateway whose probes are good says no more."""
        heard = self._seen.heard
        if heard.problem:
            return UNHEARD.format(heard.problem)
        return ASKED if heard.connection is ConnectionState.CONNECTING else UNSEEN

    def _advice(self) -> Facts:
        judged = self._judged
        advice = (("advice", judged.advice),) if judged.advice else ()
        return (*advice, ("judged by", judged.rule))

    def _row(
        self,
        native_id: str,
        state: SandboxState,
        reason: str,
        evidence: Facts,
        activity: Activity = Activity.NONE,
        ins: Counts = (),
        outs: Counts = (),
        needs: str = "",
        *,
        name: str = "",
    ) -> Sandbox:
        front, judged = GatewayId(self._source, self._native_id), self._judged
        return Sandbox(
            SandboxId(self._source, native_id),
            sanitize(name or native_id, 120),
            state,
            reason,
            self._seen.now,
            gateway=front,
            activity=activity,
            evidence=evidence,
            inbound=ins,
            outbound=outs,
            asleep_by_design=judged.agent is SandboxState.ASLEEP,
            unavailable=((Capability.WAKE, NO_WAKE),) if self._seen.remote else (),
            needs=(front,),
            until=judged.until,
            needs_me=needs,
        )


def _is_row(one: SessionInfo, now: float) -> bool:
    return one.working or (one.updated_at is not None and now - one.updated_at < RECENT_S)


def _spent(one: SessionInfo) -> str:
    """What it runs with and has used, as far as that is told."""
    parts = [one.model] if one.model else []
    if one.tokens is not None:
        parts.append(f"{size(one.tokens)} tokens")
    if one.cost is not None:
        parts.append(dollars(one.cost))
    return ", ".join(parts)


def _agent_facts(
    told: Told, one: AgentInfo | None, seen: OpenClawEvidence, *, first: bool
) -> list[tuple[str, str]]:
    heard = seen.heard
    facts: list[tuple[str, str]] = []
    if heard.connection is ConnectionState.OFF and told.sessions is None:
        facts += [("channels", NOT_ASKED), ("agents and sessions", NOT_ASKED)]
    elif not heard.reading:
        facts.append(("connection", heard.problem or heard.connection.value))
    mine = [] if one is None else [each for each in told.sessions or () if each.agent == one.id]
    if mine:
        rows = sum(_is_row(each, seen.now) for each in mine)
        more = ", more there" if told.more_sessions else ""
        facts.append(("sessions", f"{len(mine)} ({rows} of the last day){more}"))
        models = Counter(each.model for each in mine if each.model).most_common(3)
        facts.append(("used", ", ".join(f"{model} in {n}" for model, n in models) or "-"))
    if one is not None:
        facts += _job_facts(told, one.id, seen.now)
    if first:
        facts.append(("waiting approvals", APPROVALS))
    return facts


def _job_facts(told: Told, agent: str, now: float) -> list[tuple[str, str]]:
    """Its scheduled jobs: failed first, then undelivered, then the gateway's own last."""
    jobs = [one for one in told.jobs or () if one.agent == agent]
    jobs.sort(key=lambda one: (not one.failed, not one.undelivered, one.own))
    facts = []
    for one in jobs[:_MOST_FACTS]:
        parts = [] if one.enabled else ["off"]
        if one.last_at is not None:
            ran = one.status or "a word is missing"
            parts.append(f"last {ran}, {age(now, one.last_at)} ago")
        if one.failed and one.error:
            parts.append(one.error)
        if one.undelivered:
            parts.append(f"delivery {one.delivery}: {one.delivery_error}".rstrip(": "))
        if one.next_at is not None and one.enabled:
            parts.append(f"next {clock_time(one.next_at, with_date=True)}")
        if one.own:
            parts.append("the gateway's own")
        facts.append((f"job {one.name}", ", ".join(parts) or "has not run"))
    if len(jobs) > _MOST_FACTS:
        facts.append(("jobs", f"{plural(len(jobs) - _MOST_FACTS, 'job')} more"))
    return facts


def dollars(value: float) -> str:
    """A sum of money."""
    return f"${value:.2f}" if value >= 0.01 or not value else "below $0.01"
