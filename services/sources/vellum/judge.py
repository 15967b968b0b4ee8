"""Thirty rows from evidence to what it means, first match wins.

See upstream/vellum: Classification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from services.models import GatewayState as G
from services.models import SandboxState as S
from services.sources.vellum import messages
from services.sources.vellum.credential import Standing
from services.sources.vellum.evidence import Act, Did, Evidence
from services.sources.vellum.http_probe import Answer, Reply
from services.sources.vellum.limits import DRAIN_S, YOUNG_S

REISSUE = "repair-guardian"
RESTART = "restart"


class Means(Enum):
    """What may be done about it."""

    FINE = "fine"
    REPAIRABLE = "repairable"
    """By one wake."""
    SETTLING = "settling"
    """It is waited for."""
    REFRESH = "refresh"
    """The credential is renewed, nothing is woken."""
    AGAIN = "again"
    """The gateway's own probes say what it is."""
    CONFIRM = "confirm"
    """Only the operator can decide."""
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What evidence means; `row` is 0 where nothing is wrong."""

    row: int
    gateway: G | None
    """None where this says nothing new of it."""
    sandbox: S | None
    means: Means
    reason: str = ""
    advice: str = ""
    confirmable: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    number: int
    holds: Callable[[Evidence], bool]
    judge: Callable[[Evidence], Judgement]


FINE = Judgement(0, G.READY, S.READY, Means.FINE)


def classify(seen: Evidence) -> Judgement:
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


def serving(reply: Reply | None) -> bool:
    """Whether a `/readyz` answer says that everything serves.

    Gateways up to 0.10.5 say so with their status word alone, once their assistant is ready.
    """
    if reply is None or reply.status != 200:
        return False
    body = reply.body or {}
    if "ready" in body or "dbMigrations" in body:
        return body.get("ready") is True
    return reply.word == "ok"


def healthy(reply: Reply | None) -> bool:
    """Whether a `/healthz` answer is that of a living gateway."""
    return reply is not None and reply.status == 200 and reply.word == "ok"


def _looking(seen: Evidence) -> bool:
    return seen.act is None


def _refused(seen: Evidence) -> bool:
    return _looking(seen) and seen.health is not None and seen.health.answer is Answer.REFUSED


def _young(seen: Evidence) -> bool:
    files = (seen.assistant.written_at, seen.gateway.written_at)
    return any(at is not None and 0 <= seen.now - at < YOUNG_S for at in files)


def _hung(reply: Reply | None) -> bool:
    return reply is not None and reply.answer in (Answer.TIMEOUT, Answer.CLOSED)


def _unavailable(word: str) -> Callable[[Evidence], bool]:
    def holds(seen: Evidence) -> bool:
        ready = seen.ready
        return _looking(seen) and ready is not None and ready.status == 503 and ready.word == word

    return holds


def _unready(seen: Evidence) -> bool:
    """Anything else a gateway can answer that is not readiness."""
    ready = seen.ready
    answered = ready is not None and ready.answer in (Answer.ANSWERED, Answer.GARBLED)
    return _looking(seen) and answered and not serving(ready)


def _ready(seen: Evidence) -> bool:
    return _looking(seen) and serving(seen.ready)


def _stored(*standings: Standing) -> Callable[[Evidence], bool]:
    return lambda seen: (
        _ready(seen) and seen.cloud != "paired" and seen.credential.standing in standings
    )


def _act(seen: Evidence, *did: Did) -> Act | None:
    return seen.act if seen.act is not None and seen.act.did in did else None


def _status(did: Did, *statuses: int) -> Callable[[Evidence], bool]:
    def holds(seen: Evidence) -> bool:
        act = _act(seen, did)
        return act is not None and act.status in statuses

    return holds


def _spent(seen: Evidence) -> bool:
    return _stored(Standing.SPENT)(seen) or _status(Did.REFRESH, 401)(seen)


def _forbidden(seen: Evidence) -> bool:
    act = _act(seen, Did.REFRESH, Did.MINT)
    return act is not None and act.status == 403


def _loading(seen: Evidence) -> bool:
    act = _act(seen, Did.MINT)
    return (
        act is not None
        and act.status == 401
        and act.young
        and act.word != "guardian_repair_required"
    )


def _rejected(seen: Evidence) -> bool:
    act = _act(seen, Did.MINT)
    return act is not None and (act.status == 401 or act.word == "guardian_repair_required")


def _woken(test: Callable[[Act], bool]) -> Callable[[Evidence], bool]:
    def holds(seen: Evidence) -> bool:
        act = _act(seen, Did.WAKE)
        return act is not None and test(act)

    return holds


def _says(
    number: int,
    gateway: G | None,
    sandbox: S | None,
    means: Means,
    reason: Callable[[Evidence], str] | str,
    *,
    advice: Callable[[Evidence], str] | str = "",
    confirmable: str = "",
) -> Callable[[Evidence], Judgement]:
    def judge(seen: Evidence) -> Judgement:
        return Judgement(
            number,
            gateway,
            sandbox,
            means,
            reason if isinstance(reason, str) else reason(seen),
            advice if isinstance(advice, str) else advice(seen),
            confirmable,
        )

    return judge


def _unreachable(seen: Evidence) -> Judgement:
    sandbox = S.STUCK if seen.assistant.alive else S.ASLEEP
    return Judgement(15, G.READY, sandbox, Means.REPAIRABLE, messages.unreachable(seen))


def _draining(seen: Evidence) -> Judgement:
    if seen.draining_s < DRAIN_S:
        return Judgement(12, G.SETTLING, S.SETTLING, Means.SETTLING, messages.DRAINING)
    # A wake leaves a gateway alone that still answers its liveness (upstream/vellum: Wake).
    words = (messages.UNDRAINED, messages.UNDRAINED_ADVICE)
    return Judgement(12, G.HUNG, S.STUCK, Means.CONFIRM, *words, RESTART)


def _not_ready(seen: Evidence) -> Judgement:
    reason = messages.not_ready(seen)
    if seen.unready_s < YOUNG_S:
        return Judgement(16, G.READY, S.SETTLING, Means.SETTLING, reason)
    return Judgement(16, G.READY, S.STUCK, Means.REPAIRABLE, reason)


R, W, C, T = Means.REPAIRABLE, Means.SETTLING, Means.CONFIRM, Means.TERMINAL

TABLE: tuple[Row, ...] = (
    Row(
        1,
        lambda e: bool(e.registry_problem),
        _says(1, G.UNKNOWN, S.UNKNOWN, T, messages.registry, advice=messages.REGISTRY_ADVICE),
    ),
    Row(
        2,
        lambda e: not e.registered,
        _says(2, G.ABSENT, S.ABSENT, T, messages.unregistered, advice=messages.elsewhere),
    ),
    Row(
        3,
        lambda e: e.cloud == "paired" and not _ready(e),
        _says(3, G.UNKNOWN, S.UNKNOWN, T, messages.PAIRED, advice=messages.PAIRED_ADVICE),
    ),
    Row(
        4,
        lambda e: e.cloud not in ("local", "docker", "paired"),
        _says(4, G.UNKNOWN, S.UNKNOWN, T, messages.managed, advice=messages.MANAGED_ADVICE),
    ),
    Row(
        5,
        lambda e: _looking(e) and e.port is None and e.cloud != "paired",
        _says(5, G.ABSENT, S.UNKNOWN, R, messages.NO_PORT),
    ),
    Row(
        6,
        lambda e: _refused(e) and not e.assistant.alive,
        _says(6, G.DOWN, S.ASLEEP, R, messages.ASLEEP),
    ),
    Row(7, lambda e: _refused(e) and _young(e), _says(7, G.DOWN, S.SETTLING, W, messages.STARTING)),
    Row(8, _refused, _says(8, G.DOWN, S.READY, R, messages.STOPPED)),
    Row(
        9,
        lambda e: _looking(e) and _hung(e.health),
        _says(9, G.HUNG, S.UNKNOWN, R, messages.HUNG),
    ),
    Row(
        10,
        lambda e: _looking(e) and e.health is not None and not healthy(e.health),
        _says(10, G.WRONG, S.UNKNOWN, T, messages.foreign, advice=messages.FOREIGN_ADVICE),
    ),
    Row(11, _unavailable("starting"), _says(11, G.SETTLING, S.SETTLING, W, messages.GATE)),
    Row(12, _unavailable("draining"), _draining),
    Row(
        13,
        lambda e: _looking(e) and e.ready is not None and failed_migration(e.ready.body),
        _says(
            13,
            G.READY,
            S.BROKEN,
            C,
            messages.MIGRATION,
            advice=messages.RESTART,
            confirmable=RESTART,
        ),
    ),
    Row(
        14,
        lambda e: (
            _unready(e)
            and e.ready is not None
            and e.ready.status == 200
            and (e.ready.body or {}).get("ready") is False
        ),
        _says(14, G.READY, S.SETTLING, W, messages.MIGRATING),
    ),
    Row(15, _unavailable("upstream_unreachable"), _unreachable),
    Row(16, _unready, _not_ready),
    Row(
        17,
        lambda e: _looking(e) and e.ready is not None and e.ready.answer is not Answer.ANSWERED,
        _says(17, G.HUNG, S.UNKNOWN, R, messages.HUNG),
    ),
    Row(
        18,
        _stored(Standing.ABSENT, Standing.UNREADABLE),
        _says(
            18,
            G.READY,
            S.READY,
            R,
            messages.UNLINKED,
            advice=messages.REISSUE,
            confirmable=REISSUE,
        ),
    ),
    Row(
        19,
        _stored(Standing.EXPIRED),
        _says(19, G.READY, S.READY, Means.REFRESH, messages.RENEWING),
    ),
    Row(
        20,
        _status(Did.REFRESH, 503, 504),
        _says(20, None, None, Means.AGAIN, messages.refresh_down),
    ),
    Row(
        21,
        _spent,
        _says(
            21, G.READY, S.READY, C, messages.SPENT, advice=messages.REISSUE, confirmable=REISSUE
        ),
    ),
    Row(
        22,
        _forbidden,
        _says(22, G.READY, None, T, messages.forbidden, advice=messages.FORBIDDEN_ADVICE),
    ),
    Row(23, _loading, _says(23, G.READY, S.READY, W, messages.LOADING)),
    Row(
        24,
        _rejected,
        _says(
            24, G.READY, S.READY, C, messages.REJECTED, advice=messages.REISSUE, confirmable=REISSUE
        ),
    ),
    Row(
        25,
        _status(Did.MINT, 429),
        _says(25, G.READY, None, T, messages.too_many, advice=messages.WAIT),
    ),
    Row(
        26,
        _status(Did.MINT, 502, 503, 504),
        _says(26, None, None, Means.AGAIN, messages.mint_down),
    ),
    Row(
        27,
        _woken(lambda act: bool(act.problem) or act.code in (126, 127)),
        _says(27, None, None, T, messages.no_tool, advice=messages.NO_TOOL_ADVICE),
    ),
    Row(
        28,
        _woken(lambda act: act.code not in (None, 0)),
        _says(28, None, None, T, messages.wake_failed),
    ),
    Row(
        29,
        _woken(lambda act: act.late),
        _says(29, None, None, Means.AGAIN, messages.WAKE_LATE),
    ),
    Row(
        30,
        _woken(lambda act: act.code == 0),
        _says(30, None, None, Means.AGAIN, messages.WAKE_UNPROVEN),
    ),
)
"""Rows 1 to 19 judge a look, 20 to 26 a refresh or a mint, 27 to 30 a wake."""
