"""Rows from evidence to what it means, first match wins.

See upstream/vellum: Classification.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from services.lazy_dataclass import dataclass
from services.models import (
    GatewayState as G,
)
from services.models import (
    SandboxState as S,
)
from services.sources.vellum import messages
from services.sources.vellum.conditions import (
    action_status,
    failed_migration,
    forbidden,
    healthy,
    is_ready,
    is_unready,
    loading,
    no_action,
    port_held,
    refused,
    rejected,
    silent,
    spent,
    starting,
    stored,
    unavailable,
    wake_result,
)
from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import ActionKind, AssistantEvidence
from services.sources.vellum.history import crash_looping
from services.sources.vellum.http_probe import HttpOutcome
from services.sources.vellum.limits import DRAIN_S, YOUNG_S
from services.sources.vellum.pid_files import PidState

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


def _asleep(seen: AssistantEvidence) -> AssistantJudgement:
    """A clean sleep takes the pid file away; one that is left tells of an end nobody asked for."""
    if seen.assistant.state is PidState.MISSING and not seen.gateway.alive:
        return AssistantJudgement(6, G.DOWN, S.ASLEEP, Remedy.REPAIRABLE, messages.ASLEEP)
    return AssistantJudgement(6, G.DOWN, S.DOWN, Remedy.REPAIRABLE, messages.ended(seen))


def _own(seen: AssistantEvidence) -> S:
    """The assistant itself, where it is not asked through its gateway."""
    return S.READY if seen.assistant.alive else S.DOWN


def _judgement_of(
    number: int,
    gateway: G | None,
    sandbox: S | Callable[[AssistantEvidence], S] | None,
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
            sandbox(seen) if callable(sandbox) else sandbox,
            remedy,
            reason if isinstance(reason, str) else reason(seen),
            advice if isinstance(advice, str) else advice(seen),
            confirmable,
        )

    return judge


def _unreachable(seen: AssistantEvidence) -> AssistantJudgement:
    sandbox = S.STUCK if seen.assistant.alive else S.DOWN
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
        lambda e: e.cloud == "paired" and not is_ready(e),
        _judgement_of(3, G.UNKNOWN, S.UNKNOWN, T, messages.PAIRED, advice=messages.PAIRED_ADVICE),
    ),
    JudgementRule(
        4,
        lambda e: e.cloud not in ("local", "docker", "paired"),
        _judgement_of(4, G.UNKNOWN, S.UNKNOWN, T, messages.managed, advice=messages.MANAGED_ADVICE),
    ),
    JudgementRule(
        5,
        lambda e: no_action(e) and e.port is None and e.cloud != "paired",
        _judgement_of(5, G.ABSENT, S.UNKNOWN, R, messages.NO_PORT),
    ),
    JudgementRule(
        31,
        port_held,
        _judgement_of(31, G.WRONG, S.UNKNOWN, T, messages.held, advice=messages.held_advice),
    ),
    JudgementRule(7, starting, _judgement_of(7, G.DOWN, S.SETTLING, W, messages.starting)),
    JudgementRule(
        32,
        lambda e: refused(e) and e.gateway.alive and bool(e.moved),
        _judgement_of(32, G.DOWN, _own, R, messages.moved),
    ),
    JudgementRule(
        33,
        lambda e: refused(e) and e.gateway.alive,
        _judgement_of(33, G.DOWN, _own, R, messages.deaf),
    ),
    JudgementRule(
        34,
        lambda e: refused(e) and crash_looping(e),
        _judgement_of(34, G.DOWN, _own, R, messages.crashing),
    ),
    JudgementRule(
        35,
        lambda e: refused(e) and e.assistant.state is PidState.STARTING,
        _judgement_of(35, G.DOWN, S.DOWN, R, messages.ABANDONED),
    ),
    JudgementRule(6, lambda e: refused(e) and not e.assistant.alive, _asleep),
    JudgementRule(8, refused, _judgement_of(8, G.DOWN, S.READY, R, messages.stopped)),
    JudgementRule(
        9,
        lambda e: no_action(e) and silent(e.health),
        _judgement_of(9, G.HUNG, S.UNKNOWN, R, messages.HUNG),
    ),
    JudgementRule(
        10,
        lambda e: no_action(e) and e.health is not None and not healthy(e.health),
        _judgement_of(10, G.WRONG, S.UNKNOWN, T, messages.foreign, advice=messages.foreign_advice),
    ),
    JudgementRule(
        11, unavailable("starting"), _judgement_of(11, G.SETTLING, S.SETTLING, W, messages.GATE)
    ),
    JudgementRule(12, unavailable("draining"), _draining),
    JudgementRule(
        39,
        lambda e: no_action(e) and e.ready is not None and e.ready.word == "upgrading",
        _judgement_of(39, G.SETTLING, S.SETTLING, W, messages.UPGRADING),
    ),
    JudgementRule(
        13,
        lambda e: no_action(e) and e.ready is not None and failed_migration(e.ready.body),
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
            is_unready(e)
            and e.ready is not None
            and e.ready.status == 200
            and (e.ready.body or {}).get("ready") is False
        ),
        _judgement_of(14, G.READY, S.SETTLING, W, messages.unready),
    ),
    JudgementRule(15, unavailable("upstream_unreachable"), _unreachable),
    JudgementRule(16, is_unready, _not_ready),
    JudgementRule(
        17,
        lambda e: (
            no_action(e) and e.ready is not None and e.ready.answer is not HttpOutcome.ANSWERED
        ),
        _judgement_of(17, G.HUNG, S.UNKNOWN, R, messages.HUNG),
    ),
    JudgementRule(
        36,
        lambda e: is_ready(e) and e.watched_s is not None,
        _judgement_of(36, G.SETTLING, S.SETTLING, W, messages.watched),
    ),
    JudgementRule(
        37,
        stored(CredentialState.UNREADABLE, CredentialState.BROKEN),
        _judgement_of(
            37,
            G.READY,
            S.READY,
            R,
            messages.bad_credential,
            advice=messages.REISSUE,
            confirmable=REISSUE,
        ),
    ),
    JudgementRule(
        18,
        stored(CredentialState.ABSENT),
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
        stored(CredentialState.EXPIRED),
        _judgement_of(19, G.READY, S.READY, Remedy.REFRESH, messages.RENEWING),
    ),
    JudgementRule(
        20,
        action_status(ActionKind.REFRESH, 503, 504),
        _judgement_of(20, None, None, Remedy.PROBE_AGAIN, messages.refresh_down),
    ),
    JudgementRule(
        21,
        spent,
        _judgement_of(
            21, G.READY, S.READY, C, messages.spent, advice=messages.REISSUE, confirmable=REISSUE
        ),
    ),
    JudgementRule(
        22,
        forbidden,
        _judgement_of(22, G.READY, None, T, messages.forbidden, advice=messages.FORBIDDEN_ADVICE),
    ),
    JudgementRule(23, loading, _judgement_of(23, G.READY, S.READY, W, messages.LOADING)),
    JudgementRule(
        24,
        rejected,
        _judgement_of(
            24, G.READY, S.READY, C, messages.REJECTED, advice=messages.REISSUE, confirmable=REISSUE
        ),
    ),
    JudgementRule(
        25,
        action_status(ActionKind.MINT, 429),
        _judgement_of(25, G.READY, None, T, messages.too_many, advice=messages.WAIT),
    ),
    JudgementRule(
        26,
        action_status(ActionKind.MINT, 502, 503, 504),
        _judgement_of(26, None, None, Remedy.PROBE_AGAIN, messages.mint_down),
    ),
    JudgementRule(
        27,
        wake_result(lambda action: bool(action.problem) or action.code in (126, 127)),
        _judgement_of(27, None, None, T, messages.no_tool, advice=messages.NO_TOOL_ADVICE),
    ),
    JudgementRule(
        38,
        wake_result(lambda action: messages.lacks_key(action.said)),
        _judgement_of(38, None, None, T, messages.no_key, advice=messages.KEY_ADVICE),
    ),
    JudgementRule(
        28,
        wake_result(lambda action: action.code not in (None, 0)),
        _judgement_of(28, None, None, T, messages.wake_failed),
    ),
    JudgementRule(
        29,
        wake_result(lambda action: action.timed_out),
        _judgement_of(29, None, None, Remedy.PROBE_AGAIN, messages.WAKE_LATE),
    ),
    JudgementRule(
        30,
        wake_result(lambda action: action.code == 0),
        _judgement_of(30, None, None, Remedy.PROBE_AGAIN, messages.WAKE_UNPROVEN),
    ),
)
"""Rows 1 to 19, 31 to 37 and 39 judge a look, 20 to 26 a refresh or a mint, the rest a wake."""
