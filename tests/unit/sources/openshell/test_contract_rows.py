"""Every heading of what is known of OpenShell and NemoClaw, and the tests that hold its rows."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
PAGE = ROOT / "docs" / "upstream" / "openshell.md"
UNIT, INTEGRATION = "tests/unit/sources/openshell", "tests/integration/sources/openshell"
ROWS: dict[str, tuple[str, ...]] = {
    "Checked versions": ("contract::every_version_says_which_it_is",),
    "Generations": (
        "judge::a_version_is_known_by_what_it_can_do",
        "judge::generations_that_must_not_be_mixed_are_told_apart",
    ),
    "Detecting a generation": (
        "judge::a_version_is_known_by_what_it_can_do",
        "script::a_replaced_cli_is_asked_again",
        "script::a_cli_that_hangs_is_told_from_a_gateway_that_does",
    ),
    "Finding the command": ("lists::the_command_is_found_in_the_order_of_nemoclaw",),
    "Configuration folder": (
        "lists::registrations_are_read_from_the_folder",
        "lists::the_environment_chooses_no_gateway",
        "lists::the_last_used_sandbox_is_known_while_its_gateway_is_down",
    ),
    "Text and exit codes": (
        "judge::a_wrapped_sentence_is_one_sentence_whatever_the_locale",
        "judge::a_reason_is_the_first_sentence_and_no_usage_address_or_library_word",
        "lists::the_clis_own_end_is_told_from_the_shells",
    ),
    "Reading lists": (
        "lists::what_was_printed_is_what_is_read",
        "lists::a_table_that_does_not_fit_its_header_is_not_known",
        "judge::a_notice_before_json_is_told_and_spoils_nothing",
        "script::pages_are_asked_for_as_the_help_offers_them",
        "script::no_row_is_missed_where_the_list_changes_between_two_pages",
        "stand_in::no_flag_is_sent_that_the_help_does_not_offer",
        "not_known::a_list_that_fails_is_not_an_empty_one_and_the_name_is_asked_for",
        "not_known::registrations_that_cannot_be_listed_are_not_none",
    ),
    "Starting a gateway": ("lists::a_start_is_only_offered_where_the_service_is_known",),
    "Status": (
        "judge::a_status_is_judged_by_words_never_by_its_exit_code",
        "judge::a_status_that_is_almost_right_is_not_taken_for_health",
        "not_known::a_stopped_gateway_is_hung_and_nothing_is_started_for_it",
        "not_known::a_killed_gateway_is_down_and_only_a_verb_starts_it",
    ),
    "Error phrases": (
        "judge::what_was_recorded_is_understood",
        "judge::words_are_tried_in_their_order",
    ),
    "TLS faults": (
        "certificates::each_fault_of_tls_has_its_name_and_only_a_refusal_is_startable",
        "certificates::no_words_but_a_refused_connection_are_ever_startable",
        "real_tls::the_fault_has_its_name_and_only_a_refused_connection_starts_anything",
    ),
    "Certificates": (
        "certificates::files_on_disk_come_before_words",
        "certificates::days_left_are_told_before_they_run_out",
        "certificates::the_packaged_gateways_own_files_are_read_for_its_own_address_alone",
    ),
    "Shells": ("script::a_shell_runs_on_a_terminal_of_ours",),
    "Forwards": (
        "forwards::two_registers_two_gateways_one_name_and_exactly_the_dead_forward_is_mended",
        "forwards::a_forward_that_names_no_sandbox_is_acted_on_by_nobody_where_two_have_its_name",
        "forwards::what_stands_in_the_folder_is_read_with_bounds",
        "forwards::a_port_that_somebody_else_holds_is_not_taken",
        "script::a_list_of_forwards_that_fails_is_not_a_list_without_any",
    ),
    "Logs": ("script::a_log_is_taken_up_where_it_was_lost_without_a_line_twice",),
    "Life of a sandbox": (
        "life::each_field_has_its_place_on_the_row",
        "life::words_nobody_knows_are_shown_as_they_are_and_listed",
        "grpc::the_life_of_a_sandbox_is_told_by_a_gateway_of_0_1",
        "stand_in::a_crash_loop_is_shown_with_its_count_and_never_as_plain_ready",
    ),
    "What start and stop accept": (
        "life::only_what_the_gateway_accepts_is_sent",
        "life::a_refusal_of_the_gateway_says_what_is_left_to_do",
        "stand_in::a_start_is_sent_where_it_is_taken_and_nowhere_else",
        "stand_in::a_wait_ends_with_the_gateways_own_deadline",
        "confirmed::a_sandbox_is_stopped_on_purpose_and_sleeps_by_design",
    ),
    "Network rules": (
        "rules::the_first_of_the_right_sandbox_is_decided_after_being_shown",
        "rules::what_a_decision_would_change_stands_beside_the_rule",
        "rules::words_of_the_agent_that_could_pass_for_a_rule_are_not_put_to_decision",
    ),
    "NemoClaw": (
        "lists::a_reservation_is_no_sandbox_and_never_the_default",
        "lists::every_register_is_read_and_a_bad_one_spoils_no_other",
        "lists::an_entry_that_contradicts_itself_is_used_for_nothing",
        "lists::a_dashboard_port_is_only_taken_where_it_is_this_ones",
        "lists::the_environment_names_the_default_before_the_register",
        "lists::a_default_that_was_replaced_is_said",
        "lists::the_ports_of_hermes_are_its_own",
        "lists::what_nemoclaw_knows_is_told_without_a_secret",
        "forwards::a_forward_of_nemoclaw_is_left_to_nemoclaw",
        "confirmed::what_nemoclaw_notes_as_stopped_is_asleep_and_says_by_whom",
    ),
    "Agent inside": (
        "confirmed::a_reconnect_says_of_the_agent_what_it_proved_and_what_it_did_not",
        "confirmed::a_terminal_agent_is_never_asked",
        "confirmed::a_living_agent_whose_dashboard_cannot_be_reached_is_said_to_be_so",
    ),
    "NemoClaw recover": (
        "confirmed::nemoclaws_repair_is_told_beforehand_done_once_and_proven_by_the_agent",
        "confirmed::an_older_nemoclaw_is_said_to_make_containers_anew",
        "confirmed::what_nemoclaw_says_when_it_fails",
    ),
    "Gateway states": (
        "judge::the_five_states_of_nemoclaw",
        "judge::every_standing_is_shown_and_ours_never_start_anything",
    ),
    "Sandbox states": ("judge::what_get_answers_is_reconciled",),
    "Reconnect order": (
        "script::a_dead_gateway_is_started_then_the_sandbox_reached",
        "judge::identity_drift_is_final_and_its_advice_is_for_one_sandbox",
    ),
    "Phases": (
        "judge::every_phase_has_a_state_and_a_reason",
        "script::ready_with_a_dead_supervisor_is_not_success",
    ),
    "Calls over gRPC": ("grpc::both_lines_of_the_stubs_are_spoken",),
    "Sign-in": (
        "grpc::where_it_cannot_be_spoken_the_cli_is_enough",
        "not_known::a_refused_login_asks_for_a_sign_in_and_starts_nothing",
    ),
    "Offline outputs": ("contract::a_recorded_row_is_what_was_heard_and_how_it_is_understood",),
    "Real command in tests": ("real::a_killed_gateway_is_started_and_the_sandbox_proven",),
}


@cache
def names_in(name: str) -> frozenset[str]:
    """The tests in the file of that name, without their prefix."""
    found = [ROOT / place / f"test_{name}.py" for place in (UNIT, INTEGRATION)]
    (path,) = [one for one in found if one.exists()]
    tree = ast.parse(path.read_text("utf-8"))
    functions = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name.removeprefix("test_") for one in functions)


def test_every_heading_has_its_tests() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(ROWS) == set(headings)


@pytest.mark.parametrize("heading", ROWS)
def test_the_tests_of_a_heading_are_there(heading: str) -> None:
    missing = [
        one for one in ROWS[heading] if one.split("::")[1] not in names_in(one.split("::")[0])
    ]
    assert not missing
