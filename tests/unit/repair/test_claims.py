"""What an attempt said of its end, against everything that can be newer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.board.deltas import SourceLink
from services.models import (
    Attempt,
    AttemptState,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
    Verb,
)
from services.repair.claims import overtaken_by

END = 1000.0
BEFORE, AFTER = END - 60, END + 60
BOX = SandboxId("local", "box")
RESULTS = (AttemptState.DONE, AttemptState.FAILED, AttemptState.CANCELLED)


def result(state: AttemptState) -> Attempt:
    return Attempt("1", BOX, Verb.RECONNECT, state, END - 5, ended_at=END)


def row(state: SandboxState, since: float | None, seen: float = AFTER) -> Sandbox:
    reason = "" if state is SandboxState.READY else f"It is {state.value}."
    return Sandbox(BOX, "box", state, reason, seen, since=since)


def way(state: GatewayState, since: float | None, seen: float = AFTER) -> Gateway:
    return Gateway(GatewayId("local", "gate"), "gate", state, "It refuses.", seen, since=since)


WELL = row(SandboxState.READY, BEFORE)
SERVES = way(GatewayState.READY, BEFORE)
LINK = SourceLink("local", connected=True)
HELD, TROUBLE, BETTER = "the result", "the trouble", "the better end"

# What is seen, then what is shown instead of a success, and instead of any other result.
TABLE = {
    "all is well as before": ((WELL, SERVES, LINK), HELD, HELD),
    "it serves since": ((row(SandboxState.READY, AFTER), SERVES, LINK), HELD, BETTER),
    "it serves since, says a stale row": (
        (replace(row(SandboxState.READY, AFTER), stale=True), SERVES, LINK),
        HELD,
        HELD,
    ),
    "it serves since, behind a gateway that does not": (
        (row(SandboxState.READY, AFTER), way(GatewayState.HUNG, BEFORE), LINK),
        TROUBLE,
        HELD,
    ),
    "its fault is as old as the attempt and not looked at since": (
        (row(SandboxState.DOWN, BEFORE, END - 1), SERVES, LINK),
        HELD,
        HELD,
    ),
    "its old fault is seen again": (
        (row(SandboxState.DOWN, BEFORE), SERVES, LINK),
        TROUBLE,
        HELD,
    ),
    "it settles as it did": ((row(SandboxState.SETTLING, BEFORE), SERVES, LINK), HELD, HELD),
    "it began to settle": ((row(SandboxState.SETTLING, AFTER), SERVES, LINK), TROUBLE, TROUBLE),
    **{
        f"it came to be {state.value}": ((row(state, AFTER), SERVES, LINK), TROUBLE, TROUBLE)
        for state in SandboxState
        if state not in (SandboxState.READY, SandboxState.SETTLING)
    },
    **{
        f"its gateway came to be {state.value}": ((WELL, way(state, AFTER), LINK), TROUBLE, TROUBLE)
        for state in (
            GatewayState.DOWN,
            GatewayState.HUNG,
            GatewayState.WRONG,
            GatewayState.ABSENT,
        )
    },
    "its gateway is in the fault it had": (
        (WELL, way(GatewayState.WRONG, BEFORE), LINK),
        TROUBLE,
        HELD,
    ),
    "its source ceased to answer": (
        (WELL, SERVES, SourceLink("local", failures=1, reason="No.", failing_since=AFTER)),
        TROUBLE,
        TROUBLE,
    ),
    "its source did not answer before": (
        (WELL, SERVES, SourceLink("local", failures=9, reason="No.", failing_since=BEFORE)),
        HELD,
        HELD,
    ),
    "it is no more": ((None, SERVES, LINK), HELD, HELD),
}


@pytest.mark.parametrize("state", RESULTS)
@pytest.mark.parametrize("case", TABLE)
def test_what_is_newer_takes_the_place(case: str, state: AttemptState) -> None:
    (sandbox, gateway, link), of_success, of_other = TABLE[case]
    expected = of_success if state is AttemptState.DONE else of_other
    later = overtaken_by(result(state), sandbox, (gateway,), link)
    if expected == HELD:
        assert later is None
    else:
        assert later is not None and later.text
        assert later.better == (expected == BETTER)


def test_the_newest_of_several_troubles_is_said() -> None:
    sandbox, gateway = row(SandboxState.STUCK, AFTER), way(GatewayState.DOWN, AFTER + 1)
    later = overtaken_by(result(AttemptState.DONE), sandbox, (gateway,), LINK)
    assert later is not None and later.text == "gate is down: It refuses." and later.at == AFTER + 1


def test_what_runs_has_no_result_to_overtake() -> None:
    running = Attempt("1", BOX, Verb.WAKE, AttemptState.VERIFY, END)
    assert overtaken_by(running, row(SandboxState.DOWN, AFTER)) is None


def test_a_look_that_cannot_see_what_a_connect_step_met_takes_no_offer_away() -> None:
    failed = replace(result(AttemptState.FAILED), advice_from_step=True, confirmable="repair")
    assert overtaken_by(failed, row(SandboxState.READY, AFTER), (SERVES,), LINK) is None
    down = overtaken_by(failed, row(SandboxState.DOWN, AFTER), (SERVES,), LINK)
    assert down is not None and not down.better


def test_a_trouble_without_a_reason_names_the_state() -> None:
    speechless = replace(row(SandboxState.DOWN, AFTER), reason="")
    later = overtaken_by(result(AttemptState.DONE), speechless, (SERVES,), LINK)
    assert later is not None and "box is down now." in later.text
