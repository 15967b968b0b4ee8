"""What changed upstream since 2.0.64, row by row, and the test that holds what is said of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3]
GENERATIONS = "integration/sources/nanoclaw/test_generations.py"
COORDINATION = "integration/sources/nanoclaw/test_coordination.py"
REAL = "integration/sources/nanoclaw/test_real_docker.py"
OBSERVER = "integration/sources/nanoclaw/test_observer.py"
USAGE = "integration/sources/nanoclaw/test_usage_and_health.py"
TASKS = "integration/sources/nanoclaw/test_task_details.py"
LOG = "unit/sources/nanoclaw/test_host_log.py"
NUDGE = "unit/sources/nanoclaw/test_engagement.py"
STUCK = "unit/queues/test_stuck_tracked.py"

DRIFT = {
    "which it is: the code on disk may be newer than the host": (
        f"{USAGE}::test_the_host_says_how_its_install_is"
    ),
    "which it is: each rule by its own mark, none where nothing tells": (
        f"{GENERATIONS}::test_starved_is_judged_by_the_runner_that_is_installed"
    ),
    "the upgrade tripwire, host up": (
        f"{GENERATIONS}::test_a_host_that_will_refuse_its_next_start_says_so"
    ),
    "the upgrade tripwire, host down": (
        f"{GENERATIONS}::test_a_host_that_refused_to_start_has_not_crashed"
    ),
    "containers: names without a time, age from the runtime": (
        f"{GENERATIONS}::test_a_young_container_of_the_new_names_is_starting_and_no_orphan"
    ),
    "containers: session by label; auxiliaries and two agents": (
        f"{GENERATIONS}::test_two_agents_are_said_and_other_roles_are_not_counted"
    ),
    "containers: created, paused, restarting, dead": (
        f"{GENERATIONS}::test_what_a_container_does_is_its_own_word"
    ),
    "containers: a moment in which row and list differ": (
        f"{GENERATIONS}::test_a_container_that_ends_is_ending_and_one_that_stays_is_an_orphan"
    ),
    "containers: an empty answer of another daemon": (
        f"{GENERATIONS}::test_an_empty_list_beside_a_live_agent_is_another_daemons"
    ),
    "containers: a daemon that is replaced": (
        f"{REAL}::test_a_daemon_that_is_replaced_is_said_to_be_another"
    ),
    "containers: another kind of runtime": (
        f"{COORDINATION}::test_sessions_that_run_on_something_else_are_not_read_from_docker"
    ),
    "a host's start: all stopped, to 2.2": (
        f"{GENERATIONS}::"
        "test_a_heartbeat_older_than_the_host_is_no_life_where_a_start_stops_everything"
    ),
    "a host's start: adoption, and rows of what vanished": (
        f"{GENERATIONS}::test_a_stale_row_older_than_the_host_says_that_it_was_restarted"
    ),
    "stuck: no heartbeat, by generation": (
        f"{GENERATIONS}::test_a_container_that_was_never_active_says_what_ends_it"
    ),
    "stuck: the three rules on one table": (
        f"{STUCK}::test_each_generation_decides_by_its_own_rule"
    ),
    "stuck: an inherited claim gets a fresh minute": (
        f"{GENERATIONS}::test_a_host_that_claims_its_sessions_counts_from_its_own_start"
    ),
    "order of work: starved, old and new": (
        f"{GENERATIONS}::test_starved_is_judged_by_the_runner_that_is_installed"
    ),
    "order of work: echoes of a sister session": (
        f"{COORDINATION}::test_echoes_of_another_session_are_context_and_no_message"
    ),
    "values: cancelled, and words nobody knows": (
        f"{GENERATIONS}::test_words_nobody_knows_are_shown_as_they_are"
    ),
    "values: a script that failed, before and after the copy": (
        f"{GENERATIONS}::test_a_failed_script_of_a_task_is_said_before_and_after_the_sync"
    ),
    "values: the run log's rows, and messages without an address": (
        f"{GENERATIONS}::test_rows_of_a_run_log_are_no_messages"
    ),
    "values: deliver_after as text and as an instant": (
        f"{GENERATIONS}::test_times_of_deliveries_are_compared_as_that_host_does"
    ),
    "values: stamps of both spellings": (
        "unit/queues/test_timestamps.py::test_every_spelling_of_an_instant_is_that_instant"
    ),
    "values: failed deliveries are in the row": (
        f"{GENERATIONS}::test_lost_replies_are_in_the_row_and_need_a_person"
    ),
    "deliveries: attempts that outlive a restart": (
        f"{COORDINATION}::test_a_delivery_that_is_retried_says_how_often_when_and_why"
    ),
    "tasks: named by series, runs and failures, spent ones folded away": (
        f"{GENERATIONS}::test_tasks_are_named_by_their_series_and_spent_ones_are_folded_away"
    ),
    "tasks: paused, by whom": (
        f"{GENERATIONS}::test_a_paused_task_needs_a_person_where_it_kept_failing"
    ),
    "tasks: asked of the host when details are opened, never by a poll round": (
        f"{TASKS}::test_details_of_a_task_are_asked_of_the_host_and_by_no_poll_round"
    ),
    "tasks: a host that does not know the question": (
        f"{TASKS}::test_where_the_host_does_not_tell_the_end_of_the_run_log_is_read"
    ),
    "tasks: the run log is told, its links are not followed": (
        f"{TASKS}::test_no_link_is_followed_to_a_run_log"
    ),
    "tasks: no nudge": f"{NUDGE}::test_what_would_not_wake_is_refused_with_the_reason",
    "chats: several bots on one platform": (
        f"{NUDGE}::test_what_would_not_wake_is_refused_with_the_reason"
    ),
    "approvals: the reason is awaited, one person alone decides, other words": (
        f"{GENERATIONS}::test_approvals_are_said_by_their_status"
    ),
    "several hosts: leases": f"{COORDINATION}::test_leases_are_a_second_witness_beside_the_socket",
    "several hosts: a claim is no fact": (
        f"{COORDINATION}::test_a_claim_alone_never_makes_a_session_run"
    ),
    "several hosts: orders to stop": f"{COORDINATION}::test_an_order_to_stop_is_said",
    "several hosts: wake signals": (
        f"{COORDINATION}::test_a_wake_that_was_asked_for_is_said_until_a_host_takes_it_up"
    ),
    "mailboxes of other kinds": f"{GENERATIONS}::test_a_mailbox_of_another_kind_is_never_empty",
    "central data elsewhere: the host's lists": (
        f"{OBSERVER}::test_another_users_database_is_asked_of_the_host"
    ),
    "tokens and cost, and what was not reported": (
        f"{USAGE}::test_sessions_say_what_they_cost_and_the_host_sums_them"
    ),
    "log: why a start failed, at once": (
        f"{GENERATIONS}::test_the_first_failed_start_says_why_at_once"
    ),
    "log: one state while it is tried again": (
        f"{GENERATIONS}::test_a_crash_loop_is_one_state_while_the_host_tries_again"
    ),
    "log: exits with a code, and docker's own": (
        f"{LOG}::test_a_container_that_exits_with_a_code_is_a_trouble"
    ),
    "a real runtime: twenty ordinary ends": f"{REAL}::test_ordinary_ends_raise_no_alarm",
    "a real runtime: exit codes": f"{REAL}::test_what_runs_inside_ends_with_its_own_code",
}


@pytest.mark.parametrize("change", DRIFT)
def test_every_change_has_a_test_that_exists(change: str) -> None:
    place, name = DRIFT[change].split("::")
    assert re.search(rf"^(async )?def {name}\(", (TESTS / place).read_text("utf-8"), re.MULTILINE)
