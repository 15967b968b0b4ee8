"""The operator's sentence for each row of the table."""

from __future__ import annotations

from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.http_probe import origin
from services.sources.vellum.limits import WATCH_S
from services.sources.vellum.ownership import Holder
from services.sources.vellum.pid_files import PidState
from services.text.format import span
from services.text.sanitize import end_sentence, sanitize

REGISTRY_ADVICE = "Fix it or restore it from a backup; until then no vellum command is run."
PAIRED = "It runs on another machine, which does not answer from here."
PAIRED_ADVICE = "Check that host: it cannot be woken from this one."
MANAGED_ADVICE = "Start or repair it where it is managed."
NO_PORT = "No gateway is recorded for it; waking it creates one."
ASLEEP = "It is asleep."
ABANDONED = (
    "A start of it was begun and nobody is at it; waking may wait up to 60 s for that first."
)
STOPPED = "Its gateway has stopped; the assistant itself runs."
HUNG = "Its gateway is not answering. Waking restarts it, which may take up to 4 minutes."
FOREIGN_ADVICE = "End that program, or give the assistant another port; waking cannot help."
ODD_ADVICE = (
    "Waking would leave it as it is. Read its log; the palette offers a restart, which asks first."
)
GATE = "Its gateway is starting."
UPGRADING = "It is upgrading."
DRAINING = "Its gateway is shutting down."
UNDRAINED = "Its gateway began to shut down and does not end."
UNDRAINED_ADVICE = (
    "Waking would leave it as it is. A restart ends it and wakes it again, after you confirm."
)
MIGRATION = "Its database migration failed, and waking keeps the failed process."
RESTART = "Read its log first. A restart puts it to sleep and wakes it again, after you confirm."
MIGRATING = "It is migrating its database."
UNLINKED = "It serves, and there is no credential for it in this environment."
RENEWING = "Its credential has expired and will be renewed."
SPENT = "It serves, and its credential has expired for good."
REJECTED = "It serves, and its gateway does not accept the stored credential."
REISSUE = "Re-issuing the credential helps, after you confirm; it signs every other device out."
FORBIDDEN_ADVICE = (
    "Neither waking nor a new credential can change that; run the panel on the same machine and "
    "as the same user as the assistant."
)
KEY_ADVICE = (
    "Neither waking again nor a new credential helps: restore the signing key from a backup, or "
    "ask Vellum's support."
)
LOADING = "Its gateway is still loading credentials."
WAIT = "Wait that long, then reconnect."
NO_TOOL_ADVICE = "Install the vellum command and bun, or say in the configuration where it is."
WAKE_LATE = "The wake took too long and was ended; what it started may still come up."
WAKE_UNPROVEN = "The wake says it is done, and its gateway does not prove it yet."
_UNKNOWN_COMMAND = "Unknown command"
_NO_KEY = "Cannot resume authentication"


def registry(seen: AssistantEvidence) -> str:
    """Row 1."""
    path = sanitize(seen.registry, 120)
    return f"The list of assistants (lockfile {path}) cannot be read: {seen.registry_problem}."


def unregistered(seen: AssistantEvidence) -> str:
    """Row 2."""
    return f"It is not registered in environment {seen.environment}."


def elsewhere(seen: AssistantEvidence) -> str:
    """Row 2, what to do."""
    if not seen.elsewhere:
        return "Look for it with `vellum ps`."
    names = ", ".join(seen.elsewhere)
    return f"Environments with entries: {names}. Configure a source for the right one."


def managed(seen: AssistantEvidence) -> str:
    """Row 4."""
    return f"Its lifecycle is managed elsewhere (cloud {sanitize(seen.cloud, 40)})."


def ended(seen: AssistantEvidence) -> str:
    """Row 6, where nothing says that it was put to sleep."""
    file = seen.assistant
    if file.state is PidState.STRANGER:
        return f"Its process has ended; its pid {file.pid} is another program's ({file.name})."
    if file.state in (PidState.JUNK, PidState.UNREADABLE):
        return f"Nothing listens, and {file.state.value}: whether it was put to sleep is not known."
    return "Its process has ended."


def starting(seen: AssistantEvidence) -> str:
    """Row 7."""
    if seen.starter is not None:
        return f"It is being started by a vellum command (pid {seen.starter})."
    return f"It is starting: its gateway process (pid {seen.gateway.pid}) does not listen yet."


def stopped(seen: AssistantEvidence) -> str:
    """Row 8."""
    file = seen.gateway
    more = ""
    if file.state is PidState.STRANGER:
        more = f" Its pid {file.pid} is another program's ({file.name})."
    return f"Its gateway has stopped; the assistant itself runs.{more}{_last(seen)}"


def foreign(seen: AssistantEvidence) -> str:
    """Row 10: a process that is proven to be the gateway is never called another program."""
    if seen.listener.holder is Holder.OURS:
        status = 0 if seen.health is None else seen.health.status
        what = f"status {status}" if status else "no HTTP"
        return f"Its gateway answers on port {seen.port}, but not as a gateway does ({what})."
    return f"Port {seen.port} is used by another program, not by its gateway."


def foreign_advice(seen: AssistantEvidence) -> str:
    return ODD_ADVICE if seen.listener.holder is Holder.OURS else FOREIGN_ADVICE


def unready(seen: AssistantEvidence) -> str:
    """Row 14: the cause is said only where the answer holds it."""
    body = {} if seen.ready is None else seen.ready.body or {}
    return MIGRATING if "dbMigrations" in body else "It says that it is not ready yet."


def held(seen: AssistantEvidence) -> str:
    """Row 31."""
    if seen.listener.holder is Holder.HIDDEN:
        return f"Port {seen.port} is used by another user's program."
    if seen.shared:
        return f"Port {seen.port} is also that of {_names(seen)}; {seen.listener.label} has it."
    return f"Port {seen.port} is used by {seen.listener.label}, not by its gateway."


def held_advice(seen: AssistantEvidence) -> str:
    """Row 31, what to do."""
    return (
        "Give one of the assistants another port; waking cannot help."
        if seen.shared
        else FOREIGN_ADVICE
    )


def shared(seen: AssistantEvidence) -> str:
    """What stands beside a gateway that serves on a port that another one has too."""
    return f"Port {seen.port} is also that of {_names(seen)}." if seen.shared else ""


def moved(seen: AssistantEvidence) -> str:
    """Row 32."""
    ports = ", ".join(str(port) for port in seen.moved)
    return (
        f"Its gateway still serves on its old port {ports}, not on {seen.port}; a wake waits up to "
        "60 s for it, then starts it anew."
    )


def deaf(seen: AssistantEvidence) -> str:
    """Row 33."""
    lasted = "" if seen.gateway_s is None else f" for {span(seen.gateway_s)}"
    return (
        f"Its gateway process (pid {seen.gateway.pid}) runs{lasted} and does not listen; a wake "
        "waits up to 60 s for it, then starts it anew."
    )


def crashing(seen: AssistantEvidence) -> str:
    """Row 34."""
    return (
        f"Its gateway is crash-looping: it ended soon after each of its last {seen.early_deaths} "
        f"starts.{_last(seen)}"
    )


def watched(seen: AssistantEvidence) -> str:
    """Row 36."""
    return f"It is answering and being watched for {WATCH_S:g} s."


def gone(seen: AssistantEvidence) -> str:
    """Why a wait for what a wake started has no use any more."""
    if seen.gateway.state.over:
        pid = "" if seen.gateway.pid is None else f" (pid {seen.gateway.pid})"
        return f"The gateway that was started{pid} has ended.{_last(seen)}"
    left = f"Nothing listens on port {seen.port} and no process of its gateway is left."
    return f"{left}{_last(seen)}"


def bad_credential(seen: AssistantEvidence) -> str:
    """Row 37."""
    word = "cannot be read" if seen.credential.state is CredentialState.UNREADABLE else "is broken"
    return f"It serves, and its credential file {word}: {seen.credential.problem}."


def _names(seen: AssistantEvidence) -> str:
    return ", ".join(seen.shared[:3])


def _last(seen: AssistantEvidence) -> str:
    return f" It said last: {end_sentence(seen.last_line)}" if seen.last_line else ""


def unreachable(seen: AssistantEvidence) -> str:
    """Row 15."""
    if seen.assistant.alive:
        return "Its assistant process is alive and cannot be reached by the gateway."
    return "Its assistant process is down; the gateway runs."


def not_ready(seen: AssistantEvidence) -> str:
    """Row 16."""
    ready = seen.ready
    word = sanitize(ready.word, 40) if ready is not None else ""
    status = f" ({ready.status} {word})".replace(" )", ")") if ready is not None else ""
    return f"The assistant is not ready{status}."


def spent(seen: AssistantEvidence) -> str:
    """Row 21."""
    action = seen.action
    if action is None or (action.status == 401 and not action.unnamed):
        return SPENT
    why = f"status {action.status}"
    if action.unnamed:
        why = "this vellum command names no reason"
    return f"It serves, and its credential could not be renewed ({why})."


def refresh_down(seen: AssistantEvidence) -> str:
    """Row 20."""
    action = seen.action
    status = f" ({action.status})" if action is not None and not action.unnamed else ""
    return f"Its credential could not be renewed: the gateway did not serve that{status}."


def forbidden(seen: AssistantEvidence) -> str:
    """Row 22."""
    what = seen.action.kind.value if seen.action is not None else "request"
    sent = ""
    if what == "mint" and seen.port is not None:
        sent = f" (we said we came from {origin(seen.port)})"
    return f"Refused: only a caller on the same machine may do this{sent}."


def too_many(seen: AssistantEvidence) -> str:
    """Row 25."""
    after = sanitize(seen.action.retry_after, 20) if seen.action is not None else ""
    wait = f"; it asks to wait {after} s" if after.isdigit() else ""
    return f"Too many failed sign-ins{wait}."


def mint_down(seen: AssistantEvidence) -> str:
    """Row 26."""
    status = seen.action.status if seen.action is not None else 0
    return f"Its gateway could not check the credential ({status})."


def no_tool(seen: AssistantEvidence) -> str:
    """Row 27."""
    action = seen.action
    why = "" if action is None else action.problem or f"it ended with status {action.code}"
    said = "" if action is None or action.problem or not action.said else f": {action.said}"
    return f"Could not run vellum: {why}{said}"


def no_key(seen: AssistantEvidence) -> str:
    """Row 38."""
    said = "" if seen.action is None else seen.action.said
    return f"Vellum refuses to start it: {said[said.find(_NO_KEY) :] or said}"


def no_verb(seen: AssistantEvidence) -> str:
    """Why neither verb is offered after that."""
    said = seen.key_refusal.rstrip(".")
    return f"{said}. {KEY_ADVICE} Nothing is offered until the key or the registry changes"


def lacks_key(said: str) -> bool:
    """Whether a wake was refused over the signing key."""
    return _NO_KEY in said


def wake_failed(seen: AssistantEvidence) -> str:
    """Row 28."""
    action = seen.action
    if action is not None and _UNKNOWN_COMMAND in action.said:
        return f"No repair could be tried: this vellum is too old to wake anything ({action.said})"
    code = "" if action is None else f"status {action.code}"
    said = f": {action.said}" if action is not None and action.said else ""
    return f"Wake failed ({code}){said}"
