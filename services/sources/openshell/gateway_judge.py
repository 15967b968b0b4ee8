"""What a gateway is, judged from what the CLI answered: pure, in a fixed order.

See upstream/openshell: Gateway states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.files.bounded import UnfitError
from services.sources.openshell import tls_judge
from services.sources.openshell.certificates import NO_BUNDLE, Bundle
from services.sources.openshell.cli import CliResult
from services.sources.openshell.cli_text import (
    ErrorKind,
    error_kind,
    error_text,
    json_of,
    normalize_text,
    strip_colours,
)
from services.sources.openshell.cli_version import Toolset, skewed, version_of
from services.sources.openshell.gateway_status import GatewayJudgement, GatewayStatus
from services.sources.openshell.lists import fields
from services.sources.openshell.tls_judge import TlsEvidence
from services.text.redact import redact_line
from services.text.sanitize import sanitize

_WHOLE = 600
"""Characters of an answer that are kept for the details."""


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
    name: str,
    endpoint: str,
    answer: CliResult,
    tools: Toolset,
    limit_s: float,
    bundle: Bundle = NO_BUNDLE,
    now: float = 0.0,
) -> GatewayJudgement:
    """Judge `status` of a registered gateway; the code never alone.

    Files on disk come before words of TLS, those before the login, that before transport.
    """
    if answer.timed_out:
        return no_answer(name, endpoint, limit_s)
    seen = TlsEvidence(name, endpoint, bundle, now)
    told = _status_fields(answer)
    judged = _judge_text(seen, answer) if told is None else _judge_status(seen, told)
    judged = replace(judged, notice=_notice(answer.stdout))
    if judged.status is not GatewayStatus.HEALTHY:
        judged = replace(judged, said=redact_line(normalize_text(answer.text), _WHOLE))
    if judged.status is GatewayStatus.HEALTHY and skewed(tools.version, version_of(judged.version)):
        gateway_line = version_of(judged.version)
        older = "the gateway"
        if tools.version is not None and gateway_line is not None and tools.version < gateway_line:
            older = "openshell on this machine"
        return GatewayJudgement(
            GatewayStatus.VERSION_SKEW,
            f"openshell {tools.version_text} and the gateway {name} {judged.version} are of"
            " different generations and do not understand each other.",
            advice=f"Upgrade {older}; sandboxes made by an older line must be made anew.",
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


def _logs(endpoint: str) -> str:
    local = any(host in endpoint for host in ("127.0.0.1", "localhost", "[::1]"))
    return "`journalctl --user -u openshell-gateway` may say why." if local else ""


def _notice(text: str) -> str:
    """What stood before the JSON of an answer, as one line."""
    try:
        return json_of(text)[1]
    except UnfitError:
        return ""


def _status_fields(answer: CliResult) -> Mapping[str, object] | None:
    """The status as JSON fields, also where it was printed as text; None where nothing was told."""
    text = strip_colours(answer.stdout)
    try:
        found, _ = json_of(text)
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


def _judge_status(seen: TlsEvidence, told: Mapping[str, object]) -> GatewayJudgement:
    name, endpoint, status = seen.name, seen.endpoint, told["status"]
    login = told.get("authentication")
    auth = sanitize(str(login.get("status", "")), 40) if isinstance(login, dict) else ""
    version = sanitize(str(told.get("version") or ""), 40)
    error = told.get("error")
    whole = error if isinstance(error, str) else ""
    said = error_text(whole, 160)
    if status == "not_configured":
        return missing(name, endpoint)
    if status == "connected":
        if auth in ("authenticated", "not", "not_required", "unverified", ""):
            return GatewayJudgement(GatewayStatus.HEALTHY, version=version, auth=auth)
        return _auth(name, said or f"openshell calls it {auth!r}")
    code = sanitize(str(told.get("http_status") or ""), 40)
    if status == "connected_http" or code:
        heard = f" (HTTP {code})" if code else ""
        return GatewayJudgement(
            GatewayStatus.NOT_A_GATEWAY,
            f"Something answers at {endpoint} that is not an OpenShell gateway{heard}.",
            advice="Find out what listens there, or correct the gateway's registration.",
        )
    if not said:
        said = f"openshell calls it {sanitize(str(status), 40)!r} and does not say why"
    return _by_error_kind(seen, error_kind(whole), said, whole)


def _judge_text(seen: TlsEvidence, answer: CliResult) -> GatewayJudgement:
    name = seen.name
    if answer.code == 0:
        return GatewayJudgement(
            GatewayStatus.VERSION_SKEW,
            f"What openshell says of the gateway {name} cannot be understood.",
            advice="Run `openshell status` in a shell: it may be of a version this panel does not"
            " know.",
        )
    return _by_error_kind(seen, answer.error_kind, answer.error_text, answer.text)


def refusal(name: str, kind: ErrorKind, said: str) -> GatewayJudgement | None:
    """What a call that needs a login learned of a gateway whose health needs none."""
    return _auth(name, said) if kind is ErrorKind.AUTH else None


def _by_error_kind(seen: TlsEvidence, kind: ErrorKind, said: str, whole: str) -> GatewayJudgement:
    name, endpoint = seen.name, seen.endpoint
    of_tls = tls_judge.by_words(seen, kind, said, normalize_text(whole))
    if kind is ErrorKind.PLAIN and of_tls is not None:
        return of_tls
    if of_tls is not None:
        return tls_judge.by_disk(seen, kind, refused=False) or of_tls
    match kind:
        case ErrorKind.AUTH | ErrorKind.PERMISSION:
            return _auth(name, said)
        case ErrorKind.NO_GATEWAY | ErrorKind.UNKNOWN_NAME:
            return missing(name, endpoint)
        case ErrorKind.USAGE:
            return GatewayJudgement(
                GatewayStatus.VERSION_SKEW,
                f"The gateway {name} cannot be asked: {said}.",
                advice="Bring openshell and the gateway to the same version.",
            )
        case ErrorKind.UNREACHABLE if "connection refused" in normalize_text(whole).lower():
            where = endpoint or "its address"
            return tls_judge.by_disk(seen, kind, refused=True) or GatewayJudgement(
                GatewayStatus.UNREACHABLE,
                f"The gateway {name} is down: connection refused at {where}.",
            )
    return tls_judge.by_disk(seen, kind, refused=False) or GatewayJudgement(
        GatewayStatus.UNHEALTHY,
        f"The gateway {name} does not answer as it should: {said}.",
        advice=f"Look at its service; nothing is started for this. {_logs(endpoint)}".strip(),
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
