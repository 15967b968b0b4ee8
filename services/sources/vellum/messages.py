"""What each row of the table says to a tired operator."""

from __future__ import annotations

from services.sources.vellum.evidence import Evidence
from services.sources.vellum.http_probe import origin
from services.text.sanitize import plain

REGISTRY_ADVICE = "Fix it or restore it from a backup; until then no vellum command is run."
PAIRED = "It runs on another machine, which does not answer from here."
PAIRED_ADVICE = "Check that host: it cannot be woken from this one."
MANAGED_ADVICE = "Start or repair it where it is managed."
NO_PORT = "No gateway is recorded for it; waking it creates one."
ASLEEP = "It is asleep."
STARTING = "It is starting."
STOPPED = "Its gateway has stopped; the assistant itself runs."
HUNG = "Its gateway is not answering. Waking restarts it, which may take up to 4 minutes."
FOREIGN_ADVICE = "End that program, or give the assistant another port; waking cannot help."
GATE = "Its gateway is starting."
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
LOADING = "Its gateway is still loading credentials."
WAIT = "Wait that long, then reconnect."
NO_TOOL_ADVICE = "Install the vellum command and bun, or say in the configuration where it is."
WAKE_LATE = "The wake took too long and was ended; what it started may still come up."
WAKE_UNPROVEN = "The wake says it is done, and its gateway does not prove it yet."
_UNKNOWN_COMMAND = "Unknown command"


def registry(seen: Evidence) -> str:
    """Row 1."""
    path = plain(seen.registry, 120)
    return f"Vellum's registry file {path} cannot be read: {seen.registry_problem}."


def unregistered(seen: Evidence) -> str:
    """Row 2."""
    return f"It is not registered in environment {seen.environment}."


def elsewhere(seen: Evidence) -> str:
    """Row 2, what to do."""
    if not seen.elsewhere:
        return "Look for it with `vellum ps`."
    names = ", ".join(seen.elsewhere)
    return f"Environments with entries: {names}. Configure a source for the right one."


def managed(seen: Evidence) -> str:
    """Row 4."""
    return f"Its lifecycle is managed elsewhere (cloud {plain(seen.cloud, 40)})."


def foreign(seen: Evidence) -> str:
    """Row 10."""
    return f"Port {seen.port} is used by another program, not by its gateway."


def unreachable(seen: Evidence) -> str:
    """Row 15."""
    if seen.assistant.alive:
        return "Its assistant process is alive and cannot be reached by the gateway."
    return "Its assistant process is down; the gateway runs."


def not_ready(seen: Evidence) -> str:
    """Row 16."""
    ready = seen.ready
    word = plain(ready.word, 40) if ready is not None else ""
    status = f" ({ready.status} {word})".replace(" )", ")") if ready is not None else ""
    return f"The assistant is not ready{status}."


def refresh_down(seen: Evidence) -> str:
    """Row 20."""
    status = seen.act.status if seen.act is not None else 0
    return f"Its credential could not be renewed: the gateway did not serve that ({status})."


def forbidden(seen: Evidence) -> str:
    """Row 22."""
    what = seen.act.did.value if seen.act is not None else "request"
    sent = ""
    if what == "mint" and seen.port is not None:
        sent = f" (we said we came from {origin(seen.port)})"
    return f"Refused: only a caller on the same machine may do this{sent}."


def too_many(seen: Evidence) -> str:
    """Row 25."""
    after = plain(seen.act.retry_after, 20) if seen.act is not None else ""
    wait = f"; it asks to wait {after} s" if after.isdigit() else ""
    return f"Too many failed sign-ins{wait}."


def mint_down(seen: Evidence) -> str:
    """Row 26."""
    status = seen.act.status if seen.act is not None else 0
    return f"Its gateway could not check the credential ({status})."


def no_tool(seen: Evidence) -> str:
    """Row 27."""
    act = seen.act
    why = "" if act is None else act.problem or f"it ended with status {act.code}"
    said = "" if act is None or act.problem or not act.said else f": {act.said}"
    return f"Could not run vellum: {why}{said}"


def wake_failed(seen: Evidence) -> str:
    """Row 28."""
    act = seen.act
    if act is not None and _UNKNOWN_COMMAND in act.said:
        return f"No repair could be tried: this vellum is too old to wake anything ({act.said})"
    code = "" if act is None else f"status {act.code}"
    said = f": {act.said}" if act is not None and act.said else ""
    return f"Wake failed ({code}){said}"
