"""What the 0.1 line tells of a sandbox's life: restarts, provisioning, admission, endpoints.

Read from JSON of the command and, in the same shape, from gRPC. A key that is missing is not known.
See upstream/openshell: Life of a sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from services.lazy_dataclass import dataclass
from services.text.sanitize import sanitize

_MOST = 20
_TEXT = 200
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ADMISSION = ("UNSPECIFIED", "PENDING", "ACCEPTED", "REJECTED")
_POLICY = ("UNSPECIFIED", "NEVER", "ON_FAILURE", "ALWAYS")
_RESULTS = (
    *("UNSPECIFIED", "NO_OBSERVED_EXCHANGE", "HTTP_RESPONSE_RECEIVED", "POLICY_DENIED"),
    *("CREDENTIAL_UNAVAILABLE", "TLS_FAILED", "TRANSPORT_FAILED", "UPSTREAM_REJECTED"),
)
_RECOVERY = ("UNSPECIFIED", "RETRY", "REAUTHORIZE", "FIX_CONFIGURATION", "INVESTIGATE")


@dataclass(frozen=True, slots=True)
class Provisioning:
    """How far the making of a sandbox is; instants in epoch seconds, None where not told."""

    deadline: float | None = None
    first_rejection: float | None = None
    timed_out: float | None = None
    cleaned_up: float | None = None
    cleanup_error: str = ""
    cleanup_retry: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointFailure:
    """Why the last use of an endpoint failed; never a value of a credential."""

    code: str = ""
    recovery: str = ""
    """`RETRY`, `REAUTHORIZE`, `FIX_CONFIGURATION`, `INVESTIGATE`, or a word of later versions."""
    provider: str = ""
    credential: str = ""
    """The credential's name."""
    stage: str = ""
    http_status: str = ""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """The last use of one place that a sandbox may reach: old traffic, which does not expire."""

    host: str
    ports: str = ""
    path: str = ""
    result: str = ""
    at: float | None = None
    failure: EndpointFailure | None = None


@dataclass(frozen=True, slots=True)
class SandboxLife:
    """All of it for one sandbox."""

    restart_policy: str = ""
    """`NEVER`, `ON_FAILURE`, `ALWAYS`; empty where it is not told."""
    restarts: int | None = None
    next_restart: float | None = None
    started: float | None = None
    """When its main process began."""
    admission: str = ""
    """`PENDING`, `ACCEPTED`, `REJECTED`, or a word of later versions."""
    admission_error: str = ""
    provisioning: Provisioning | None = None
    endpoints: tuple[EndpointStatus, ...] = ()
    grant_failure: EndpointFailure | None = None
    extra: tuple[tuple[str, str], ...] = ()
    """Further fields that were set, to show."""


NO_LIFE = SandboxLife()


def lifecycle(status: Mapping[str, object], spec: Mapping[str, object]) -> SandboxLife:
    """The life of a sandbox from the fields of its status and of its specification."""
    admission = _mapping(status.get("configuration_admission"))
    making = _mapping(status.get("provisioning"))
    state = word(admission.get("state"), "CONFIGURATION_ADMISSION_STATE_", _ADMISSION)
    return SandboxLife(
        restart_policy=word(
            spec.get("restart_policy", status.get("restart_policy")),
            "SANDBOX_RESTART_POLICY_",
            _POLICY,
        ),
        restarts=_count(status.get("restart_count")),
        next_restart=instant(status.get("next_restart_time")),
        started=instant(status.get("main_process_started_time")),
        admission=state,
        admission_error="" if state == "PENDING" else text(admission.get("error")),
        provisioning=_provisioning(making) if making else None,
        endpoints=_endpoints(status.get("endpoint_statuses")),
        grant_failure=_failure(
            _mapping(status.get("last_token_grant_failure")).get("failure")
            or status.get("last_token_grant_failure")
        ),
        extra=_extra(status, making, admission),
    )


def instant(value: object) -> float | None:
    """Epoch seconds of a time as JSON has it; None where it is none."""
    if isinstance(value, Mapping):
        value = value.get("seconds")
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if 0 < value < 1e11 else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def word(value: object, prefix: str, known: tuple[str, ...]) -> str:
    """An enum's word in capitals without its prefix; a number nobody knows is itself."""
    if isinstance(value, int) and not isinstance(value, bool):
        found = known[value] if 0 <= value < len(known) else str(value)
    elif isinstance(value, str):
        found = _HUMP.sub("_", sanitize(value, 60)).upper().replace("-", "_").replace(" ", "_")
        found = found.removeprefix(prefix)
    else:
        return ""
    return "" if found == "UNSPECIFIED" else found


def text(value: object) -> str:
    """One harmless line of at most 200 characters; empty for what is no text or number."""
    fits = isinstance(value, str | int | float) and not isinstance(value, bool)
    return sanitize(str(value), _TEXT) if fits else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _provisioning(told: Mapping[str, object]) -> Provisioning:
    return Provisioning(
        deadline=instant(told.get("deadline")),
        first_rejection=instant(told.get("first_rejection_time")),
        timed_out=instant(told.get("timeout_time")),
        cleaned_up=instant(told.get("cleanup_completed_time")),
        cleanup_error=text(told.get("cleanup_error")),
        cleanup_retry=instant(told.get("cleanup_retry_time")),
    )


def _endpoints(value: object) -> tuple[EndpointStatus, ...]:
    if not isinstance(value, list):
        return ()
    found = []
    for one in value[:_MOST]:
        if not isinstance(one, Mapping) or not text(one.get("host")):
            continue
        ports = one.get("ports")
        found.append(
            EndpointStatus(
                text(one.get("host")),
                ", ".join(filter(None, map(text, ports[:_MOST])))
                if isinstance(ports, list)
                else "",
                text(one.get("path")),
                word(one.get("last_result"), "ENDPOINT_RESULT_", _RESULTS),
                instant(one.get("last_reported_at") or one.get("last_reported_time")),
                _failure(one.get("last_failure")),
            )
        )
    return tuple(found)


def _failure(value: object) -> EndpointFailure | None:
    told = _mapping(value)
    if not told:
        return None
    return EndpointFailure(
        text(told.get("code")),
        word(
            told.get("recovery_action"),
            "PROVIDER_CREDENTIAL_REFRESH_RECOVERY_ACTION_",
            _RECOVERY,
        ),
        text(told.get("provider")),
        text(told.get("credential_key")),
        text(told.get("stage")),
        text(told.get("upstream_http_status") or ""),
    )


def _extra(
    status: Mapping[str, object], making: Mapping[str, object], admission: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    found = [
        ("host key", text(status.get("host_key_fingerprint"))),
        ("preparation deadline", text(making.get("preparation_deadline"))),
        ("admission began", text(making.get("admission_start_time"))),
        ("policy version admitted", text(admission.get("policy_version"))),
    ]
    if making.get("driver_operation_pending") is True:
        found.append(("driver", "an operation is pending"))
    if isinstance(status.get("configuration_activated"), bool):
        active = "active" if status["configuration_activated"] else "not active yet"
        found.append(("configuration", active))
    return tuple((name, said) for name, said in found if said)
