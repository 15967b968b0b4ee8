"""Gateways, sandboxes and error phrases judged from what real versions of the CLI printed."""

from __future__ import annotations

import json

import pytest

from services.models import BY_HAND, GatewayState, SandboxState
from services.sources.openshell import lists, rows
from services.sources.openshell.cli import CliResult
from services.sources.openshell.cli_text import (
    ErrorKind,
    error_kind,
    error_text,
    is_cli_error,
    normalize_text,
)
from services.sources.openshell.cli_version import (
    QUESTIONS,
    Generation,
    Toolset,
    skewed,
    toolset_from_answers,
)
from services.sources.openshell.client import GatewayProbe
from services.sources.openshell.gateway_judge import judge, missing, nemoclaw_status, refusal
from services.sources.openshell.gateway_status import STATES, GatewayJudgement, GatewayStatus
from services.sources.openshell.nemoclaw_registry import NemoclawRegistry, RegistryStatus
from services.sources.openshell.observer import gateway_verdict
from services.sources.openshell.phases import reason_of, state_of
from services.sources.openshell.records import Registration, SandboxRow
from services.sources.openshell.sandbox_judge import Reconciled, SandboxProbe, reconcile, verdict
from services.sources.openshell.start_plan import StartPlan
from services.sources.protocol.verdict import VerdictKind
from tests.support.openshell_recorded import HEALTHY, NONE, REFUSED, VERSIONS, recorded, toolset

NOW = 1_800_000_000.0
B = Toolset((0, 0, 111), Generation.B, exec=True, sandbox_start=True, get_json=True)
C = Toolset((0, 1, 5), Generation.C, exec=True, sandbox_start=True)


@pytest.mark.parametrize(
    ("version", "generation", "can"),
    [
        ("0.0.16", Generation.A, set()),
        ("0.0.44", Generation.B, {"gateway_list", "list_json", "exec"}),
        (
            "0.0.99",
            Generation.B,
            {
                *("gateway_list", "gateway_json", "status_json", "list_json", "get_json"),
                *("workspaces", "exec"),
            },
        ),
        (
            "0.0.111",
            Generation.B,
            {
                *("gateway_list", "gateway_json", "status_json", "list_json", "get_json"),
                *("workspaces", "exec", "sandbox_start", "sandbox_stop"),
            },
        ),
    ],
)
def test_a_version_is_known_by_what_it_can_do(
    version: str, generation: Generation, can: set[str]
) -> None:
    tools = toolset(version)
    assert tools.generation is generation
    assert tools.version_text == version
    flags = (
        *("gateway_list", "gateway_json", "status_json", "list_json", "get_json", "workspaces"),
        *("page_tokens", "exec", "sandbox_start", "sandbox_stop", "sandbox_resume"),
        *("forwards_json", "no_login_shell"),
    )
    assert {name for name in flags if getattr(tools, name)} == can
    assert tools.offsets
    assert not tools.starts_failed


PHRASES = [
    ("0.0.16", NONE, "gateway list", ErrorKind.USAGE),
    ("0.0.111", NONE, "gateway start --name nemoclaw", ErrorKind.USAGE),
    ("0.0.44", NONE, "gateway list -o json", ErrorKind.USAGE),
    ("0.0.111", NONE, "logs x --follow", ErrorKind.USAGE),
    ("0.0.111", HEALTHY, "-g nemoclaw sandbox stop beta", ErrorKind.USAGE),
    ("0.0.111", "rotated CA", "-g nemoclaw status -o json", ErrorKind.IDENTITY),
    ("0.0.111", "rotated CA", "-g nemoclaw sandbox get alpha", ErrorKind.IDENTITY),
    ("0.0.111", "no certificates", "-g nemoclaw sandbox get alpha", ErrorKind.TLS_FILE),
    ("0.0.16", REFUSED, "-g nemoclaw sandbox list", ErrorKind.TLS_FILE),
    ("0.0.111", "unauthenticated", "-g nemoclaw sandbox list", ErrorKind.AUTH),
    ("0.0.99", "unauthenticated", "-g nemoclaw sandbox get alpha", ErrorKind.AUTH),
    ("0.0.99", NONE, "sandbox start --help", ErrorKind.USAGE),
    ("0.0.99", HEALTHY, "-g nemoclaw sandbox get nope", ErrorKind.MISSING),
    ("0.0.99", HEALTHY, "-g nemoclaw sandbox exec -n beta --no-tty -- true", ErrorKind.PHASE),
    ("0.0.111", "denied", "-g nemoclaw sandbox get alpha", ErrorKind.PERMISSION),
    *((one, NONE, "sandbox list", ErrorKind.NO_GATEWAY) for one in VERSIONS),
    ("0.0.111", NONE, "gateway info -g nemoclaw", ErrorKind.NO_GATEWAY),
    *((one, NONE, "-g nemoclaw sandbox list", ErrorKind.UNKNOWN_NAME) for one in VERSIONS),
    *((one, NONE, "gateway select nemoclaw", ErrorKind.UNKNOWN_NAME) for one in VERSIONS),
    ("0.0.111", HEALTHY, "-g nemoclaw sandbox get nope", ErrorKind.MISSING),
    (
        *("0.0.111", "supervisor"),
        *("-g nemoclaw sandbox exec -n alpha --no-tty -- true", ErrorKind.SUPERVISOR),
    ),
    ("0.0.111", HEALTHY, "-g nemoclaw sandbox start gamma", ErrorKind.PHASE),
    ("0.0.111", HEALTHY, "-g nemoclaw sandbox exec -n beta --no-tty -- true", ErrorKind.PHASE),
    *((one, REFUSED, "-g nemoclaw status", ErrorKind.UNREACHABLE) for one in VERSIONS),
    ("0.0.111", REFUSED, "-g nemoclaw sandbox get x", ErrorKind.UNREACHABLE),
    ("0.0.44", REFUSED, "-g nemoclaw sandbox list", ErrorKind.UNREACHABLE),
    ("0.0.16", NONE, "gateway start --name nemoclaw", ErrorKind.UNKNOWN),
]


@pytest.mark.parametrize(("version", "situation", "command", "kind"), PHRASES)
def test_what_was_recorded_is_understood(
    version: str, situation: str, command: str, kind: ErrorKind
) -> None:
    answer = recorded(version, situation, command)
    assert answer.code in (1, 2)
    assert answer.error_kind is kind
    assert "\x1b" not in answer.error_text
    assert not {"│", "├", "╰", "×"} & set(answer.error_text)
    assert answer.error_text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("handshake verification failed: Connection refused", ErrorKind.IDENTITY),
        (
            "client error (Connect)\n  ╰─▶ invalid peer certificate: UnknownIssuer",
            ErrorKind.IDENTITY,
        ),
        ("Missing gateway auth token", ErrorKind.AUTH),
        ("device identity required", ErrorKind.AUTH),
        ('status: NotFound, message: "sandbox not found"', ErrorKind.MISSING),
        ("status: Unavailable", ErrorKind.SUPERVISOR),
        ("sandbox must be Ready to stop (current phase: Error)", ErrorKind.PHASE),
        ("ssh: not found", ErrorKind.UNKNOWN),
        ("bash: openshell: command not found", ErrorKind.UNKNOWN),
        ("No gateway metadata found for 'sandbox not found'.", ErrorKind.UNKNOWN_NAME),
        ("", ErrorKind.UNKNOWN),
    ],
)
def test_words_are_tried_in_their_order(text: str, kind: ErrorKind) -> None:
    assert error_kind(text) is kind


def test_a_wrapped_sentence_is_one_sentence_whatever_the_locale() -> None:
    wide = "Error:   \x1b[31m×\x1b[0m sandbox 'b' is not ready; wait for it to reach\n"
    wide += "  │ Ready state\n"
    narrow = "Error:   x sandbox 'b' is not ready; wait for it to reach\n  | Ready state\n"
    for text in (wide, narrow):
        assert error_text(text) == "sandbox 'b' is not ready; wait for it to reach Ready state"
        assert is_cli_error(text)
    chain = "Error:   x transport error\n  |-> tcp connect error\n  `-> Connection refused\n"
    assert normalize_text(chain).endswith("transport error tcp connect error Connection refused")
    assert not is_cli_error("make: *** Error: something failed")


STATUS = [
    ("0.0.16", NONE, "status", GatewayStatus.MISSING),
    ("0.0.111", NONE, "status", GatewayStatus.MISSING),
    ("0.0.111", NONE, "status -o json", GatewayStatus.MISSING),
    *((one, NONE, "-g nemoclaw status", GatewayStatus.MISSING) for one in VERSIONS),
    *((one, REFUSED, "-g nemoclaw status", GatewayStatus.UNREACHABLE) for one in VERSIONS),
    ("0.0.111", REFUSED, "-g nemoclaw status -o json", GatewayStatus.UNREACHABLE),
    ("0.0.111", "silent", "-g nemoclaw status -o json", GatewayStatus.PROBE_TIMEOUT),
    ("0.0.111", "some other HTTP server", "-g nemoclaw status", GatewayStatus.NOT_A_GATEWAY),
    (
        "0.0.111",
        "some other HTTP server",
        "-g nemoclaw status -o json",
        GatewayStatus.NOT_A_GATEWAY,
    ),
    ("0.0.111", "rotated CA", "-g nemoclaw status -o json", GatewayStatus.IDENTITY_CHANGED),
    ("0.0.111", "no certificates", "-g nemoclaw status -o json", GatewayStatus.AUTH_FAILED),
    ("0.0.44", HEALTHY, "-g nemoclaw status", GatewayStatus.HEALTHY),
    ("0.0.99", HEALTHY, "-g nemoclaw status", GatewayStatus.HEALTHY),
    ("0.0.99", HEALTHY, "-g nemoclaw status -o json", GatewayStatus.HEALTHY),
    ("0.0.111", HEALTHY, "-g nemoclaw status", GatewayStatus.HEALTHY),
    ("0.0.111", HEALTHY, "-g nemoclaw status -o json", GatewayStatus.HEALTHY),
    ("0.0.111", "degraded", "-g nemoclaw status -o json", GatewayStatus.HEALTHY),
    ("0.0.111", "newer gateway", "-g nemoclaw status -o json", GatewayStatus.VERSION_SKEW),
]


@pytest.mark.parametrize(("version", "situation", "command", "expected"), STATUS)
def test_a_status_is_judged_by_words_never_by_its_exit_code(
    version: str, situation: str, command: str, expected: GatewayStatus
) -> None:
    answer = recorded(version, situation, command)
    judged = judge("nemoclaw", "http://127.0.0.1:1", answer, toolset(version), 3.5)
    assert judged.status is expected
    assert bool(judged.reason) is (expected is not GatewayStatus.HEALTHY)
    assert "onboard" not in judged.reason + judged.advice


def _status(**told: object) -> CliResult:
    return CliResult(0, json.dumps(told), "")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            _status(status="connected", authentication={"status": "failed"}),
            GatewayStatus.AUTH_FAILED,
        ),
        (
            _status(status="connected", authentication={"status": "unverified"}),
            GatewayStatus.HEALTHY,
        ),
        (
            _status(status="connected", authentication={"status": "authenticated"}),
            GatewayStatus.HEALTHY,
        ),
        (
            _status(status="connected", authentication={"status": "so-so"}),
            GatewayStatus.AUTH_FAILED,
        ),
        (_status(status="connected_http", http_status=200), GatewayStatus.NOT_A_GATEWAY),
        (_status(status="disconnected", error="Connection refused"), GatewayStatus.UNREACHABLE),
        (_status(status="error", error="it is on fire"), GatewayStatus.UNHEALTHY),
        (
            _status(status="error", error="UnknownIssuer Connection refused"),
            GatewayStatus.IDENTITY_CHANGED,
        ),
        (_status(status=7), GatewayStatus.VERSION_SKEW),
        (CliResult(0, "[1, 2", ""), GatewayStatus.VERSION_SKEW),
        (CliResult(0, "[]", ""), GatewayStatus.VERSION_SKEW),
        (CliResult(0, "", ""), GatewayStatus.VERSION_SKEW),
        (CliResult(0, "x" * 100, "", truncated=True), GatewayStatus.VERSION_SKEW),
        (
            CliResult(0, "  Status: Connected\n  Authentication: failed\n", ""),
            GatewayStatus.AUTH_FAILED,
        ),
        (CliResult(0, "  Status: Connected (HTTP)\n", ""), GatewayStatus.NOT_A_GATEWAY),
        (CliResult(-9, "", ""), GatewayStatus.UNHEALTHY),
    ],
)
def test_a_status_that_is_almost_right_is_not_taken_for_health(
    answer: CliResult, expected: GatewayStatus
) -> None:
    assert judge("g", "http://127.0.0.1:1", answer, B, 3.5).status is expected


@pytest.mark.parametrize(
    "told", [{"status": "so-so"}, {"status": "connected", "authentication": {"status": "so-so"}}]
)
def test_a_word_of_the_status_that_nobody_knows_is_shown(told: dict[str, object]) -> None:
    judged = judge("g", "http://127.0.0.1:1", _status(**told), B, 3.5)
    assert "openshell calls it 'so-so'" in judged.reason
    assert not judged.status.startable


def test_generations_that_must_not_be_mixed_are_told_apart() -> None:
    assert skewed((0, 0, 111), (0, 1, 5)) and skewed((0, 1, 5), (0, 0, 99))
    assert not skewed((0, 0, 16), (0, 0, 111)) and not skewed((0, 1, 0), (0, 1, 9))
    assert skewed((0, 1, 0), (0, 2, 0)) and skewed((0, 2, 0), (1, 0, 0))
    newer = Toolset((0, 2, 0), Generation.C, sandbox_start=True)
    assert newer.unknown_line and not newer.starts_failed and not C.unknown_line
    assert not skewed(None, (0, 1, 0))
    answer = recorded("0.0.111", "newer gateway", "-g nemoclaw status -o json")
    judged = judge("g", "", answer, toolset("0.0.111"), 3.5)
    assert "Upgrade openshell" in judged.advice and "0.1.5" in judged.reason


CONNECTED = "Server Status\n\n  Gateway: nemoclaw\n  Status: Connected\n"
NAMED = "Gateway Info\n\n  Gateway: nemoclaw\n"


@pytest.mark.parametrize(
    ("status", "info", "expected"),
    [
        (CONNECTED, NAMED, GatewayStatus.HEALTHY),
        (CONNECTED.replace("nemoclaw", "other"), NAMED, GatewayStatus.CONNECTED_OTHER),
        ("client error (Connect)", NAMED, GatewayStatus.UNREACHABLE),
        ("TCP CONNECT ERROR", NAMED, GatewayStatus.UNREACHABLE),
        ("Status: Disconnected", NAMED, GatewayStatus.UNHEALTHY),
        ("Status: Not Connected", NAMED, GatewayStatus.UNHEALTHY),
        ("Connection refused", "No gateway metadata found for 'nemoclaw'.", GatewayStatus.MISSING),
        ("", "", GatewayStatus.MISSING),
    ],
)
def test_the_five_states_of_nemoclaw(status: str, info: str, expected: GatewayStatus) -> None:
    assert nemoclaw_status(status, info, "nemoclaw") is expected


def test_the_first_generation_is_judged_as_nemoclaw_does() -> None:
    status = recorded("0.0.16", REFUSED, "-g nemoclaw status").text
    info = recorded("0.0.16", REFUSED, "gateway info -g nemoclaw").text
    assert nemoclaw_status(status, info, "nemoclaw") is GatewayStatus.UNREACHABLE


def test_every_standing_is_shown_and_ours_never_start_anything() -> None:
    assert set(STATES) == set(GatewayStatus)
    assert {one for one in GatewayStatus if one.startable} == {
        *(
            GatewayStatus.UNREACHABLE,
            GatewayStatus.CONNECTED_OTHER,
            GatewayStatus.MISSING,
        )
    }
    plan = StartPlan(("true",), by_cli=True)
    for expected in GatewayStatus:
        judged = gateway_verdict(GatewayJudgement(expected, "why", "do this"), plan)
        assert judged.wakeable is expected.startable
        assert judged.reason == "why"
    assert STATES[GatewayStatus.PROBE_TIMEOUT] is GatewayState.HUNG


def test_a_gateway_nobody_can_start_comes_with_the_command() -> None:
    judged = gateway_verdict(
        GatewayJudgement(GatewayStatus.UNREACHABLE, "down"), StartPlan(advice="Start it: x")
    )
    assert judged.kind is VerdictKind.REPAIRABLE and not judged.wakeable
    assert judged.advice == "Start it: x"
    # A registration is never guessed, even where a service could be started.
    lost = gateway_verdict(
        GatewayJudgement(GatewayStatus.MISSING, "gone", "add it"), StartPlan(("true",))
    )
    assert not lost.wakeable and lost.advice == "add it"


def test_a_refused_login_is_told_from_an_empty_list() -> None:
    answer = recorded("0.0.111", "unauthenticated", "-g nemoclaw sandbox list")
    judged = refusal("g", answer.error_kind, answer.error_text)
    assert judged is not None and judged.status is GatewayStatus.AUTH_FAILED
    assert judged.advice.endswith("openshell gateway login g")
    assert refusal("g", ErrorKind.UNREACHABLE, "") is None


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("Ready", SandboxState.READY),
        ("Provisioning", SandboxState.SETTLING),
        ("Starting", SandboxState.SETTLING),
        ("Stopping", SandboxState.SETTLING),
        ("Deleting", SandboxState.SETTLING),
        ("Stopped", SandboxState.ASLEEP),
        ("Completed", SandboxState.ASLEEP),
        ("Error", SandboxState.BROKEN),
        ("Unknown", SandboxState.UNKNOWN),
        ("Unspecified", SandboxState.UNKNOWN),
        ("phase 42", SandboxState.UNKNOWN),
    ],
)
def test_every_phase_has_a_state_and_a_reason(phase: str, state: SandboxState) -> None:
    row = SandboxRow("a", phase)
    assert state_of(row, NOW) is state
    assert bool(reason_of(row, NOW)) is (phase != "Ready")


@pytest.mark.parametrize(
    ("value", "phase"),
    [
        *enumerate(lists.PHASES),
        (10, "phase 10"),
        (-1, "phase -1"),
        ("7", "Stopped"),
        ("SANDBOX_PHASE_READY", "Ready"),
        ("Ready", "Ready"),
        (None, ""),
        (True, ""),
        ({"a": 1}, ""),
    ],
)
def test_a_phase_is_a_word_whatever_was_sent(value: object, phase: str) -> None:
    assert lists.phase(value) == phase


@pytest.mark.parametrize(
    ("tools", "phase", "kind", "wakeable"),
    [
        (B, "Ready", VerdictKind.READY, False),
        (B, "Stopped", VerdictKind.REPAIRABLE, True),
        (B, "Error", VerdictKind.TERMINAL, False),
        (B, "Provisioning", VerdictKind.SETTLING, False),
        (B, "Deleting", VerdictKind.TERMINAL, False),
        (B, "phase 12", VerdictKind.UNKNOWN, False),
        (C, "Error", VerdictKind.TERMINAL, False),
        (C, "Completed", VerdictKind.REPAIRABLE, True),
        (Toolset(), "Stopped", VerdictKind.REPAIRABLE, False),
        (Toolset(generation=Generation.A), "Error", VerdictKind.TERMINAL, False),
    ],
)
def test_what_an_attempt_may_do_follows_from_the_phase(
    tools: Toolset, phase: str, kind: VerdictKind, wakeable: bool
) -> None:
    probe = SandboxProbe(Reconciled.PRESENT, SandboxRow("a", phase))
    judged = verdict("a", probe, tools, NOW, listed=False)
    assert (judged.kind, judged.wakeable) == (kind, wakeable)
    if judged.kind is VerdictKind.TERMINAL:
        assert judged.reason


@pytest.mark.parametrize(
    ("version", "situation", "command", "found"),
    [
        ("0.0.111", HEALTHY, "-g nemoclaw sandbox get alpha", Reconciled.PRESENT),
        ("0.0.111", HEALTHY, "-g nemoclaw sandbox get nope", Reconciled.MISSING),
        ("0.0.111", REFUSED, "-g nemoclaw sandbox get x", Reconciled.GATEWAY_ERROR),
        ("0.0.111", "rotated CA", "-g nemoclaw sandbox get alpha", Reconciled.IDENTITY_DRIFT),
        ("0.0.111", NONE, "sandbox get x", Reconciled.GATEWAY_MISSING),
        ("0.0.16", NONE, "-g nemoclaw sandbox list", Reconciled.GATEWAY_MISSING),
        ("0.0.111", "denied", "-g nemoclaw sandbox get alpha", Reconciled.AUTH_FAILED),
    ],
)
def test_what_get_answers_is_reconciled(
    version: str, situation: str, command: str, found: Reconciled
) -> None:
    answer = recorded(version, situation, command)
    assert reconcile(answer.code, answer.error_kind) is found


def test_identity_drift_is_final_and_its_advice_is_for_one_sandbox() -> None:
    judged = verdict("my-box", SandboxProbe(Reconciled.IDENTITY_DRIFT), B, NOW, listed=True)
    assert judged.kind is VerdictKind.TERMINAL
    assert "my-box" in judged.advice and "alone" in judged.advice
    assert "onboard" not in judged.advice + judged.reason
    missing = verdict("my-box", SandboxProbe(Reconciled.MISSING), B, NOW, listed=True)
    assert "left alone" in missing.advice


@pytest.mark.parametrize(
    "command", ["-g nemoclaw sandbox list", "-g nemoclaw sandbox list -o json"]
)
def test_table_and_json_tell_the_same(command: str) -> None:
    answer = recorded("0.0.111", HEALTHY, command)
    rows, token, _ = lists.sandboxes(answer.stdout, as_json=command.endswith("json"))
    told = [(row.name, row.phase, row.created) for row in rows]
    at = "2023-11-14 22:13:20"
    assert told == [("alpha", "Ready", at), ("beta", "Stopped", at), ("gamma", "Error", at)]
    assert token == ""


@pytest.mark.parametrize("version", ["0.0.44", "0.0.111"])
def test_registered_gateways_are_read_from_the_table(version: str) -> None:
    told = lists.registrations(recorded(version, REFUSED, "gateway list").stdout, as_json=False)
    assert [(one.name, one.endpoint, one.auth, one.active) for one in told] == [
        ("nemoclaw", "http://127.0.0.1:1", "plaintext", True)
    ]


def test_registered_gateways_are_read_from_json() -> None:
    answer = recorded("0.0.111", REFUSED, "gateway list -o json")
    (one,) = lists.registrations(answer.stdout, as_json=True)
    assert (one.name, one.kind, one.source, one.active) == ("nemoclaw", "local", "user", True)
    assert lists.registrations("[]", as_json=True) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "error: unexpected argument '--limit' found\n\nUsage: openshell sandbox list\n\n"
            "For more information, try '--help'.\n",
            "this openshell does not know `--limit`",
        ),
        (
            "Error:   × code: 'Internal error', message: \"disk full\", source: tonic::transport::"
            "Error(Transport, hyper), metadata: MetadataMap { headers: {} }\n",
            "disk full",
        ),
        (
            "Error:   × status: Unavailable, details: [], metadata: MetadataMap { }\n",
            "Unavailable",
        ),
        (
            "Error:   × No active gateway.\n  │ Set one with: openshell gateway select <name>\n",
            "No active gateway",
        ),
        (
            "Error:   × it failed, see https://docs.rs/tonic/latest for more\n",
            "it failed, see for more",
        ),
        (
            "Error:   × Failed to create Docker client.\n  │ \n  help: Install Docker\n",
            "Failed to create Docker client",
        ),
        (
            "Error:   × transport error\n  ├─▶ tcp connect error\n"
            "  ╰─▶ Connection refused (os error 111)\n",
            "transport error: Connection refused (os error 111)",
        ),
    ],
)
def test_a_reason_is_the_first_sentence_and_no_usage_address_or_library_word(
    text: str, said: str
) -> None:
    assert error_text(text) == said


def test_a_notice_before_json_is_told_and_spoils_nothing() -> None:
    notice = "A new version is available: 0.1.9 [see the notes]\n{braces} in a line\n"
    status = '{\n  "status": "connected",\n  "version": "0.0.111"\n}\n'
    judged = judge("g", "", CliResult(0, notice + status, ""), B, 3.5)
    assert judged.status is GatewayStatus.HEALTHY
    assert judged.notice.startswith("A new version is available")
    rows, _, _ = lists.sandboxes(notice + '[{"name": "a", "phase": "Ready"}]', as_json=True)
    assert [one.name for one in rows] == ["a"]


@pytest.mark.parametrize("offered", [True, False])
def test_the_check_before_0_2_is_text_to_copy_where_the_help_has_it(offered: bool) -> None:
    asked = {name: recorded("0.0.111", NONE, " ".join(argv)) for name, argv in QUESTIONS.items()}
    if offered:
        asked["upgrade"] = CliResult(0, "OPTIONS:\n  --to <LINE>  The line to check against\n", "")
    probe = GatewayProbe(Registration("lab"), missing("lab"))
    row = rows.gateway(
        "os",
        probe,
        StartPlan(),
        toolset_from_answers(asked),
        NemoclawRegistry(RegistryStatus.EMPTY),
        NOW,
    )
    told = [said for name, said in row.evidence if name == BY_HAND]
    assert told == ["openshell -g lab gateway upgrade-check --to 0.2"] * offered
