"""What holds of gathered evidence: the conditions of the classification."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import ActionKind, ActionResult, AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.limits import YOUNG_S
from services.sources.vellum.ownership import Holder


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


def no_action(seen: AssistantEvidence) -> bool:
    return seen.action is None


def refused(seen: AssistantEvidence) -> bool:
    return no_action(seen) and seen.health is not None and seen.health.answer is HttpOutcome.REFUSED


def port_held(seen: AssistantEvidence) -> bool:
    strange = seen.listener.holder in (Holder.OTHER, Holder.HIDDEN)
    return no_action(seen) and strange and seen.cloud == "local"


def starting(seen: AssistantEvidence) -> bool:
    """Somebody is at it: a command that starts it, or a young process that does not listen yet."""
    young = seen.gateway.alive and seen.gateway_s is not None and seen.gateway_s < YOUNG_S
    return refused(seen) and (seen.starter is not None or (young and not seen.moved))


def silent(reply: HttpReply | None) -> bool:
    return reply is not None and reply.answer in (HttpOutcome.TIMEOUT, HttpOutcome.CLOSED)


def unavailable(word: str) -> Callable[[AssistantEvidence], bool]:
    def holds(seen: AssistantEvidence) -> bool:
        ready = seen.ready
        return no_action(seen) and ready is not None and ready.status == 503 and ready.word == word

    return holds


def is_unready(seen: AssistantEvidence) -> bool:
    """Anything else a gateway can answer that is not readiness."""
    ready = seen.ready
    answered = ready is not None and ready.answer in (HttpOutcome.ANSWERED, HttpOutcome.GARBLED)
    return no_action(seen) and answered and not serving(ready)


def is_ready(seen: AssistantEvidence) -> bool:
    return no_action(seen) and serving(seen.ready)


def stored(*standings: CredentialState) -> Callable[[AssistantEvidence], bool]:
    return lambda seen: (
        is_ready(seen) and seen.cloud != "paired" and seen.credential.state in standings
    )


def action_of(seen: AssistantEvidence, *kind: ActionKind) -> ActionResult | None:
    return seen.action if seen.action is not None and seen.action.kind in kind else None


def action_status(kind: ActionKind, *statuses: int) -> Callable[[AssistantEvidence], bool]:
    def holds(seen: AssistantEvidence) -> bool:
        action = action_of(seen, kind)
        return action is not None and action.status in statuses

    return holds


def spent(seen: AssistantEvidence) -> bool:
    return stored(CredentialState.SPENT)(seen) or action_status(ActionKind.REFRESH, 401, 403)(seen)


def forbidden(seen: AssistantEvidence) -> bool:
    action = action_of(seen, ActionKind.MINT)
    return action is not None and action.status == 403


def loading(seen: AssistantEvidence) -> bool:
    action = action_of(seen, ActionKind.MINT)
    return (
        action is not None
        and action.status == 401
        and action.young
        and action.word != "guardian_repair_required"
    )


def rejected(seen: AssistantEvidence) -> bool:
    action = action_of(seen, ActionKind.MINT)
    return action is not None and (
        action.status == 401 or action.word == "guardian_repair_required"
    )


def wake_result(test: Callable[[ActionResult], bool]) -> Callable[[AssistantEvidence], bool]:
    def holds(seen: AssistantEvidence) -> bool:
        action = action_of(seen, ActionKind.WAKE)
        return action is not None and test(action)

    return holds
