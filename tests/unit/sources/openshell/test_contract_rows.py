"""Every row of what is known of OpenShell and NemoClaw, and the test that holds it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
PAGE = ROOT / "docs" / "upstream" / "openshell.md"
PLACES = (
    *("tests/unit/sources/openshell", "tests/integration/sources/openshell"),
    "tests/pilot",
)
ROWS: dict[str, dict[str, str]] = {
    "Checked versions": {
        "each recorded version says which it is": "contract::every_version_says_which_it_is",
    },
    "Generations": {
        "commands, JSON and wake of 0.0.16, 0.0.44, 0.0.99, 0.0.111": (
            "judge::a_version_is_known_by_what_it_can_do"
        ),
        "the first generation has no list and a start of its own": (
            "judge::the_first_generation_is_judged_as_nemoclaw_does"
        ),
        "gRPC of 0.0 and of 0.1 are both spoken, never mixed": (
            "grpc::both_lines_of_the_stubs_are_spoken"
        ),
        "lines are compared each against each; a newer one is looked at only": (
            "judge::generations_that_must_not_be_mixed_are_told_apart"
        ),
    },
    "Detecting a generation": {
        "version, start, list, wake are asked of the help": (
            "judge::a_version_is_known_by_what_it_can_do"
        ),
        "a replaced binary is asked again": "script::a_replaced_cli_is_asked_again",
        "a command that hangs is not a gateway that does": (
            "script::a_cli_that_hangs_is_told_from_a_gateway_that_does"
        ),
    },
    "Finding the command": {
        "PATH, then three places": "lists::the_command_is_found_in_the_order_of_nemoclaw",
        "nowhere: one sentence": "script::without_a_cli_there_is_one_sentence",
    },
    "Configuration folder": {
        "metadata.json and active_gateway": "lists::registrations_are_read_from_the_folder",
        "OPENSHELL_GATEWAY and its kin reach no child": "lists::the_environment_chooses_no_gateway",
        "last_sandbox": "lists::the_last_used_sandbox_is_known_while_its_gateway_is_down",
        "a name always stands in the argv, and is one": (
            "script::names_that_are_no_names_never_reach_a_command_line"
        ),
    },
    "Text and exit codes": {
        "boxes, gutters, wrapped words": (
            "judge::a_wrapped_sentence_is_one_sentence_whatever_the_locale"
        ),
        "the first sentence, no usage, address or library word": (
            "judge::a_reason_is_the_first_sentence_and_no_usage_address_or_library_word"
        ),
        "1 and 255 alone tell nothing of the remote command": (
            "lists::the_clis_own_end_is_told_from_the_shells"
        ),
        "more than can be read is named": "script::a_flood_of_output_is_named",
    },
    "Reading lists": {
        "tables of 0, 1, 2 and many rows, long names, colours": (
            "lists::what_was_printed_is_what_is_read"
        ),
        "a table that does not fit its header": (
            "lists::a_table_that_does_not_fit_its_header_is_not_known"
        ),
        "a column before SANDBOX": "lists::a_column_before_the_name_is_its_workspace",
        "PORT or PID that is no number": "lists::a_line_without_a_port_is_counted_and_names_none",
        "array in B, object in C": "lists::later_lists_are_wrapped_paged_and_have_reasons",
        "gateway list as text": "judge::registered_gateways_are_read_from_the_table",
        "gateway list as JSON": "judge::registered_gateways_are_read_from_json",
        "forward list as JSON of C": "lists::forwards_are_read_from_table_and_json",
        "a notice before JSON": "judge::a_notice_before_json_is_told_and_spoils_nothing",
        "unreadable JSON is that call's alone": "lists::what_is_not_a_list_is_named",
        "pages by offset, by token, or none": "script::pages_are_asked_for_as_the_help_offers_them",
        "--limit against --page-size": "stand_in::no_flag_is_sent_that_the_help_does_not_offer",
        "a list that changes between two pages": (
            "script::no_row_is_missed_where_the_list_changes_between_two_pages"
        ),
        "a list that never ends": (
            "script::a_list_that_never_stands_still_is_not_known_and_the_rows_are_old"
        ),
        "list: server error, full, usage, unreadable, forbidden": (
            "not_known::a_list_that_fails_is_not_an_empty_one_and_the_name_is_asked_for"
        ),
        "list: sign-in refused": "not_known::a_refused_login_asks_for_a_sign_in_and_starts_nothing",
        "list: all workspaces denied": (
            "script::where_all_workspaces_are_denied_the_own_one_is_listed_and_the_rest_not_known"
        ),
        "gateway list fails": "not_known::registrations_that_cannot_be_listed_are_not_none",
        "one gateway silent, one without the name": (
            "script::a_gateway_that_does_not_say_is_not_one_without_the_name"
        ),
        "a register of NemoClaw's cannot be read": (
            "lists::a_register_is_absent_corrupt_empty_or_filled"
        ),
    },
    "Starting a gateway": {
        "configured, packaged, brew, snap, elsewhere, supervised": (
            "lists::a_start_is_only_offered_where_the_service_is_known"
        ),
        "where nothing here starts it: the command to run": (
            "judge::a_gateway_nobody_can_start_comes_with_the_command"
        ),
        "destroy, --recreate, onboard: never": (
            "script::nothing_is_ever_destroyed_and_looking_never_acts"
        ),
    },
    "Status": {
        "nothing registered, healthy, refused, silent, other server, sign-in, CA, files": (
            "judge::a_status_is_judged_by_words_never_by_its_exit_code"
        ),
        "almost right is not health": (
            "judge::a_status_that_is_almost_right_is_not_taken_for_health"
        ),
        "a silent port": "real::a_silent_port_is_hung_and_restarts_nothing",
        "stopped in mid-life": "not_known::a_stopped_gateway_is_hung_and_nothing_is_started_for_it",
        "killed": "not_known::a_killed_gateway_is_down_and_only_a_verb_starts_it",
        "another program on the port": (
            "real::another_program_on_the_port_is_not_taken_for_a_gateway"
        ),
        "degraded": "grpc::a_degraded_gateway_is_named",
        "all of it in a live panel, within five seconds": (
            "openshell_faults::each_fault_has_its_true_name_in_time_and_nothing_is_done_for_it"
        ),
    },
    "Error phrases": {
        "each class of words": "judge::what_was_recorded_is_understood",
        "their order": "judge::words_are_tried_in_their_order",
        "new words of TLS are TLS": "certificates::new_words_of_tls_are_tls_whatever_else_is_said",
    },
    "TLS faults": {
        "client expired, early, of another CA; key; file missing; CA; server; name; plain": (
            "openshell_faults::each_fault_has_its_true_name_in_time_and_nothing_is_done_for_it"
        ),
        "their words, also as alerts": (
            "certificates::each_fault_of_tls_has_its_name_and_only_a_refusal_is_startable"
        ),
        "only a closed port is startable, whatever is said": (
            "certificates::no_words_but_a_refused_connection_are_ever_startable"
        ),
        "an expired server blames no sandbox and no identity": (
            "certificates::an_expired_gateway_certificate_blames_no_sandbox_and_no_identity"
        ),
        "a CA that was rotated": "real::a_rotated_certificate_is_told_from_a_dead_gateway",
    },
    "Certificates": {
        "dates on disk come before words": "certificates::files_on_disk_come_before_words",
        "seven days ahead": "certificates::days_left_are_told_before_they_run_out",
        "read again once changed": "certificates::a_file_is_read_again_only_once_it_has_changed",
        "without the library: date not known": (
            "certificates::without_the_library_the_dates_are_not_known_and_nothing_is_made_up"
        ),
        "the packaged gateway's own folder": (
            "certificates::the_packaged_gateways_own_files_are_read_for_its_own_address_alone"
        ),
        "plain text and tokens need none": "certificates::plain_text_and_tokens_need_no_bundle",
    },
    "Shells": {
        "exec --tty on a terminal of ours": "script::a_shell_runs_on_a_terminal_of_ours",
        "resize and loss": "real::a_shell_knows_its_size_and_its_loss",
        "given up by the command: lost, not ended": (
            "script::a_shell_the_cli_gives_up_is_lost_not_ended"
        ),
        "attaching warns, and leaving ends nothing": (
            "commands::attaching_from_the_command_line_asks_first"
        ),
        "one command: its output and its code": "script::a_command_has_its_output_and_its_code",
    },
    "Forwards": {
        "whose it is: by the id in its file; r mends exactly the dead one": (
            "forwards::two_registers_two_gateways_one_name_and_exactly_the_dead_forward_is_mended"
        ),
        "no id and two of the name: nobody's": (
            "forwards::a_forward_that_names_no_sandbox_is_acted_on_by_nobody_where_two_have_its_name"
        ),
        "the folder: both depths, bounds, links": (
            "forwards::what_stands_in_the_folder_is_read_with_bounds"
        ),
        "a port somebody else holds": "forwards::a_port_that_somebody_else_holds_is_not_taken",
        "a list of them that fails": (
            "script::a_list_of_forwards_that_fails_is_not_a_list_without_any"
        ),
        "stop with the name, then start": (
            "script::the_dead_port_is_started_again_and_no_other_number"
        ),
        "none can be had: the connect stands": (
            "script::a_port_that_cannot_be_had_does_not_fail_the_connect"
        ),
    },
    "Logs": {
        "lines have an instant": "lists::log_lines_have_an_instant",
        "taken up without a line twice": (
            "script::a_log_is_taken_up_where_it_was_lost_without_a_line_twice"
        ),
        "across the death of the gateway": "real::a_log_survives_the_death_of_its_gateway",
    },
    "Life of a sandbox": {
        "completed, exit codes, restarts, next try, configuration, provisioning, endpoints": (
            "life::each_field_has_its_place_on_the_row"
        ),
        "a condition that is False beside another reason": (
            "life::a_refused_configuration_and_a_restart_are_never_lost_beside_another_reason"
        ),
        "a field not set is not zero": (
            "life::details_hold_everything_that_was_told_and_no_zero_that_was_not"
        ),
        "unknown last_result, recovery, phase": (
            "life::words_nobody_knows_are_shown_as_they_are_and_listed"
        ),
        "hostile values": "life::whatever_stands_in_these_fields_the_row_is_there",
        "over gRPC of 0.1.5": "grpc::the_life_of_a_sandbox_is_told_by_a_gateway_of_0_1",
        "a crash loop is never plain ready (stand-in)": (
            "stand_in::a_crash_loop_is_shown_with_its_count_and_never_as_plain_ready"
        ),
    },
    "What start and stop accept": {
        "each phase and reason, B and C": "life::only_what_the_gateway_accepts_is_sent",
        "ContainerStopped and ContainerRuntimeRestart": (
            "life::a_container_stopped_beneath_it_asks_for_the_gateways_service"
        ),
        "each refusal": "life::a_refusal_of_the_gateway_says_what_is_left_to_do",
        "nothing is sent where it is refused (stand-in)": (
            "stand_in::a_start_is_sent_where_it_is_taken_and_nowhere_else"
        ),
        "a refusal all the same is final (stand-in)": (
            "stand_in::a_refusal_that_comes_all_the_same_is_final_and_says_so"
        ),
        "the wait has the gateway's deadline (stand-in)": (
            "stand_in::a_wait_ends_with_the_gateways_own_deadline"
        ),
        "stop": "confirmed::a_sandbox_is_stopped_on_purpose_and_sleeps_by_design",
        "stop: only from Ready": "confirmed::only_a_ready_one_is_stopped",
    },
    "Network rules": {
        "get, approve, reject": (
            "rules::the_first_of_the_right_sandbox_is_decided_after_being_shown"
        ),
        "what a decision changes": "rules::what_a_decision_would_change_stands_beside_the_rule",
        "changed meanwhile": "rules::what_has_changed_since_is_not_decided",
        "an agent's words as a rule": (
            "rules::words_of_the_agent_that_could_pass_for_a_rule_are_not_put_to_decision"
        ),
        "pending on the right row": "rules::the_row_of_the_right_sandbox_says_that_rules_wait",
        "history": "rules::the_gateways_own_history_of_rules_is_read_with_its_instants",
        "the real command decides and remembers": "rules::the_real_command_decides",
    },
    "NemoClaw": {
        "roots: base, ports, bounds, links, 17 MiB": (
            "lists::every_register_is_read_and_a_bad_one_spoils_no_other"
        ),
        "pendingRouteReservation": "lists::a_reservation_is_no_sandbox_and_never_the_default",
        "gatewayPort and gatewayName that disagree": (
            "lists::an_entry_that_contradicts_itself_is_used_for_nothing"
        ),
        "dashboardPort number, null, 0, missing": (
            "lists::a_dashboard_port_is_only_taken_where_it_is_this_ones"
        ),
        "dashboardPort null: no forward": "script::a_sandbox_without_a_dashboard_gets_no_forward",
        "Hermes' two ports": "lists::the_ports_of_hermes_are_its_own",
        "stopped on purpose": (
            "confirmed::what_nemoclaw_notes_as_stopped_is_asleep_and_says_by_whom"
        ),
        "agent, provider, model, GPU proof, channels, address; no secret": (
            "lists::what_nemoclaw_knows_is_told_without_a_secret"
        ),
        "later fields are ignored": "lists::a_register_keeps_what_later_versions_add",
        "a default that is not there": "lists::a_default_that_was_replaced_is_said",
        "the environment's default": "lists::the_environment_names_the_default_before_the_register",
        "receipts: its own forwards are left alone": (
            "forwards::a_forward_of_nemoclaw_is_left_to_nemoclaw"
        ),
    },
    "NemoClaw commands": {
        "--version and help alone are probes; what the help lacks is not called": (
            "confirmed::a_command_that_the_help_does_not_list_is_never_called"
        ),
        "status and doctor: the JSON decides": (
            "confirmed::what_nemoclaw_reports_is_read_from_its_json_whatever_it_ended_with"
        ),
        "start, stop, gateway restart: told, once, proven": (
            "confirmed::what_else_nemoclaw_does_is_told_beforehand_and_done_once"
        ),
        "logs, launch, rebuild, dashboard-url: text": (
            "confirmed::what_is_left_to_the_operators_own_terminal_is_text_to_copy"
        ),
    },
    "Agent inside": {
        "JSON with its words, never a bare 200 or 401": (
            "agent_question::only_json_with_its_words_is_believed"
        ),
        "no curl, other words: not known": "agent_question::what_says_nothing_is_not_known",
        "Hermes by its own words": "agent_question::hermes_is_asked_in_its_own_way",
        "on a key or after a repair, never on a timer": (
            "agent_question::a_reconnect_asks_once_and_a_look_never"
        ),
        "terminal agents are not asked": "confirmed::a_terminal_agent_is_never_asked",
        "alive inside, dashboard not reachable": (
            "confirmed::a_living_agent_whose_dashboard_cannot_be_reached_is_said_to_be_so"
        ),
    },
    "NemoClaw recover": {
        "asked first, alone, once, proven; no NON_INTERACTIVE": (
            "confirmed::nemoclaws_repair_is_told_beforehand_done_once_and_proven_by_the_agent"
        ),
        "exit 0 is no proof": (
            "confirmed::an_exit_of_0_without_an_answer_of_the_agent_is_no_success"
        ),
        "below 0.0.126 it may re-create; below 0.0.129 the port": (
            "confirmed::an_older_nemoclaw_is_said_to_make_containers_anew"
        ),
        "busy, final, anything else": "confirmed::what_nemoclaw_says_when_it_fails",
        "not installed": "confirmed::without_nemoclaw_there_is_nothing_to_agree_to",
    },
    "Gateway states": {
        "NemoClaw's five": "judge::the_five_states_of_nemoclaw",
        "ours start nothing": "judge::every_standing_is_shown_and_ours_never_start_anything",
    },
    "Sandbox states": {
        "present, missing, drift, gateway gone, unknown": "judge::what_get_answers_is_reconciled",
        "drift is final and about one sandbox": (
            "judge::identity_drift_is_final_and_its_advice_is_for_one_sandbox"
        ),
    },
    "Reconnect order": {
        "dead: start, get, forward, connect": (
            "script::a_dead_gateway_is_started_then_the_sandbox_reached"
        ),
        "healthy: nothing is started": (
            "script::a_healthy_sandbox_is_connected_without_starting_anything"
        ),
        "first generation: select, start, select": (
            "script::the_first_generation_selects_starts_and_says_what_was_active"
        ),
        "no name: the default": (
            "commands::without_a_name_it_is_nemoclaws_default_and_a_name_counts_more"
        ),
        "one repair of a gateway at a time": "script::many_presses_on_one_gateway_start_it_once",
    },
    "Phases": {
        "all fourteen words and numbers": "judge::every_phase_has_a_state_and_a_reason",
        "hostile phases": "judge::a_phase_is_a_word_whatever_was_sent",
        "Ready over a dead supervisor": "script::ready_with_a_dead_supervisor_is_not_success",
    },
    "Calls over gRPC": {
        "every page": "grpc::every_page_is_read",
        "both lines of stubs": "grpc::both_lines_of_the_stubs_are_spoken",
        "a wire that says nothing costs no row": (
            "grpc::a_wire_that_says_nothing_costs_the_reasons_and_no_row"
        ),
    },
    "Sign-in": {
        "mutual TLS": "grpc::the_client_shows_its_certificate",
        "not spoken: the command is enough": "grpc::where_it_cannot_be_spoken_the_cli_is_enough",
        "refused: told, nothing started": (
            "not_known::a_login_without_a_right_is_named_by_the_real_command_too"
        ),
    },
    "The next line": {
        "upgrade-check: text, only where the help has it": (
            "judge::the_check_before_0_2_is_text_to_copy_where_the_help_has_it"
        ),
    },
    "Offline outputs": {
        "nothing configured, port refused; each command": (
            "contract::a_recorded_row_is_what_was_heard_and_how_it_is_understood"
        ),
    },
    "Real command in tests": {
        "killed, started, proven": "real::a_killed_gateway_is_started_and_the_sandbox_proven",
        "every generation names a dead gateway": "real::every_generation_names_a_dead_gateway",
    },
}
"""Heading, row in our words, test."""


@cache
def names_in(name: str) -> frozenset[str]:
    """The tests in the file of that name, without their prefix."""
    found = [ROOT / place / f"test_{name}.py" for place in PLACES]
    (path,) = [one for one in found if one.exists()]
    tree = ast.parse(path.read_text("utf-8"))
    functions = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name.removeprefix("test_") for one in functions)


def test_every_heading_has_its_rows() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(ROWS) == set(headings) and all(ROWS.values())


@pytest.mark.parametrize("heading", ROWS)
def test_the_test_of_each_row_is_there(heading: str) -> None:
    missing = {
        row: test
        for row, test in ROWS[heading].items()
        if test.split("::")[1] not in names_in(test.split("::")[0])
    }
    assert not missing
