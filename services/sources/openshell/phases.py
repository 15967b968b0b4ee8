"""Phases of a sandbox: how each is shown, and what may be started or stopped in it.

See upstream/openshell: Phases; upstream/openshell: What start and stop accept.
"""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.models import SandboxState
from services.sources.openshell import life_words
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.records import SandboxRow
from services.text.format import clock_time, duration, sentence

STATES: dict[str, SandboxState] = {
    "Ready": SandboxState.READY,
    "Provisioning": SandboxState.SETTLING,
    "Starting": SandboxState.SETTLING,
    "Stopping": SandboxState.SETTLING,
    "Deleting": SandboxState.SETTLING,
    "Stopped": SandboxState.ASLEEP,
    "Completed": SandboxState.ASLEEP,
    "Error": SandboxState.BROKEN,
}
GRACE_S = 5.0
"""How long after the gateway's own deadline provisioning is still waited for."""
MAIN_PROCESS = "MainProcessFailed"
TIMED_OUT = "ProvisioningTime"
_RESTARTED = ("ContainerRuntimeRestart", "ContainerStopped")
_ELAPSED = "ProvisioningDeadlineElapsed"
NEVER_AGAIN = (
    "It cannot be started again, only deleted and made anew by hand; its workspace goes with it."
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether a verb of the gateway is sent in a phase; `refusal` says why not, as a clause."""

    allowed: bool = False
    refusal: str = ""
    advice: str = ""
    needless: bool = False
    """It would change nothing, or is under way already."""


def over(row: SandboxRow, now: float) -> bool:
    """Whether its provisioning has run out: it is not young, and waiting is of no use."""
    making = row.life.provisioning
    if row.phase not in ("Provisioning", "Error"):
        return False
    if row.cause == _ELAPSED or row.cause.startswith(TIMED_OUT):
        return True
    if making is None:
        return False
    late = making.deadline is not None and now > making.deadline + GRACE_S
    return making.timed_out is not None or (row.phase == "Provisioning" and late)


def state_of(row: SandboxRow, now: float) -> SandboxState:
    """As the panel shows it; a phase nobody knows is unknown."""
    if row.phase == "Provisioning" and over(row, now):
        return SandboxState.STUCK
    if row.phase == "Ready" and (said := _unready(row)):
        return SandboxState.STUCK if said == "False" else SandboxState.UNKNOWN
    return STATES.get(row.phase, SandboxState.UNKNOWN)


def _unready(row: SandboxRow) -> str:
    """What its condition Ready says against a phase Ready; empty where it agrees or is not told."""
    said = next((one.status for one in row.conditions if one.kind == "Ready"), "")
    return "" if said == "True" else said


def held(row: SandboxRow) -> bool:
    """Whether it stands still, as one does that was stopped."""
    return row.phase == "Stopped" or (row.phase == "Error" and row.cause in ("", *_RESTARTED))


def phase_text(row: SandboxRow) -> str:
    """The phase and how often it was restarted."""
    return " ".join(part for part in (row.phase, life_words.restarts(row)) if part)


def reason_of(row: SandboxRow, now: float) -> str:
    """What there is to say of it beside its state, in sentences; `now` in epoch seconds."""
    refused = life_words.refused_configuration(row)
    first = sentence(refused) if refused else ""
    said = _of_phase(row, now)
    often = life_words.restarts(row)
    more = ""
    if row.phase == "Ready":
        worst = life_words.worst_endpoint(row)
        parts = [often and f"{often} restarts", life_words.other_conditions(row)]
        told = [sentence(part) for part in parts if part]
        told += [] if worst is None else [f"{life_words.endpoint(worst)}."]
        more = " ".join(told)
    return " ".join(part for part in (first, said, more) if part)


def _of_phase(row: SandboxRow, now: float) -> str:
    why = f" ({row.why})" if row.why else ""
    match row.phase:
        case "Ready":
            said = _unready(row)
            return f"In phase Ready, and its condition Ready is {said}{why}." if said else ""
        case "Completed" if row.exit_code:
            return f"Its main process has completed, with exit code {row.exit_code}{why}."
        case "Stopped":
            return "Stopped; wake starts it."
        case "Completed":
            return f"Its main process has completed{why}."
        case "Error":
            return f"In {phase_text(row)}: {_failure(row)}{why}."
        case "Deleting":
            return f"It is being deleted{why}."
        case "Provisioning" if over(row, now):
            return f"{phase_text(row)} has run out of time{why}."
        case "Starting" if (row.life.next_restart or 0.0) > now:
            left = duration((row.life.next_restart or 0.0) - now)
            return f"{phase_text(row)}: next try in {left}{why}."
        case "Provisioning":
            making = row.life.provisioning
            left = ""
            if making is not None and making.deadline is not None:
                left = f": {duration(making.deadline - now)} left"
            return f"{phase_text(row)}{left}{why}."
        case "Starting" | "Stopping":
            return f"{phase_text(row)}{why}."
        case "Unknown" | "Unspecified":
            return f"The gateway does not know its phase{why}."
    return f"In a phase this panel does not know: {row.phase}{why}."


def _failure(row: SandboxRow) -> str:
    making = row.life.provisioning
    if row.cause.startswith(TIMED_OUT) or (making is not None and making.timed_out is not None):
        cleaned = making is not None and making.cleaned_up is not None
        return f"provisioning timed out, its cleanup is {'done' if cleaned else 'pending'}"
    if row.exit_code is None:
        return "it failed"
    signal = f", signal {row.exit_code - 128}" if row.exit_code > 128 else ""
    return f"its main process ended with exit code {row.exit_code}{signal}"


def until(row: SandboxRow, now: float) -> float | None:
    """When what is said of it lapses by the clock alone; None where nothing does."""
    making = row.life.provisioning
    ahead = [
        at
        for at in (
            row.life.next_restart if row.phase == "Starting" else None,
            making.deadline + GRACE_S
            if making is not None and making.deadline is not None and row.phase == "Provisioning"
            else None,
        )
        if at is not None and at > now
    ]
    return min(ahead, default=None)


def start_rule(row: SandboxRow, tools: Toolset) -> Rule:
    """Whether `sandbox start` may be sent."""
    match row.phase:
        case "Ready":
            return Rule(needless=True, refusal="it is ready")
        case "Starting":
            return Rule(needless=True, refusal="it is starting already")
        case "Stopped" if tools.sandbox_start:
            return Rule(True)
        case "Stopped":
            return Rule(
                refusal="it is stopped, and this openshell cannot start one",
                advice="Upgrade openshell to 0.0.105 or later.",
            )
        case "Completed" if tools.starts_failed:
            return Rule(True)
        case "Error":
            return _start_failed(row, tools)
        case "Stopping" | "Deleting" | "Provisioning":
            return Rule(refusal=f"it cannot be started while it is {row.phase.lower()}")
        case "Completed":
            return Rule(
                refusal="this openshell does not start a completed one", advice=_before_0_1(tools)
            )
    return Rule(refusal=f"whether it can be started in the phase {row.phase} is not known")


def _start_failed(row: SandboxRow, tools: Toolset) -> Rule:
    if not tools.starts_failed:
        return Rule(refusal="in Error it is not started again", advice=_before_0_1(tools))
    making = row.life.provisioning
    if row.cause.startswith(TIMED_OUT) or (making is not None and making.timed_out is not None):
        if making is not None and making.cleaned_up is not None:
            return Rule(True)
        retry = None if making is None else making.cleanup_retry
        when = f" It is tried again at {clock_time(retry)}." if retry is not None else ""
        return Rule(
            refusal="its provisioning timed out and the cleanup is still pending",
            advice=f"Wake it once the cleanup is done.{when}",
        )
    if row.cause in (MAIN_PROCESS, "GatewayUnreachable"):
        return Rule(True)
    if row.cause in _RESTARTED:
        return Rule(
            refusal="its container was stopped beneath it",
            advice="Restart the gateway's service: when it starts, it brings such sandboxes back.",
        )
    if not row.cause and row.exit_code is not None:
        return Rule(True)
    if not row.cause:
        return Rule(refusal="why it is in Error is not told, so whether it can start is not known")
    return Rule(refusal=f"it failed for good ({row.cause})", advice=NEVER_AGAIN)


def _before_0_1(tools: Toolset) -> str:
    if tools.generation is Generation.A:
        return ""
    return "This version neither starts nor stops a sandbox in Error; 0.1 does."


def stop_rule(row: SandboxRow, tools: Toolset) -> Rule:
    """Whether `sandbox stop` may be sent."""
    if not tools.sandbox_stop:
        return Rule(refusal="this openshell cannot stop one: it needs 0.0.105 or later")
    match row.phase:
        case "Ready":
            return Rule(True)
        case "Stopped" | "Completed" | "Stopping":
            return Rule(needless=True, refusal=f"it is {row.phase.lower()} already")
    return Rule(refusal=f"only a ready one can be stopped (phase: {row.phase})")
