"""The life of a 0.1 sandbox in words: for its row, its details and what waits for a person.

See upstream/openshell: Life of a sandbox.
"""

from __future__ import annotations

from services.models import Facts
from services.sources.openshell.lifecycle import EndpointFailure, EndpointStatus, instant
from services.sources.openshell.records import SandboxRow
from services.text.format import ago, duration, plural

OFTEN = 3
"""Restarts from which on somebody should look."""
_RESULT_WORDS = {
    "NO_OBSERVED_EXCHANGE": "not used yet",
    "HTTP_RESPONSE_RECEIVED": "answers",
    "POLICY_DENIED": "denied by the policy",
    "CREDENTIAL_UNAVAILABLE": "credentials missing",
    "TLS_FAILED": "TLS fails",
    "TRANSPORT_FAILED": "cannot be reached",
    "UPSTREAM_REJECTED": "refused by the other side",
    "": "result not known",
}
_BAD = tuple(list(_RESULT_WORDS)[2:7])
"""From what the policy says to what the other side does; the first of these is named first."""
_POLICY_WORDS = {"NEVER": "never", "ON_FAILURE": "on failure", "ALWAYS": "always"}


def restarts(row: SandboxRow) -> str:
    """`↻ 57`; empty where there were none, or nobody says."""
    return f"↻ {row.life.restarts}" if row.life.restarts else ""


def refused_configuration(row: SandboxRow) -> str:
    """That the gateway refuses its configuration, and why; empty where it does not."""
    for one in row.conditions:
        if one.kind == "ConfigurationReady" and one.status == "False":
            why = ": ".join(part for part in (one.reason, one.message) if part)
            return f"configuration refused{': ' if why else ''}{why}"
    if row.life.admission == "REJECTED":
        why = row.life.admission_error
        return f"configuration refused{': ' if why else ''}{why}"
    return ""


def other_conditions(row: SandboxRow) -> str:
    """Every further condition that is False."""
    found = [
        f"{one.kind} is False" + (f" ({one.reason})" if one.reason else "")
        for one in row.conditions
        if one.status == "False" and one.kind not in ("Ready", "ConfigurationReady", "Suspended")
    ]
    return ", ".join(found)


def needs_person(row: SandboxRow) -> str:
    """What in it waits for a person."""
    if refused := refused_configuration(row):
        return f"{refused[:1].upper()}{refused[1:]}."
    count = row.life.restarts or 0
    if count >= OFTEN and row.phase not in ("Stopped", "Completed", "Deleting"):
        return f"It was restarted {plural(count, 'time')}."
    return ""


def worst_endpoint(row: SandboxRow) -> EndpointStatus | None:
    """The endpoint with the worst result since the sandbox last began; None where none is bad."""
    began = _last_start(row)
    bad = [
        one
        for one in row.life.endpoints
        if one.result in _BAD and one.at is not None and (began is None or one.at > began)
    ]
    return min(bad, key=lambda one: _BAD.index(one.result), default=None)


def _last_start(row: SandboxRow) -> float | None:
    if row.life.started is not None:
        return row.life.started
    ready = [one.at for one in row.conditions if one.kind == "Ready" and one.status == "True"]
    known = [at for at in ready if at is not None]
    return max(known) if known else instant(row.created)


def endpoint(one: EndpointStatus) -> str:
    """`tools.example.com: credentials missing, sign in again: provider X`."""
    said = f"{one.host}: {_result(one.result)}"
    return said if one.failure is None else f"{said}; {_recovery(one.failure)}"


def _result(result: str) -> str:
    return _RESULT_WORDS.get(result, f"{result} (a word this panel does not know)")


def _recovery(failure: EndpointFailure) -> str:
    provider = failure.provider or "not named"
    return {
        "RETRY": "will be tried again",
        "REAUTHORIZE": f"sign in again: provider {provider}",
        "FIX_CONFIGURATION": f"fix provider {provider}",
        "INVESTIGATE": "look at the logs",
        "": "what helps is not told",
    }.get(failure.recovery, f"{failure.recovery} (a word this panel does not know)")


def facts(row: SandboxRow, now: float) -> Facts:
    """Its life for the details; `now` in epoch seconds."""
    life = row.life
    told: list[tuple[str, str]] = [
        ("restarts", "" if life.restarts is None else str(life.restarts)),
        ("restart policy", _POLICY_WORDS.get(life.restart_policy, life.restart_policy)),
        ("next restart", _ahead(life.next_restart, now)),
        ("main process began", _behind(life.started, now)),
        ("configuration admission", life.admission.lower()),
        ("admission error", life.admission_error),
    ]
    making = life.provisioning
    if making is not None:
        told += [
            ("provisioning deadline", _ahead(making.deadline, now)),
            ("first rejected", _behind(making.first_rejection, now)),
            ("provisioning timed out", _behind(making.timed_out, now)),
        ]
        if making.timed_out is not None:
            told += [
                ("cleanup", "pending" if making.cleaned_up is None else "done"),
                ("cleanup error", making.cleanup_error),
                ("cleanup is tried again", _ahead(making.cleanup_retry, now)),
            ]
    for one in life.endpoints:
        place = "".join((one.host, f":{one.ports}" if one.ports else "", one.path))
        when = f", {ago(now - one.at)}" if one.at is not None else ""
        told.append((f"endpoint {place}", f"{_result(one.result)}{when}"))
        if one.failure is not None:
            told.append((f"endpoint {place} failed", _failure(one.failure)))
    if life.grant_failure is not None:
        told.append(("token grant failed", _failure(life.grant_failure)))
    return tuple((name, said) for name, said in (*told, *life.extra) if said)


def unknown_words(row: SandboxRow) -> tuple[tuple[str, str], ...]:
    """(place, word) of what this panel has no meaning for."""
    life = row.life
    found = [("endpoint result", one.result) for one in life.endpoints]
    found = [(place, said) for place, said in found if said not in _RESULT_WORDS]
    if life.admission not in ("", "PENDING", "ACCEPTED", "REJECTED"):
        found.append(("configuration admission", life.admission))
    if life.restart_policy and life.restart_policy not in _POLICY_WORDS:
        found.append(("restart policy", life.restart_policy))
    return tuple(found)


def _failure(one: EndpointFailure) -> str:
    parts = [
        one.code,
        f"provider {one.provider}" if one.provider else "",
        f"credential {one.credential}" if one.credential else "",
        f"at {one.stage}" if one.stage else "",
        f"HTTP {one.http_status}" if one.http_status else "",
        _recovery(one),
    ]
    return ", ".join(part for part in parts if part)


def _ahead(at: float | None, now: float) -> str:
    if at is None:
        return ""
    return f"in {duration(at - now)}" if at > now else f"due {ago(now - at)}"


def _behind(at: float | None, now: float) -> str:
    return "" if at is None else ago(now - at)
