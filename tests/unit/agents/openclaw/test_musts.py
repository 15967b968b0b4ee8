"""Everything the OpenClaw source has to do and never does, and the test that holds each."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
PLACES = (
    "tests/unit/agents/openclaw",
    "tests/integration/sources/openclaw",
    "tests/integration/sources/openshell",
)
MUSTS: dict[str, dict[str, str]] = {
    "Finding gateways": {
        "the default directory and every profile, each a row of its own": (
            "gateways::profiles_are_gateways_of_their_own"
        ),
        "one by its address": "gateways::one_by_its_address",
        "a lock is held by a living process of that start alone": (
            "gateways::a_number_that_lives_is_not_the_process_of_the_lock"
        ),
        "a zombie holds nothing": "gateways::a_suspended_process_and_a_dead_one",
        "another user's lock is not known to be held": (
            "nevers::the_lock_of_another_user_is_not_known_to_be_held"
        ),
        "held lock, then configuration, then the default port": (
            "nevers::the_port_is_that_of_a_held_lock_and_else_of_the_configuration"
        ),
        "a remote one is not down here": "gateways::a_gateway_that_is_elsewhere_is_not_down",
        "no tunnel, no browsing, no command on a look": (
            "nevers::a_look_runs_no_program_where_its_gateway_answers"
        ),
        "plain ws to this machine alone": "gateways::an_address_that_may_not_be_asked",
        "the pinned certificate and no other": (
            "far::another_certificate_is_unknown_and_is_shown_nothing"
        ),
        "two locks on one port are said in both rows": (
            "gateways::two_locks_on_one_port_are_said_in_both_rows"
        ),
    },
    "Probes": {
        "JSON with its word, never a bare 200": "probes::health",
        "a page on its port is something else": "gateways::a_page_on_the_port_is_no_gateway",
        "two misses count": "probes::silence_and_refusal_count_at_the_second",
        "a late event loop at the third look over 15 s": (
            "nevers::a_late_event_loop_is_believed_at_the_third_look_over_a_quarter_of_a_minute"
        ),
        "a channel that is down while ready is true": (
            "told::a_channel_that_is_down_while_ready_is_true"
        ),
        "GET without a credential": (
            "gateways::a_gateway_that_holds_its_lock_and_answers_is_ready"
        ),
        "before it has started it is asked over HTTP alone": "told::a_restart_is_followed",
    },
    "Connecting": {
        "connect comes after the challenge": "connection::nothing_is_sent_before_the_challenge",
        "closed fields, id and mode `cli`, no caps": "wire::connecting_asks_for_reading_alone",
        "codes decide, not words": "nevers::a_refusal_is_judged_by_its_code_and_not_by_its_words",
        "the scopes of the answer decide": "link::without_the_right_to_read_nothing_is_asked",
        "a restart is another boot": "told::a_restart_is_asked_about_with_what_it_ends",
        "1 s, doubling to 30 s, with jitter": "link::each_failure_waits_longer_to_half_a_minute",
        "after a refusal not again until something is another": (
            "told::a_token_that_changes_while_it_runs"
        ),
        "never `operator.admin` nor approvals": (
            "link::whatever_comes_nothing_is_sent_but_what_reads_and_seldom"
        ),
        "a device is proven as the gateway verifies it": (
            "wire::a_device_signs_what_a_gateway_verifies"
        ),
        "a key is made on the operator's word alone": (
            "far::a_key_is_made_and_pairing_asked_for_on_the_operators_word_alone"
        ),
        "never a device on its own machine": (
            "far::on_this_machine_the_operators_word_makes_no_key"
        ),
        "pairing is tried for a while and not for ever": (
            "far::a_pairing_that_nobody_approves_is_not_asked_for_for_ever"
        ),
    },
    "Credentials": {
        "only where the table says so": "told::without_a_credential_nothing_is_connected",
        "only to a proven listener": "told::no_credential_is_shown_to_what_is_not_proven",
        "in no log, row or word of a command": (
            "nevers::its_credential_is_in_no_row_log_or_word_of_a_command"
        ),
        "databases, `.env`, credentials and agents are not opened": (
            "nevers::nothing_of_it_is_opened_but_its_lock_and_its_configuration"
        ),
        "a key of ours is 0600, in a folder of ours": "far::a_key_is_made_once_and_is_ours_alone",
    },
    "Methods": {
        "none outside the list, by no tick": (
            "link::whatever_comes_nothing_is_sent_but_what_reads_and_seldom"
        ),
        "none at all that does not only read": ("wire::no_method_is_sent_that_does_not_only_read"),
        "none that is refused or not there, again": (
            "link::what_it_does_not_have_or_refuses_is_not_asked_again"
        ),
        "health without `probe`, sessions 60 at most, one connection": (
            "link::its_list_of_sessions_is_bounded_and_no_probe_is_asked_of_it"
        ),
        "config.get once a minute": (
            "told::a_configuration_that_was_saved_is_asked_about_and_no_oftener_than_it_may"
        ),
        "a run decides, never a status": "wire::a_run_is_told_by_its_run_and_not_by_its_status",
        "what was missed is looked up": "told::what_was_missed_is_looked_up",
        "no sign of life: a new connection": (
            "link::a_connection_without_a_sign_of_life_is_made_anew"
        ),
        "conversation is dropped unread": "wire::nothing_of_a_conversation_is_kept",
        "strangers' words are made harmless": (
            "nevers::what_strangers_write_is_harmless_where_it_is_shown"
        ),
        "huge frames and foreign ones": ("told::a_flood_of_what_is_no_frame_ends_the_connection"),
        "answers in any order": "connection::answers_come_in_any_order_and_of_strangers_none",
        "the schema is fuzzed": "wire::an_answer_with_any_field_replaced_is_read_or_left",
    },
    "Acts": {
        "a wake only where its service can start it": (
            "judge::only_what_its_service_can_start_is_startable"
        ),
        "one start, proven by probes": (
            "wake::its_service_is_started_once_and_its_probes_end_the_wake"
        ),
        "never while a lock is held": "wake::a_held_lock_is_never_started_a_second_time",
        "never into a configuration it refuses": (
            "wake::a_configuration_that_is_not_accepted_starts_nothing"
        ),
        "a restart asks for the name and says what it ends": (
            "told::a_restart_is_asked_about_with_what_it_ends"
        ),
        "nothing else is ever run": "nevers::what_is_ever_run_is_named_here",
        "every command has its deadline": "nevers::a_command_that_hangs_is_ended_and_said",
        "in a sandbox of NemoClaw it is asked, and nothing more": (
            "agent_question::a_reconnect_asks_once_and_a_look_never"
        ),
    },
    "States": {
        "the table": "judge::the_table",
        "every row of it is reached": "judge::every_rule_is_reached_by_a_row_of_the_table",
        "nothing is ready without proof": (
            "judge::nothing_is_ready_without_an_answer_that_is_proven"
        ),
        "each in the real gateway": "real_gateway::every_state_has_its_word",
        "TLS, pins and pairing in the real gateway": (
            "real_pairing::a_gateway_on_another_machine_pairs_this_panel_on_the_operators_word"
        ),
    },
}


@cache
def names_in(name: str) -> frozenset[str]:
    """The tests in the file of that name, without their prefix."""
    (path,) = [one for place in PLACES if (one := ROOT / place / f"test_{name}.py").exists()]
    tree = ast.parse(path.read_text("utf-8"))
    functions = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name.removeprefix("test_") for one in functions)


@pytest.mark.parametrize("subject", MUSTS)
def test_the_test_of_each_is_there(subject: str) -> None:
    missing = {
        must: test
        for must, test in MUSTS[subject].items()
        if test.split("::")[1] not in names_in(test.split("::")[0])
    }
    assert not missing
