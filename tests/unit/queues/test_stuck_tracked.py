"""The three rules for a stuck agent on one table of rows (upstream/nanoclaw: Generations)."""

from __future__ import annotations

import pytest

from services.queues.stuck import ProcessingClaim, StuckAction, decide, decide_tracked, working
from services.queues.timestamps import sqlite_utc

NOW = 1_795_194_300.0
MINUTE = 60.0
OK, CEILING, CLAIM = StuckAction.OK, StuckAction.KILL_CEILING, StuckAction.KILL_CLAIM


@pytest.mark.parametrize(
    ("beat", "claim", "tracked", "by_heartbeat", "by_start", "durable"),
    [
        # Ages in seconds; None: there is none.
        (None, None, 29 * MINUTE, OK, OK, OK),
        (None, None, 30 * MINUTE, OK, OK, OK),
        (None, None, 31 * MINUTE, OK, CEILING, CEILING),
        (5.0, None, 99 * MINUTE, OK, OK, OK),
        (31 * MINUTE, None, 99 * MINUTE, CEILING, CEILING, CEILING),
        (31 * MINUTE, None, 5 * MINUTE, CEILING, CEILING, OK),  # adopted: its beat is older
        (31 * MINUTE, None, 31.0 * MINUTE - 1, CEILING, CEILING, CEILING),
        (None, 61.0, 10 * MINUTE, CLAIM, CLAIM, CLAIM),
        (None, 10 * MINUTE, 30.0, CLAIM, CLAIM, OK),  # an inherited claim gets a fresh minute
        (None, 10 * MINUTE, 61.0, CLAIM, CLAIM, CLAIM),
        (9 * MINUTE, 10 * MINUTE, 61.0, OK, OK, CLAIM),  # its protection is older than the host
        (30.0, 10 * MINUTE, 61.0, OK, OK, OK),
        (10 * MINUTE, 10 * MINUTE, 20 * MINUTE, CLAIM, CLAIM, CLAIM),  # a beat no later is no sign
    ],
)
def test_each_generation_decides_by_its_own_rule(
    beat: float | None,
    claim: float | None,
    tracked: float,
    by_heartbeat: StuckAction,
    by_start: StuckAction,
    durable: StuckAction,
) -> None:
    now, heart = NOW * 1000, None if beat is None else (NOW - beat) * 1000
    claims = () if claim is None else (ProcessingClaim("m", sqlite_utc(NOW - claim)),)
    since = (NOW - tracked) * 1000
    assert decide(now, heart, None, claims).action is by_heartbeat
    assert decide_tracked(now, heart, None, claims, since, durable=False).action is by_start
    assert decide_tracked(now, heart, None, claims, since, durable=True).action is durable


def test_a_heartbeat_of_a_clock_that_was_set_back_is_no_sign_of_work() -> None:
    assert working(1000.0, 999.0, "", ())
    assert working(1000.0, 1001.0, "", ()), "clocks of two processes differ a little"
    assert not working(1000.0, 4600.0, "", ())
    assert working(1000.0, 4600.0, "Bash", ())
