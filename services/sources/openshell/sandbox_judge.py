"""What a sandbox is, judged from what `sandbox get` answered.

See upstream/openshell: Sandbox states.
"""

from __future__ import annotations

from enum import Enum

from services.lazy_dataclass import dataclass
from services.sources.openshell import phases
from services.sources.openshell.cli_text import ErrorKind
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.records import SandboxRow
from services.sources.protocol.verdict import Verdict, VerdictKind


class Reconciled(Enum):
    """What `sandbox get` tells of one name (upstream/openshell: Sandbox states)."""

    PRESENT = "present"
    MISSING = "missing"
    GATEWAY_ERROR = "gateway_error"
    IDENTITY_DRIFT = "identity_drift"
    AUTH_FAILED = "auth_failed"
    GATEWAY_MISSING = "gateway_missing_after_restart"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    UNKNOWN_ERROR = "unknown_error"


def reconcile(code: int | None, kind: ErrorKind) -> Reconciled:
    """Judge one answer; missing is only conclusive where the gateway is healthy."""
    if code == 0:
        return Reconciled.PRESENT
    if code is None:
        return Reconciled.TIMEOUT
    return {
        ErrorKind.MISSING: Reconciled.MISSING,
        ErrorKind.UNREACHABLE: Reconciled.GATEWAY_ERROR,
        ErrorKind.SUPERVISOR: Reconciled.GATEWAY_ERROR,
        ErrorKind.IDENTITY: Reconciled.IDENTITY_DRIFT,
        ErrorKind.AUTH: Reconciled.AUTH_FAILED,
        ErrorKind.PERMISSION: Reconciled.AUTH_FAILED,
        ErrorKind.NO_GATEWAY: Reconciled.GATEWAY_MISSING,
        ErrorKind.UNKNOWN_NAME: Reconciled.GATEWAY_MISSING,
        ErrorKind.USAGE: Reconciled.UNSUPPORTED,
    }.get(kind, Reconciled.UNKNOWN_ERROR)


@dataclass(frozen=True, slots=True)
class SandboxProbe:
    """One sandbox, asked for by name."""

    found: Reconciled
    row: SandboxRow | None = None
    said: str = ""


def drift(name: str) -> Verdict:
    """The one thing never answered with a new onboarding (upstream/openshell: Reconnect order)."""
    return Verdict(
        VerdictKind.TERMINAL,
        f"The gateway's identity has changed since the sandbox {name} was made.",
        advice=f"Keep the host copy of {name}'s files, then, for this sandbox alone:"
        f" `openshell sandbox delete {name}` and `openshell sandbox create` from that copy.",
    )


def verdict(name: str, probe: SandboxProbe, tools: Toolset, now: float, *, listed: bool) -> Verdict:
    """What an attempt may do for a sandbox whose gateway is healthy; `now` in epoch seconds."""
    match probe.found:
        case Reconciled.MISSING:
            kept = " NemoClaw still lists it; that entry is left alone." if listed else ""
            return Verdict(
                VerdictKind.TERMINAL,
                f"The gateway has no sandbox {name}.",
                advice=f"Look with `openshell sandbox list`.{kept}",
            )
        case Reconciled.IDENTITY_DRIFT:
            return drift(name)
        case Reconciled.AUTH_FAILED:
            return Verdict(
                VerdictKind.TERMINAL,
                f"The gateway does not let this login see the sandbox {name}.",
                advice="Log in again with `openshell gateway login`.",
            )
        case Reconciled.UNSUPPORTED:
            return Verdict(
                VerdictKind.TERMINAL,
                f"The gateway does not understand this openshell: {probe.said}.",
                advice="Bring openshell and the gateway to the same version.",
            )
        case Reconciled.PRESENT if probe.row is not None:
            return _by_phase(name, probe.row, tools, now)
        case Reconciled.TIMEOUT:
            return Verdict(VerdictKind.UNKNOWN, f"Asking for the sandbox {name} took too long.")
    return Verdict(VerdictKind.UNKNOWN, f"The sandbox {name} could not be looked at: {probe.said}.")


def _by_phase(name: str, row: SandboxRow, tools: Toolset, now: float) -> Verdict:
    reason = phases.reason_of(row, now)
    rule = phases.start_rule(row, tools)
    match row.phase:
        case "Ready":
            return Verdict(VerdictKind.READY, "")
        case "Deleting":
            return Verdict(VerdictKind.TERMINAL, f"The sandbox {name} is being deleted.")
        case "Provisioning" if phases.over(row, now):
            return Verdict(
                VerdictKind.TERMINAL, reason, advice=f"{_logs(name)} Waiting longer is of no use."
            )
        case "Provisioning" | "Starting" | "Stopping":
            return Verdict(VerdictKind.SETTLING, reason)
        case "Stopped" | "Error" | "Completed" if rule.allowed:
            return Verdict(VerdictKind.REPAIRABLE, reason, wakeable=True)
        case "Stopped":
            return Verdict(
                VerdictKind.REPAIRABLE, f"The sandbox {name}: {rule.refusal}.", advice=rule.advice
            )
        case "Error" | "Completed":
            return Verdict(
                VerdictKind.TERMINAL, reason, advice=f"{_logs(name)} {rule.advice}".strip()
            )
    return Verdict(VerdictKind.UNKNOWN, reason)


def _logs(name: str) -> str:
    return f"Its logs say more: openshell logs {name} -n 200."
