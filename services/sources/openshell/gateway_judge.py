"""What a gateway is, judged from what the CLI answered: pure, in a fixed order.

See upstream/openshell: Gateway states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from services.files.bounded import UnfitError, parse_json
from services.models import GatewayState
from services.sources.openshell.cli import CliResult
from services.sources.openshell.cli_text import ErrorKind, error_kind, normalize_text, strip_colours
from services.sources.openshell.cli_version import Toolset, skewed, version_of
from services.sources.openshell.lists import fields
from services.text.sanitize import sanitize


class GatewayStatus(Enum):
    """NemoClaw's five states and six more (upstream/openshell: Gateway states)."""

    HEALTHY = "healthy_named"
    UNREACHABLE = "named_unreachable"
    UNHEALTHY = "named_unhealthy"
    CONNECTED_OTHER = "connected_other"
    MISSING = "missing_named"
    AUTH_FAILED = "auth_failed"
    IDENTITY_CHANGED = "identity_changed"
    VERSION_SKEW = "version_skew"
    NOT_A_GATEWAY = "not_a_gateway"
    PROBE_TIMEOUT = "probe_timeout"
    CLI_MISSING = "cli_missing"

    @property
    def startable(self) -> bool:
        """Whether starting the gateway is what helps; none of our six ever is."""
        return self in (
            GatewayStatus.UNREACHABLE,
            GatewayStatus.UNHEALTHY,
            GatewayStatus.CONNECTED_OTHER,
            GatewayStatus.MISSING,
        )


STATES: Mapping[GatewayStatus, GatewayState] = {
    GatewayStatus.HEALTHY: GatewayState.READY,
    GatewayStatus.UNREACHABLE: GatewayState.DOWN,
    GatewayStatus.UNHEALTHY: GatewayState.DOWN,
    GatewayStatus.CONNECTED_OTHER: GatewayState.WRONG,
    GatewayStatus.MISSING: GatewayState.ABSENT,
    GatewayStatus.AUTH_FAILED: GatewayState.WRONG,
    GatewayStatus.IDENTITY_CHANGED: GatewayState.WRONG,
    GatewayStatus.VERSION_SKEW: GatewayState.WRONG,
    GatewayStatus.NOT_A_GATEWAY: GatewayState.WRONG,
    GatewayStatus.PROBE_TIMEOUT: GatewayState.HUNG,
    GatewayStatus.CLI_MISSING: GatewayState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class GatewayJudgement:
    """What a gateway is and what the operator should know of it."""

    status: GatewayStatus
    reason: str = ""
    advice: str = ""
    version: str = ""
    auth: str = ""

    @property
    def state(self) -> GatewayState:
        """As the panel shows it."""
        return STATES[self.status]


def nemoclaw_status(status: str, info: str, name: str) -> GatewayStatus:
    """NemoClaw's own five states from the texts of `status` and `gateway info`.

    See upstream/openshell: Gateway states.
    """
    told = fields(status)
    connected = told.get("status", "") == "Connected"
    other = told.get("gateway", "")
    named = fields(info).get("gateway", "") == name
    if connected and other == name:
        return GatewayStatus.HEALTHY
    if connected and other:
        return GatewayStatus.CONNECTED_OTHER
    if named:
        said = normalize_text(status).lower()
        refusing = any(
            word in said
            for word in ("connection refused", "client error (connect)", "tcp connect error")
        )
        return GatewayStatus.UNREACHABLE if refusing else GatewayStatus.UNHEALTHY
    return GatewayStatus.MISSING


def judge(
    name: str, endpoint: str, answer: CliResult, tools: Toolset, limit_s: float
) -> GatewayJudgement:
    """Judge `status` of a registered gateway; certificate before transport, rc never alone."""
    if answer.timed_out:
        return no_answer(name, endpoint, limit_s)
    told = _status_fields(answer)
    if told is None:
        return _judge_text(name, endpoint, answer)
    judged = _judge_status(name, endpoint, told)
    if judged.status is GatewayStatus.HEALTHY and skewed(tools.version, version_of(judged.version)):
        older = "openshell on this machine" if _is_old(tools.version_text) else "the gateway"
        return GatewayJudgement(
            GatewayStatus.VERSION_SKEW,
            f"openshell {tools.version_text} and the gateway {name} {judged.version} are of"
            " different generations and do not understand each other.",
            advice=f"Upgrade {older}; sandboxes made by 0.0 must be made anew under 0.1.",
            version=judged.version,
        )
    return judged


def no_answer(name: str, endpoint: str, limit_s: float) -> GatewayJudgement:
    """What a gateway is that says nothing."""
    return GatewayJudgement(
        GatewayStatus.PROBE_TIMEOUT,
        f"The gateway {name} does not answer within {limit_s:g} s.",
        advice=f"Look at its service; nothing is restarted on a silence. {_logs(endpoint)}".strip(),
    )


def _is_old(version: str) -> bool:
    return version.startswith("0.0.")


def _logs(endpoint: str) -> str:
    local = any(host in endpoint for host in ("127.0.0.1", "localhost", "[::1]"))
    return "`journalctl --user -u openshell-gateway` may say why." if local else ""


def _status_fields(answer: CliResult) -> Mapping[str, object] | None:
    """The status as JSON fields, also where it was printed as text; None where nothing was told."""
    text = strip_colours(answer.stdout)
    try:
        found = parse_json(text)
    except UnfitError:
        found = None
    if isinstance(found, dict):
        return found if isinstance(found.get("status"), str) else None
    said = fields(text)
    status = said.get("status", "")
    if not status:
        return None
    words = {
        "connected": "connected",
        "no gateway configured.": "not_configured",
        "disconnected": "disconnected",
    }
    state = words.get(status.lower(), "error")
    if status.lower().startswith("connected (http"):
        state = "connected_http"
    login = said.get("authentication", "not_required").lower()
    return {
        "status": state,
        "error": said.get("error", "" if state == "connected" else status),
        "version": said.get("version", ""),
        "http_status": said.get("http status", said.get("http", "")),
        "authentication": {"status": login.split(" ")[0].replace(" ", "_")},
    }


def _judge_status(name: str, endpoint: str, told: Mapping[str, object]) -> GatewayJudgement:
    status = told["status"]
    login = told.get("authentication")
    auth = sanitize(str(login.get("status", "")), 40) if isinstance(login, dict) else ""
    version = sanitize(str(told.get("version") or ""), 40)
    error = told.get("error")
    said = sanitize(error, 160) if isinstance(error, str) else ""
    if status == "not_configured":
        return missing(name, endpoint)
    if status == "connected":
        if auth in ("authenticated", "not", "not_required", "unverified", ""):
            return GatewayJudgement(GatewayStatus.HEALTHY, version=version, auth=auth)
        return _auth(name, said)
    code = sanitize(str(told.get("http_status") or ""), 40)
    if status == "connected_http" or code:
        heard = f" (HTTP {code})" if code else ""
        return GatewayJudgement(
            GatewayStatus.NOT_A_GATEWAY,
            f"Something answers at {endpoint} that is not an OpenShell gateway{heard}.",
            advice="Find out what listens there, or correct the gateway's registration.",
        )
    return _by_error_kind(name, endpoint, error_kind(said), said)


def _judge_text(name: str, endpoint: str, answer: CliResult) -> GatewayJudgement:
    if answer.code == 0:
        return GatewayJudgement(
            GatewayStatus.VERSION_SKEW,
            f"What openshell says of the gateway {name} cannot be understood.",
            advice="Run `openshell status` in a shell: it may be of a version this panel does not"
            " know.",
        )
    return _by_error_kind(name, endpoint, answer.error_kind, answer.error_text)


def refusal(name: str, kind: ErrorKind, said: str) -> GatewayJudgement | None:
    """What a call that needs a login learned of a gateway whose health needs none."""
    if kind is ErrorKind.AUTH:
        return _auth(name, said)
    return _identity(name, said) if kind is ErrorKind.IDENTITY else None


def _by_error_kind(name: str, endpoint: str, kind: ErrorKind, said: str) -> GatewayJudgement:
    match kind:
        case ErrorKind.IDENTITY:
            return _identity(name, said)
        case ErrorKind.AUTH:
            return _auth(name, said)
        case ErrorKind.NO_GATEWAY | ErrorKind.UNKNOWN_NAME:
            return missing(name, endpoint)
        case ErrorKind.USAGE:
            return GatewayJudgement(
                GatewayStatus.VERSION_SKEW,
                f"The gateway {name} does not understand this openshell: {said}.",
                advice="Bring openshell and the gateway to the same version.",
            )
        case ErrorKind.UNREACHABLE:
            why = "connection refused" if "refused" in said.lower() else "no connection"
            where = endpoint or "its address"
            return GatewayJudgement(
                GatewayStatus.UNREACHABLE, f"The gateway {name} is down: {why} at {where}."
            )
    return GatewayJudgement(GatewayStatus.UNHEALTHY, f"The gateway {name} is not healthy: {said}.")


def _identity(name: str, said: str) -> GatewayJudgement:
    if "failed to read tls" in said.lower():
        return GatewayJudgement(
            GatewayStatus.IDENTITY_CHANGED,
            f"The certificate files of the gateway {name} cannot be read on this machine.",
            advice=f"Put the client certificates of {name} back under"
            f" ~/.config/openshell/gateways/{name}/mtls. Starting anything does not help.",
        )
    return GatewayJudgement(
        GatewayStatus.IDENTITY_CHANGED,
        f"The gateway {name} shows another identity than the one this machine trusts.",
        advice="If it was rebuilt on purpose, fetch its new client certificates. For a sandbox"
        " made under the old identity: keep its host copy, then delete and create that one"
        " sandbox by hand, nothing else.",
    )


def _auth(name: str, said: str) -> GatewayJudgement:
    why = f": {said}" if said else ""
    return GatewayJudgement(
        GatewayStatus.AUTH_FAILED,
        f"The gateway {name} does not accept this login{why}.",
        advice=f"Log in again: openshell gateway login {name}",
    )


def missing(name: str, endpoint: str = "") -> GatewayJudgement:
    """What a gateway is that nobody registered."""
    where = endpoint or "ADDRESS"
    return GatewayJudgement(
        GatewayStatus.MISSING,
        f"No gateway is registered under the name {name}.",
        advice=f"Register it: openshell gateway add {where} --name {name}",
    )
