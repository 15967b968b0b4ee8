"""What a gateway is, judged from what the CLI answered: pure, in a fixed order.

See upstream/openshell: Gateway states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from services.models import GatewayState
from services.sources.openshell.cli import Answer
from services.sources.openshell.cli_text import normalised, uncoloured
from services.sources.openshell.cli_version import Toolset, skewed, version_of
from services.sources.openshell.error_kinds import Trouble, trouble
from services.sources.openshell.lists import fields
from services.text.sanitize import plain


class Standing(Enum):
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
            Standing.UNREACHABLE,
            Standing.UNHEALTHY,
            Standing.CONNECTED_OTHER,
            Standing.MISSING,
        )


STATES: Mapping[Standing, GatewayState] = {
    Standing.HEALTHY: GatewayState.READY,
    Standing.UNREACHABLE: GatewayState.DOWN,
    Standing.UNHEALTHY: GatewayState.DOWN,
    Standing.CONNECTED_OTHER: GatewayState.WRONG,
    Standing.MISSING: GatewayState.ABSENT,
    Standing.AUTH_FAILED: GatewayState.WRONG,
    Standing.IDENTITY_CHANGED: GatewayState.WRONG,
    Standing.VERSION_SKEW: GatewayState.WRONG,
    Standing.NOT_A_GATEWAY: GatewayState.WRONG,
    Standing.PROBE_TIMEOUT: GatewayState.HUNG,
    Standing.CLI_MISSING: GatewayState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a gateway is and what the operator should know of it."""

    standing: Standing
    reason: str = ""
    advice: str = ""
    version: str = ""
    auth: str = ""

    @property
    def state(self) -> GatewayState:
        """As the panel shows it."""
        return STATES[self.standing]


def nemoclaw_standing(status: str, info: str, name: str) -> Standing:
    """NemoClaw's own five states from the texts of `status` and `gateway info`.

    See upstream/openshell: Gateway states.
    """
    told = fields(status)
    connected = told.get("status", "") == "Connected"
    other = told.get("gateway", "")
    named = fields(info).get("gateway", "") == name
    if connected and other == name:
        return Standing.HEALTHY
    if connected and other:
        return Standing.CONNECTED_OTHER
    if named:
        said = normalised(status).lower()
        refusing = any(
            word in said
            for word in ("connection refused", "client error (connect)", "tcp connect error")
        )
        return Standing.UNREACHABLE if refusing else Standing.UNHEALTHY
    return Standing.MISSING


def judge(name: str, endpoint: str, answer: Answer, tools: Toolset, limit_s: float) -> Judgement:
    """Judge `status` of a registered gateway; certificate before transport, rc never alone."""
    if answer.timed_out:
        return silent(name, endpoint, limit_s)
    told = _told(answer)
    if told is None:
        return _judge_words(name, endpoint, answer)
    judged = _judge_told(name, endpoint, told)
    if judged.standing is Standing.HEALTHY and skewed(tools.version, version_of(judged.version)):
        older = "openshell on this machine" if _is_old(tools.version_text) else "the gateway"
        return Judgement(
            Standing.VERSION_SKEW,
            f"openshell {tools.version_text} and the gateway {name} {judged.version} are of"
            " different generations and do not understand each other.",
            advice=f"Upgrade {older}; sandboxes made by 0.0 must be made anew under 0.1.",
            version=judged.version,
        )
    return judged


def silent(name: str, endpoint: str, limit_s: float) -> Judgement:
    """What a gateway is that says nothing."""
    return Judgement(
        Standing.PROBE_TIMEOUT,
        f"The gateway {name} does not answer within {limit_s:g} s.",
        advice=f"Look at its service; nothing is restarted on a silence. {_logs(endpoint)}".strip(),
    )


def _is_old(version: str) -> bool:
    return version.startswith("0.0.")


def _logs(endpoint: str) -> str:
    local = any(host in endpoint for host in ("127.0.0.1", "localhost", "[::1]"))
    return "`journalctl --user -u openshell-gateway` may say why." if local else ""


def _told(answer: Answer) -> Mapping[str, object] | None:
    """The status as JSON fields, also where it was printed as text; None where nothing was told."""
    text = uncoloured(answer.stdout)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
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


def _judge_told(name: str, endpoint: str, told: Mapping[str, object]) -> Judgement:
    status = told["status"]
    login = told.get("authentication")
    auth = plain(str(login.get("status", "")), 40) if isinstance(login, dict) else ""
    version = plain(str(told.get("version") or ""), 40)
    error = told.get("error")
    said = plain(error, 160) if isinstance(error, str) else ""
    if status == "not_configured":
        return missing(name, endpoint)
    if status == "connected":
        if auth in ("authenticated", "not", "not_required", "unverified", ""):
            return Judgement(Standing.HEALTHY, version=version, auth=auth)
        return _auth(name, said)
    code = plain(str(told.get("http_status") or ""), 40)
    if status == "connected_http" or code:
        heard = f" (HTTP {code})" if code else ""
        return Judgement(
            Standing.NOT_A_GATEWAY,
            f"Something answers at {endpoint} that is not an OpenShell gateway{heard}.",
            advice="Find out what listens there, or correct the gateway's registration.",
        )
    return _by_trouble(name, endpoint, trouble(said), said)


def _judge_words(name: str, endpoint: str, answer: Answer) -> Judgement:
    if answer.code == 0:
        return Judgement(
            Standing.VERSION_SKEW,
            f"What openshell says of the gateway {name} cannot be understood.",
            advice="Run `openshell status` in a shell: it may be of a version this panel does not"
            " know.",
        )
    return _by_trouble(name, endpoint, answer.trouble, answer.complaint)


def refusal(name: str, kind: Trouble, said: str) -> Judgement | None:
    """What a call that needs a login learned of a gateway whose health needs none."""
    if kind is Trouble.AUTH:
        return _auth(name, said)
    return _identity(name, said) if kind is Trouble.IDENTITY else None


def _by_trouble(name: str, endpoint: str, kind: Trouble, said: str) -> Judgement:
    match kind:
        case Trouble.IDENTITY:
            return _identity(name, said)
        case Trouble.AUTH:
            return _auth(name, said)
        case Trouble.NO_GATEWAY | Trouble.UNKNOWN_NAME:
            return missing(name, endpoint)
        case Trouble.USAGE:
            return Judgement(
                Standing.VERSION_SKEW,
                f"The gateway {name} does not understand this openshell: {said}.",
                advice="Bring openshell and the gateway to the same version.",
            )
        case Trouble.UNREACHABLE:
            why = "connection refused" if "refused" in said.lower() else "no connection"
            where = endpoint or "its address"
            return Judgement(Standing.UNREACHABLE, f"The gateway {name} is down: {why} at {where}.")
    return Judgement(Standing.UNHEALTHY, f"The gateway {name} is not healthy: {said}.")


def _identity(name: str, said: str) -> Judgement:
    if "failed to read tls" in said.lower():
        return Judgement(
            Standing.IDENTITY_CHANGED,
            f"The certificate files of the gateway {name} cannot be read on this machine.",
            advice=f"Put the client certificates of {name} back under"
            f" ~/.config/openshell/gateways/{name}/mtls. Starting anything does not help.",
        )
    return Judgement(
        Standing.IDENTITY_CHANGED,
        f"The gateway {name} shows another identity than the one this machine trusts.",
        advice="If it was rebuilt on purpose, fetch its new client certificates. For a sandbox"
        " made under the old identity: keep its host copy, then delete and create that one"
        " sandbox by hand, nothing else.",
    )


def _auth(name: str, said: str) -> Judgement:
    why = f": {said}" if said else ""
    return Judgement(
        Standing.AUTH_FAILED,
        f"The gateway {name} does not accept this login{why}.",
        advice=f"Log in again: openshell gateway login {name}",
    )


def missing(name: str, endpoint: str = "") -> Judgement:
    """What a gateway is that nobody registered."""
    where = endpoint or "ADDRESS"
    return Judgement(
        Standing.MISSING,
        f"No gateway is registered under the name {name}.",
        advice=f"Register it: openshell gateway add {where} --name {name}",
    )
