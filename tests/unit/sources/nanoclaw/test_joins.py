"""A row and a list that disagree are held till both were looked at again; lists are doubted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.queues.timestamps import sqlite_utc
from services.sources.nanoclaw.central_client import CentralReading
from services.sources.nanoclaw.central_db import CentralSnapshot, SessionRow
from services.sources.nanoclaw.client import NoAnswer
from services.sources.nanoclaw.containers import AgentContainer, Listing
from services.sources.nanoclaw.host_judge import HostEvidence
from services.sources.nanoclaw.host_log import StartFailure
from services.sources.nanoclaw.install import Install
from services.sources.nanoclaw.joins import (
    HOLD_S,
    ListBelief,
    container_name,
    hold,
    is_alive,
    trouble_of,
    watch,
)
from services.sources.nanoclaw.judge import CONTAINER_GONE_S
from services.sources.nanoclaw.tracked import PollContext, TrackedSession

NOW = 1_795_194_300.0
KEY = ("g", "s")
BOX = AgentContainer("id", "nanoclaw-v2-x-1", KEY, NOW - 600)
RUNNING = SessionRow("s", "g", None, None, "active", "running")
STOPPED = replace(RUNNING, container="stopped")
EMPTY, FULL = Listing(NOW), Listing(NOW, (BOX,), by_session={KEY: BOX})
UNKNOWN = Listing(NOW, problem="docker does not answer within 8 s")
HERE, GONE = HostEvidence(), HostEvidence(NoAnswer.REFUSED)


def context(
    row: SessionRow | None = RUNNING,
    listing: Listing = EMPTY,
    host: HostEvidence = HERE,
    *,
    known: bool = True,
    at: float = NOW,
    troubles: dict[str, StartFailure] | None = None,
) -> PollContext:
    rows = {} if row is None else {KEY: row}
    reading = CentralReading(CentralSnapshot(), known, at)
    return PollContext(host, listing, reading, {}, rows, troubles or {}, {})


@pytest.mark.parametrize(
    ("told", "contradiction", "held", "alive"),
    [
        (context(listing=FULL), "", False, True),
        (context(STOPPED, FULL), "", False, True),
        (context(None, FULL), "", False, True),
        (context(None), "", False, False),
        (context(STOPPED), "", False, False),
        # The row alone says running: that is not known until both were looked at again.
        (context(), "", False, None),
        (context(), "row", True, None),
        (context(), "row", False, False),
        (context(replace(RUNNING, container="idle")), "row", True, None),
        (context(replace(RUNNING, container="idle")), "row", False, False),
        # Nobody writes the row of a host that is gone.
        (context(host=GONE), "", False, False),
        (context(host=HostEvidence(NoAnswer.ABSENT)), "", False, False),
        (context(host=HostEvidence(NoAnswer.NO_REPLY)), "", False, None),
        # A runtime that says nothing leaves only a row that says stopped.
        (context(listing=UNKNOWN), "", False, None),
        (context(STOPPED, UNKNOWN), "", False, False),
        (context(None, UNKNOWN), "", False, None),
    ],
)
def test_whether_a_container_of_it_runs(
    told: PollContext, contradiction: str, held: bool, alive: bool | None
) -> None:
    one = TrackedSession(KEY, "s", contradiction=contradiction, held=held)
    assert is_alive(told, one) is alive


LATER = NOW + HOLD_S


@pytest.mark.parametrize(
    ("first", "kind", "held"),
    [
        (context(), "row", True),
        (context(replace(RUNNING, container="idle")), "row", True),
        (context(STOPPED, FULL), "list", True),
        (context(listing=FULL), "", False),
        (context(STOPPED), "", False),
        (context(None, FULL), "", False),
        (context(known=False), "", False),
        (context(listing=UNKNOWN), "", False),
        (context(host=GONE), "row", False),
        (context(STOPPED, FULL, GONE), "list", False),
    ],
)
def test_a_contradiction_is_held_and_named(first: PollContext, kind: str, held: bool) -> None:
    one = TrackedSession(KEY, "s")
    assert hold(first, one, NOW - 1, NOW) is held
    assert (one.contradiction, one.held) == (kind, held)


@pytest.mark.parametrize(
    ("row_at", "listed_at", "held"),
    [
        (LATER, LATER, False),
        (LATER - 0.1, LATER, True),
        (LATER, LATER - 0.1, True),
        (LATER - 0.1, LATER - 0.1, True),
    ],
)
def test_it_is_held_until_both_were_looked_at_again(
    row_at: float, listed_at: float, held: bool
) -> None:
    one = TrackedSession(KEY, "s")
    assert hold(context(), one, NOW - 1, NOW)
    again = context(listing=replace(EMPTY, at=listed_at), at=row_at)
    assert hold(again, one, NOW - 1, LATER + 1) is held
    assert one.contradicted_at == NOW
    # The other contradiction begins anew.
    assert hold(context(STOPPED, FULL), one, NOW - 1, LATER + 2)
    assert (one.contradiction, one.contradicted_at) == ("list", LATER + 2)


@pytest.mark.parametrize(
    ("beat", "active", "held"),
    [
        (None, None, False),
        (CONTAINER_GONE_S, None, True),
        (CONTAINER_GONE_S + 1, None, False),
        (None, CONTAINER_GONE_S, True),
        (None, CONTAINER_GONE_S + 1, False),
        (CONTAINER_GONE_S + 1, 1.0, True),
        (1.0, CONTAINER_GONE_S + 1, True),
    ],
)
def test_a_row_whose_agent_has_shown_no_sign_for_long_is_believed_dead(
    beat: float | None, active: float | None, held: bool
) -> None:
    last = None if active is None else sqlite_utc(NOW - active)
    told = context(replace(RUNNING, last_active=last))
    seen = None if beat is None else NOW - beat
    assert hold(told, TrackedSession(KEY, "s"), seen, NOW) is held
    # The list's word needs no sign.
    assert hold(context(STOPPED, FULL), TrackedSession(KEY, "s"), seen, NOW)


def listing(at: float, *boxes: AgentContainer) -> Listing:
    return Listing(NOW + at, boxes)


@pytest.mark.parametrize(
    ("beats", "doubted"),
    [
        ((), False),
        ((5.9,), True),
        ((6.0,), False),
        ((CONTAINER_GONE_S - 1, CONTAINER_GONE_S - 1), True),
        ((CONTAINER_GONE_S - 1, CONTAINER_GONE_S), False),
    ],
)
def test_the_first_list_is_doubted_beside_agents_that_live(
    beats: tuple[float, ...], doubted: bool
) -> None:
    belief = ListBelief()
    said = belief.check(listing(0), [NOW - beat for beat in beats], NOW)
    assert bool(said.problem) is doubted
    if doubted:
        count = "1 agent" if len(beats) == 1 else f"{len(beats)} agents"
        assert f"no container while {count} should run" in said.problem
        # It may be doubted again; one that is not is a list that nothing contradicts.
        assert belief.check(listing(0), [NOW - beat for beat in beats], NOW).problem


def test_a_runtime_that_once_listed_is_doubted_only_where_heartbeats_move_on() -> None:
    belief = ListBelief()
    assert not belief.check(listing(0, BOX), [NOW], NOW).problem
    assert not belief.check(listing(1), [NOW, NOW], NOW + 1).problem
    assert not belief.check(listing(2), [NOW + 1], NOW + 2).problem, "not later than the list"
    assert not belief.check(listing(3), [NOW + 2.5], NOW + 3).problem, "the first that moved"
    assert not belief.check(listing(2.5 + HOLD_S), [NOW + 2.5], NOW + 9).problem, (
        "it did not move on"
    )
    assert not belief.check(listing(2.4 + HOLD_S), [NOW + 7], NOW + 9).problem, "not long enough"
    assert belief.check(listing(2.5 + HOLD_S), [NOW + 7], NOW + 9).problem
    # A list with a container, and one that is not known, begin anew.
    for anew in (listing(9, BOX), replace(listing(9), problem="gone")):
        assert belief.check(anew, [NOW + 9], NOW + 9) is anew
        assert not belief.check(listing(20), [NOW + 9], NOW + 20).problem


def test_a_list_that_is_not_known_is_no_first_list() -> None:
    belief = ListBelief()
    belief.check(UNKNOWN, [NOW], NOW)
    assert belief.check(listing(0), [NOW - 1], NOW).problem
    # A runtime that gave an empty list nothing contradicted is believed the next time.
    belief = ListBelief()
    assert not belief.check(listing(0), [], NOW).problem
    assert not belief.check(listing(0), [NOW - 1, NOW - 1], NOW).problem


def test_the_later_of_two_failures_is_told() -> None:
    install = Install(Path("/srv/nanoclaw"), "0a1b2c3d")
    name = container_name(install, "chat:1")
    assert name == "ncl-0a1b2c3d-chat-1"
    early, late = StartFailure(1.0, "early"), StartFailure(2.0, "late")
    for troubles, expected in (
        ({}, None),
        ({"chat:1": early}, early),
        ({name: early}, early),
        ({"chat:1": early, name: late}, late),
        ({"chat:1": late, name: early}, late),
        ({"chat:1": early, name: replace(early, why="other")}, early),
    ):
        assert trouble_of(context(troubles=troubles), install, "chat:1") == expected


def test_a_container_is_watched_since_it_was_first_seen() -> None:
    one = TrackedSession(KEY, "s")
    assert watch(one, BOX, NOW) == NOW
    assert watch(one, BOX, NOW + 5) == NOW
    assert watch(one, replace(BOX, id="next"), NOW + 6) == NOW + 6
    assert watch(one, None, NOW + 7) is None
    assert watch(one, replace(BOX, id="next"), NOW + 8) == NOW + 8
