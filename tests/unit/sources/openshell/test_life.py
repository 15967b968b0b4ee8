"""Life of a 0.1 sandbox: how its fields read, and what start and stop accept in every phase.

See upstream/openshell: Life of a sandbox; no command of that line could be run.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.models import Capability, Sandbox, SandboxState
from services.sources.openshell import lists, phases
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.life_words import unknown_words
from services.sources.openshell.proof import CommandResult
from services.sources.openshell.records import Forward, SandboxRow
from services.sources.openshell.rows import sandbox
from services.sources.openshell.sandbox_judge import Reconciled, SandboxProbe, verdict
from services.sources.openshell.sandbox_start import refusal
from services.sources.protocol.verdict import VerdictKind

NOW = 1_800_000_000.0
B = Toolset((0, 0, 111), Generation.B, exec=True, sandbox_start=True, sandbox_stop=True)
C = replace(B, version=(0, 1, 5), generation=Generation.C)


def at(seconds: float) -> str:
    """An instant so many seconds from now, as JSON has it."""
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat().replace("+00:00", "Z")


def row(phase: str = "Ready", cause: str = "", **status: object) -> SandboxRow:
    ready = {"type": "Ready", "status": "True" if phase == "Ready" else "False", "reason": cause}
    more = status.pop("conditions", [])
    assert isinstance(more, list)
    told = {"name": "box", "phase": phase, "conditions": [ready, *more], **status}
    (found,), _, _ = lists.sandboxes(json.dumps({"sandboxes": [told]}), as_json=True)
    return found


def shown(one: SandboxRow, tools: Toolset = C) -> Sandbox:
    return sandbox("os", "lab", one, (), (), tools, NOW)


def endpoint(result: object, seconds: float = -5, **more: object) -> dict[str, object]:
    told = {"host": "tools.example.com", "ports": [443], "last_result": result}
    return {**told, "last_reported_at": at(seconds), **more}


REJECTED = {"state": "CONFIGURATION_ADMISSION_STATE_REJECTED", "error": "policy 7 is invalid"}
NOT_READY = {
    "type": "ConfigurationReady",
    "status": "False",
    "reason": "ConfigurationInvalid",
    "message": "unknown provider",
}
READINGS = [
    (row("Completed", "MainProcessCompleted"), "asleep", "completed (MainProcessCompleted)", ""),
    (row("Error", "MainProcessFailed", exit_code=137), "broken", "exit code 137, signal 9", ""),
    (row("Error", "MainProcessFailed", exit_code=2), "broken", "exit code 2 (MainPro", ""),
    (row("Error", "ProcessExited"), "broken", "it failed (ProcessExited)", ""),
    (row(restart_count=1), "ready", "↻ 1 restarts.", ""),
    (row(restart_count=57), "ready", "↻ 57 restarts.", "restarted 57 times"),
    (row(restart_count=0), "ready", "", ""),
    (
        row("Starting", "CrashLoop", restart_count=57, next_restart_time=at(100)),
        *("settling", "Starting ↻ 57: next try in 1m40 (CrashLoop).", "restarted 57 times"),
    ),
    (
        row(conditions=[NOT_READY]),
        "ready",
        "Configuration refused: ConfigurationInvalid",
        "refused",
    ),
    (row(configuration_admission=REJECTED), "ready", "refused: policy 7 is invalid", "refused"),
    (row(configuration_admission={"state": 1, "error": "x"}), "ready", "", ""),
    (
        row("Provisioning", conditions=[NOT_READY], provisioning={"deadline": at(130)}),
        *(
            "settling",
            "refused: ConfigurationInvalid: unknown provider. Provisioning: 2m10",
            "refus",
        ),
    ),
    (row("Provisioning", provisioning={"deadline": at(-1)}), "settling", "Provisioning: 0.0s", ""),
    (row("Provisioning", provisioning={"deadline": at(-9)}), "stuck", "run out of time", ""),
    (row("Provisioning", "ProvisioningDeadlineElapsed"), "stuck", "run out of time", ""),
    (
        row("Error", "ProvisioningTimedOut", provisioning={"timeout_time": at(-9)}),
        *("broken", "provisioning timed out, its cleanup is pending", ""),
    ),
    (row(conditions=[{"type": "Disk", "status": "False"}]), "ready", "Disk is False.", ""),
    (
        row(endpoint_statuses=[endpoint("ENDPOINT_RESULT_CREDENTIAL_UNAVAILABLE"), endpoint(5)]),
        *("ready", "tools.example.com: credentials missing.", ""),
    ),
    (row(endpoint_statuses=[endpoint("NO_OBSERVED_EXCHANGE"), endpoint(2)]), "ready", "", ""),
    (row(endpoint_statuses=[endpoint("BRAND_NEW")]), "ready", "", ""),
    (
        row(main_process_started_time=at(-1), endpoint_statuses=[endpoint(5, -5)]),
        *("ready", "", ""),
    ),
    (
        row(
            endpoint_statuses=[
                endpoint(7, last_failure={"recovery_action": "REAUTHORIZE", "provider": "hub"})
            ]
        ),
        *("ready", "refused by the other side; sign in again: provider hub.", ""),
    ),
    (row("Hibernating"), "unknown", "this panel does not know: Hibernating", ""),
]


@pytest.mark.parametrize(("one", "state", "words", "waits"), READINGS)
def test_each_field_has_its_place_on_the_row(
    one: SandboxRow, state: str, words: str, waits: str
) -> None:
    made = shown(one)
    assert made.state.value == state
    assert words in made.reason and bool(words) is bool(made.reason), made.reason
    assert waits in made.needs_me and bool(waits) is bool(made.needs_me)
    assert made.asleep_by_design is (one.phase in ("Stopped", "Completed"))


def test_a_refused_configuration_and_a_restart_are_never_lost_beside_another_reason() -> None:
    made = shown(row(conditions=[NOT_READY], restart_count=4, endpoint_statuses=[endpoint(5)]))
    for words in ("Configuration refused", "↻ 4", "TLS fails"):
        assert words in made.reason


def test_details_hold_everything_that_was_told_and_no_zero_that_was_not() -> None:
    whole = row(
        restart_count=57,
        next_restart_time=at(30),
        spec={"restart_policy": "SANDBOX_RESTART_POLICY_ON_FAILURE"},
        configuration_admission=REJECTED,
        provisioning={"deadline": at(60), "timeout_time": at(-3), "cleanup_error": "busy"},
        endpoint_statuses=[endpoint(3)],
        last_token_grant_failure={
            "failure": {"code": "expired", "recovery_action": 3, "provider": "hub"}
        },
    )
    told = dict(shown(whole).evidence)
    assert told["phase"] == "Ready ↻ 57" and told["restarts"] == "57"
    assert (told["restart policy"], told["next restart"]) == ("on failure", "in 30s")
    assert told["configuration admission"] == "rejected"
    assert told["admission error"] == "policy 7 is invalid"
    assert (told["cleanup"], told["cleanup error"]) == ("pending", "busy")
    assert told["endpoint tools.example.com:443"] == "denied by the policy, 5 s ago"
    assert told["token grant failed"] == "expired, provider hub, fix provider hub"
    bare = dict(shown(row()).evidence)
    assert not {"restarts", "exit code", "restart policy", "cleanup"} & set(bare)


def test_words_nobody_knows_are_shown_as_they_are_and_listed() -> None:
    drift = row(
        endpoint_statuses=[endpoint("SOMETHING_ELSE"), endpoint(41, host="b")],
        configuration_admission={"state": "ON_HOLD"},
        spec={"restart_policy": "sometimes"},
    )
    assert set(unknown_words(drift)) == {
        ("endpoint result", "SOMETHING_ELSE"),
        ("endpoint result", "41"),
        ("configuration admission", "ON_HOLD"),
        ("restart policy", "SOMETIMES"),
    }
    told = dict(shown(drift).evidence)
    assert "SOMETHING_ELSE (a word this panel does not know)" in json.dumps(told)


LATE = {"timeout_time": at(-9)}
DONE = {"timeout_time": at(-9), "cleanup_completed_time": at(-5)}
# Phase, reason, more; then start in B, start in C, stop in C.
ACCEPTED: list[tuple[str, str, dict[str, object], bool, bool, bool]] = [
    ("Ready", "", {}, False, False, True),
    ("Stopped", "", {}, True, True, False),
    ("Starting", "", {}, False, False, False),
    ("Stopping", "", {}, False, False, False),
    ("Completed", "", {}, False, True, False),
    ("Error", "MainProcessFailed", {}, False, True, False),
    ("Error", "ProvisioningTimedOut", {"provisioning": LATE}, False, False, False),
    ("Error", "ProvisioningTimedOut", {"provisioning": DONE}, False, True, False),
    ("Error", "ProvisioningTimeout", {"provisioning": DONE}, False, True, False),
    ("Error", "GatewayUnreachable", {}, False, True, False),
    ("Error", "ContainerRuntimeRestart", {}, False, False, False),
    ("Error", "ContainerStopped", {}, False, False, False),
    ("Error", "OOMKilled", {}, False, False, False),
    ("Error", "ProcessExited", {"exit_code": 1}, False, False, False),
    ("Error", "", {"exit_code": 1}, False, True, False),
    ("Error", "", {}, False, False, False),
    ("Provisioning", "", {}, False, False, False),
    ("Deleting", "", {}, False, False, False),
    ("Unknown", "", {}, False, False, False),
    ("phase 42", "", {}, False, False, False),
]


@pytest.mark.parametrize(("phase", "cause", "more", "start_b", "start_c", "stop"), ACCEPTED)
def test_only_what_the_gateway_accepts_is_sent(
    phase: str, cause: str, more: dict[str, object], start_b: bool, start_c: bool, stop: bool
) -> None:
    one = row(phase, cause, **more)
    assert phases.start_rule(one, B).allowed is start_b
    assert phases.start_rule(one, C).allowed is start_c
    assert phases.stop_rule(one, C).allowed is stop
    for tools, able in ((B, start_b), (C, start_c)):
        judged = verdict("box", SandboxProbe(Reconciled.PRESENT, one), tools, NOW, listed=False)
        assert judged.wakeable is able
        rule = phases.start_rule(one, tools)
        dim = dict(shown(one, tools).unavailable).get(Capability.WAKE, "")
        assert bool(dim) is (not able and not rule.needless)
        assert able or rule.refusal


def test_a_container_stopped_beneath_it_asks_for_the_gateways_service() -> None:
    one = row("Error", "ContainerRuntimeRestart")
    judged = verdict("box", SandboxProbe(Reconciled.PRESENT, one), C, NOW, listed=False)
    assert judged.kind is VerdictKind.TERMINAL and "Restart the gateway's service" in judged.advice


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("x: sandbox must be Stopped to start (current phase: Error)", "must be Stopped"),
        (
            "x: must be Stopped, Completed, or a failed main-process Error to start",
            "cannot be started again, only deleted and made anew",
        ),
        ("x: provisioning timeout cleanup is still pending", "once the cleanup is done"),
        ("x: name changed while the start request was waiting", "Something else has changed it"),
    ],
)
def test_a_refusal_of_the_gateway_says_what_is_left_to_do(said: str, words: str) -> None:
    assert words in refusal(CommandResult(said))
    assert refusal(CommandResult()) == ""


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["state", "deadline", "host", "ports", "last_result", "failure"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_in_these_fields_the_row_is_there(value: object) -> None:
    fields = ("configuration_admission", "provisioning", "endpoint_statuses", "restart_count")
    for name in (*fields, "next_restart_time", "last_token_grant_failure", "spec"):
        made = shown(row("Ready", "", **{name: value}))
        assert made.state is SandboxState.READY


def test_what_stands_still_was_stopped_or_ended_with_its_runtime() -> None:
    held = [("Stopped", "Anything"), ("Error", ""), ("Error", "ContainerStopped")]
    moving = [("Ready", ""), ("Provisioning", ""), ("Error", "ImagePullFailed")]
    assert all(phases.held(row(*one)) for one in held)
    assert not any(phases.held(row(*one)) for one in moving)


def test_a_dead_forward_is_said_of_what_is_ready() -> None:
    def reason(alive: bool) -> str:
        forward = Forward("box", "127.0.0.1", 8080, alive)
        return sandbox("os", "lab", row(), (forward,), (), C, NOW).reason

    assert "Forwarded port 8080 is dead" in reason(False)
    assert "8080" not in reason(True)


@pytest.mark.parametrize(
    ("status", "state"),
    [("False", "stuck"), ("false", "stuck"), (False, "stuck"), ("Unknown", "unknown"),
     ("so-so", "unknown"), ("True", "ready"), (True, "ready"), ("", "ready"), (None, "ready")],
)  # fmt: skip
def test_a_phase_ready_is_no_readiness_against_its_own_condition(
    status: object, state: str
) -> None:
    told = {"type": "Ready", "status": status, "reason": "Lost", "message": "no supervisor"}
    text = json.dumps([{"name": "box", "phase": "Ready", "conditions": [told]}])
    (one,), _, _ = lists.sandboxes(text, as_json=True)
    seen = shown(one)
    assert seen.state.value == state
    assert ("Lost: no supervisor" in seen.reason) is (state != "ready")


def test_a_completed_one_tells_its_exit_code() -> None:
    assert "with exit code 3" in shown(row("Completed", exit_code=3)).reason
