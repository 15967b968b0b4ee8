"""Thirty rows from evidence to what it means, first match wins.

See upstream/vellum: Classification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from services.models import (
    GatewayState as G,
)
from services.models import (
    SandboxState as S,
)
from services.sources.vellum import messages
from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import ActionKind, ActionResult, AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.limits import DRAIN_S, YOUNG_S

REISSUE = "repair-guardian"
RESTART = "restart"


class Remedy(Enum):
    """What may be done about it."""

    FINE = "fine"
    REPAIRABLE = "repairable"
    """By one wake."""
    SETTLING = "settling"
    """It is waited for."""
    REFRESH = "refresh"
    """The credential is renewed, nothing is woken."""
    PROBE_AGAIN = "again"
    """The gateway's own probes say what it is."""
    CONFIRM = "confirm"
    """Only the operator can decide."""
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class AssistantJudgement:
    """What evidence means; `row` is 0 where nothing is wrong."""

    row: int
    gateway: G | None
    """None where this says nothing new of it."""
    sandbox: S | None
    remedy: Remedy
    reason: str = ""
    advice: str = ""
    confirmable: str = ""


@dataclass(frozen=True, slots=True)
class JudgementRule:
    """One line of the table."""

    number: int
    holds: Callable[[AssistantEvidence], bool]
    judge: Callable[[AssistantEvidence], AssistantJudgement]


FINE = AssistantJudgement(0, G.READY, S.READY, Remedy.FINE)


def classify(seen: AssistantEvidence) -> AssistantJudgement:
    """The first row that holds; fine where none does."""
    for row in TABLE:
        if row.holds(seen):
            return row.judge(seen)
    return FINE


def failed_migration(body: Mapping[str, object] | None) -> bool:
    """Whether a body, or what it passes on of the assistant's, tells of a failed migration."""
    bodies = [body or {}, *(one for one in (body or {}).values() if isinstance(one, dict))]
    states = [one.get("dbMigrations") for one in bodies]
    return any(isinstance(state, dict) and state.get("state") == "failed" for state in states)


def serving(reply: HttpReply | None) -> bool:
    """Whether a `/readyz` answer says that everything serves.

    Gateways up to 0.10.5 say so with their status word alone, once their assistant is ready.
    """
    if reply is None or reply.status != 200:
        return False
    body = reply.body or {}
    if "ready" in body or "dbMigrations" in body:
        return body.get("ready") is True
    return reply.word == "ok"


def healthy(reply: HttpReply | None) -> bool:
    """Whether a `/healthz` answer is that of a living gateway."""
    return reply is not None and reply.status == 200 and reply.word == "ok"


def _no_action(seen: AssistantEvidence) -> bool:
    return seen.action is None


def _refused(seen: AssistantEvidence) -> bool:
    return (
        _no_action(seen) and seen.health is not None and seen.health.answer is HttpOutcome.REFUSED
    )


def _young(seen: AssistantEvidence) -> bool:
    files = (seen.assistant.written_at, seen.gateway.written_at)
    return any(at is not None and 0 <= seen.now - at < YOUNG_S for at in files)


def _hung(reply: HttpReply | None) -> bool:
    return reply is not None and reply.answer in (HttpOutcome.TIMEOUT, HttpOutcome.CLOSED)


def _unavailable(word: str) -> Callable[[AssistantEvidence], bool]:
    def holds(seen: AssistantEvidence) -> bool:
        ready = seen.ready
        return _no_action(seen) and ready is not None and ready.status == 503 and ready.word == word

    return holds


def _unready(seen: AssistantEvidence) -> bool:
    """Anything else a gateway can answer that is not readiness."""
    ready = seen.ready
    answered = ready is not None and ready.answer in (HttpOutcome.ANSWERED, HttpOutcome.GARBLED)
    return _no_action(seen) and answered and not serving(ready)


def _ready(seen: AssistantEvidence) -> bool:
    return _no_action(seen) and serving(seen.ready)


def _stored(*standings: CredentialState) -> Callable[[AssistantEvidence], bool]:
    return lambda seen: (
        _ready(seen) and seen.cloud != "paired" and seen.credential.state in standings
    )


def _action(seen: AssistantEvidence, *kind: ActionKind) -> ActionResult | None:
    return seen.action if seen.action is not None and seen.action.kind in kind else None


def _status(kind: ActionKind, *statuses: int) -> Callable[[AssistantEvidence], bool]:
    def holds(seen: AssistantEvidence) -> bool:
        action = _action(seen, kind)
        return action is not None and action.status in statuses

    return holds


def _spent(seen: AssistantEvidence) -> bool:
    return _stored(CredentialState.SPENT)(seen) or _status(ActionKind.REFRESH, 401)(seen)


def _forbidden(seen: AssistantEvidence) -> bool:
    action = _action(seen, ActionKind.REFRESH, ActionKind.MINT)
    return action is not None and action.status == 403


def _loading(seen: AssistantEvidence) -> bool:
    action = _action(seen, ActionKind.MINT)
    return (
        action is not None
        and action.status == 401
        and action.young
        and action.word != "guardian_repair_required"
    )


def _rejected(seen: AssistantEvidence) -> bool:
    action = _action(seen, ActionKind.MINT)
    return action is not None and (
        action.status == 401 or action.word == "guardian_repair_required"
    )


def _woken(test: Callable[[ActionResult], bool]) -> Callable[[AssistantEvidence], bool]:
    def holds(seen: AssistantEvidence) -> bool:
        action = _action(seen, ActionKind.WAKE)
        return action is not None and test(action)

    return holds


def _judgement_of(
    number: int,
    gateway: G | None,
    sandbox: S | None,
    remedy: Remedy,
    reason: Callable[[AssistantEvidence], str] | str,
    *,
    advice: Callable[[AssistantEvidence], str] | str = "",
    confirmable: str = "",
) -> Callable[[AssistantEvidence], AssistantJudgement]:
    def judge(seen: AssistantEvidence) -> AssistantJudgement:
        return AssistantJudgement(
            number,
            gateway,
            sandbox,
            remedy,
            reason if isinstance(reason, str) else reason(seen),
            advice if isinstance(advice, str) else advice(seen),
            confirmable,
        )

    return judge


def _unreachable(seen: AssistantEvidence) -> AssistantJudgement:
    sandbox = S.STUCK if seen.assistant.alive else S.ASLEEP
    return AssistantJudgement(15, G.READY, sandbox, Remedy.REPAIRABLE, messages.unreachable(seen))


def _draining(seen: AssistantEvidence) -> AssistantJudgement:
    if seen.draining_s < DRAIN_S:
        return AssistantJudgement(12, G.SETTLING, S.SETTLING, Remedy.SETTLING, messages.DRAINING)
    # A wake leaves a gateway alone that still answers its liveness (upstream/vellum: Wake).
    words = (messages.UNDRAINED, messages.UNDRAINED_ADVICE)
    return AssistantJudgement(12, G.HUNG, S.STUCK, Remedy.CONFIRM, *words, RESTART)


def _not_ready(seen: AssistantEvidence) -> AssistantJudgement:
    reason = messages.not_ready(seen)
    if seen.unready_s < YOUNG_S:
        return AssistantJudgement(16, G.READY, S.SETTLING, Remedy.SETTLING, reason)
    return AssistantJudgement(16, G.READY, S.STUCK, Remedy.REPAIRABLE, reason)


R, W, C, T = Remedy.REPAIRABLE, Remedy.SETTLING, Remedy.CONFIRM, Remedy.TERMINAL

TABLE: tuple[JudgementRule, ...] = (
    JudgementRule(
        1,
        lambda e: bool(e.registry_problem),
        _judgement_of(
            1, G.UNKNOWN, S.UNKNOWN, T, messages.registry, advice=messages.REGISTRY_ADVICE
        ),
    ),
    JudgementRule(
        2,
        lambda e: not e.registered,
        _judgement_of(2, G.ABSENT, S.ABSENT, T, messages.unregistered, advice=messages.elsewhere),
    ),
    JudgementRule(
        3,
        lambda e: e.cloud == "paired" and not _ready(e),
        _judgement_of(3, G.UNKNOWN, S.UNKNOWN, T, messages.PAIRED, advice=messages.PAIRED_ADVICE),
    ),
    JudgementRule(
        4,
        lambda e: e.cloud not in ("local", "docker", "paired"),
        _judgement_of(4, G.UNKNOWN, S.UNKNOWN, T, messages.managed, advice=messages.MANAGED_ADVICE),
    ),
    JudgementRule(
        5,
        lambda e: _no_action(e) and e.port is None and e.cloud != "paired",
        _judgement_of(5, G.ABSENT, S.UNKNOWN, R, messages.NO_PORT),
    ),
    JudgementRule(
        6,
        lambda e: _refused(e) and not e.assistant.alive,
        _judgement_of(6, G.DOWN, S.ASLEEP, R, messages.ASLEEP),
    ),
    JudgementRule(
        7,
        lambda e: _refused(e) and _young(e),
        _judgement_of(7, G.DOWN, S.SETTLING, W, messages.STARTING),
    ),
    JudgementRule(8, _refused, _judgement_of(8, G.DOWN, S.READY, R, messages.STOPPED)),
    JudgementRule(
        9,
        lambda e: _no_action(e) and _hung(e.health),
        _judgement_of(9, G.HUNG, S.UNKNOWN, R, messages.HUNG),
    ),
    JudgementRule(
        10,
        lambda e: _no_action(e) and e.health is not None and not healthy(e.health),
        _judgement_of(10, G.WRONG, S.UNKNOWN, T, messages.foreign, advice=messages.FOREIGN_ADVICE),
    ),
    JudgementRule(
        11, _unavailable("starting"), _judgement_of(11, G.SETTLING, S.SETTLING, W, messages.GATE)
    ),
    JudgementRule(12, _unavailable("draining"), _draining),
    JudgementRule(
        13,
        lambda e: _no_action(e) and e.ready is not None and failed_migration(e.ready.body),
        _judgement_of(
            13,
            G.READY,
            S.BROKEN,
            C,
            messages.MIGRATION,
            advice=messages.RESTART,
            confirmable=RESTART,
        ),
    ),
    JudgementRule(
        14,
        lambda e: (
            _unready(e)
            and e.ready is not None
            and e.ready.status == 200
            and (e.ready.body or {}).get("ready") is False
        ),
        _judgement_of(14, G.READY, S.SETTLING, W, messages.MIGRATING),
    ),
    JudgementRule(15, _unavailable("upstream_unreachable"), _unreachable),
    JudgementRule(16, _unready, _not_ready),
    JudgementRule(
        17,
        lambda e: (
            _no_action(e) and e.ready is not None and e.ready.answer is not HttpOutcome.ANSWERED
        ),
        _judgement_of(17, G.HUNG, S.UNKNOWN, R, messages.HUNG),
    ),
    JudgementRule(
        18,
        _stored(CredentialState.ABSENT, CredentialState.UNREADABLE),
        _judgement_of(
            18,
            G.READY,
            S.READY,
            R,
            messages.UNLINKED,
            advice=messages.REISSUE,
            confirmable=REISSUE,
        ),
    ),
    JudgementRule(
        19,
        _stored(CredentialState.EXPIRED),
        _judgement_of(19, G.READY, S.READY, Remedy.REFRESH, messages.RENEWING),
    ),
    JudgementRule(
        20,
        _status(ActionKind.REFRESH, 503, 504),
        _judgement_of(20, None, None, Remedy.PROBE_AGAIN, messages.refresh_down),
    ),
    JudgementRule(
        21,
        _spent,
        _judgement_of(
            21, G.READY, S.READY, C, messages.SPENT, advice=messages.REISSUE, confirmable=REISSUE
        ),
    ),
    JudgementRule(
        22,
        _forbidden,
        _judgement_of(22, G.READY, None, T, messages.forbidden, advice=messages.FORBIDDEN_ADVICE),
    ),
    JudgementRule(23, _loading, _judgement_of(23, G.READY, S.READY, W, messages.LOADING)),
    JudgementRule(
        24,
        _rejected,
        _judgement_of(
            24, G.READY, S.READY, C, messages.REJECTED, advice=messages.REISSUE, confirmable=REISSUE
        ),
    ),
    JudgementRule(
        25,
        _status(ActionKind.MINT, 429),
        _judgement_of(25, G.READY, None, T, messages.too_many, advice=messages.WAIT),
    ),
    JudgementRule(
        26,
        _status(ActionKind.MINT, 502, 503, 504),
        _judgement_of(26, None, None, Remedy.PROBE_AGAIN, messages.mint_down),
    ),
    JudgementRule(
        27,
        _woken(lambda action: bool(action.problem) or action.code in (126, 127)),
        _judgement_of(27, None, None, T, messages.no_tool, advice=messages.NO_TOOL_ADVICE),
    ),
    JudgementRule(
        28,
        _woken(lambda action: action.code not in (None, 0)),
        _judgement_of(28, None, None, T, messages.wake_failed),
    ),
    JudgementRule(
        29,
        _woken(lambda action: action.timed_out),
        _judgement_of(29, None, None, Remedy.PROBE_AGAIN, messages.WAKE_LATE),
    ),
    JudgementRule(
        30,
        _woken(lambda action: action.code == 0),
        _judgement_of(30, None, None, Remedy.PROBE_AGAIN, messages.WAKE_UNPROVEN),
    ),
)
"""Rows 1 to 19 judge a look, 20 to 26 a refresh or a mint, 27 to 30 a wake."""
