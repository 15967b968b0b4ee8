"""The attempt table, row by row, and every state it can reach."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from services.models import AttemptState, Verb, Verdict, VerdictKind
from services.repair.events import (
    Agreed,
    CancelAsked,
    Critical,
    Deadline,
    Effect,
    Failure,
    Gone,
    Held,
    Judged,
    Linked,
    LinkFailed,
    Pressed,
    Progress,
    RepairEvent,
    Ticked,
    TurnCame,
    WakeFailed,
    Woken,
)
from services.repair.limits import MAX_PRIMES
from services.repair.machine import STILL_STARTING, transition

S = AttemptState
E = Effect
READY = Judged(Verdict(VerdictKind.READY, ""))
SETTLING = Judged(Verdict(VerdictKind.SETTLING, "settling"))
DOWN = Judged(Verdict(VerdictKind.REPAIRABLE, "down", wakeable=True))
STOPPED = Judged(Verdict(VerdictKind.REPAIRABLE, "stopped"))
REFUSED = Judged(Verdict(VerdictKind.TERMINAL, "refused", advice="ask", confirmable="repair"))
UNKNOWN = Judged(Verdict(VerdictKind.UNKNOWN, "unknown"))
TRANSIENT = LinkFailed("loading", Failure.TRANSIENT)
REPAIRABLE = LinkFailed("broken link", Failure.REPAIRABLE)
TERMINAL = LinkFailed("403", Failure.TERMINAL)

WAKE = Progress(verb=Verb.WAKE)
LINK = Progress(verb=Verb.RECONNECT)
ISSUE = Agreed("issuing")
NUDGE = Agreed("nudging", rests=True)
ACT = Progress(verb=Verb.RECONNECT, agreed=ISSUE)
REST = Progress(verb=Verb.WAKE, agreed=NUDGE)
OFFERED = {"advice": "ask", "confirmable": "repair"}


def at(state: Progress, phase: AttemptState, **fields: object) -> Progress:
    return replace(state, phase=phase, **fields)  # type: ignore[arg-type]


ROWS: list[tuple[str, Progress, RepairEvent, Progress, tuple[Effect, ...]]] = [
    ("press", WAKE, Pressed(Verb.RECONNECT), at(LINK, S.PROBE), (E.LOOK,)),
    ("agreed press", WAKE, Pressed(Verb.RECONNECT, ISSUE), at(ACT, S.PROBE), (E.LOOK,)),
    ("agreed, serving", at(ACT, S.PROBE), READY, at(ACT, S.WAKE, wakes=1), (E.WAKE,)),
    (
        "agreed, settling",
        at(ACT, S.PROBE),
        SETTLING,
        at(ACT, S.WAKE, wakes=1, original="settling"),
        (E.WAKE,),
    ),
    (
        "agreed, needs it",
        at(ACT, S.PROBE),
        REFUSED,
        at(ACT, S.WAKE, wakes=1, original="refused", **OFFERED),
        (E.WAKE,),
    ),
    (
        "agreed, cannot help",
        at(ACT, S.PROBE),
        Judged(Verdict(VerdictKind.TERMINAL, "foreign")),
        at(ACT, S.FAILED, original="foreign"),
        (E.SHOW,),
    ),
    (
        "agreed, unknown",
        at(ACT, S.PROBE),
        UNKNOWN,
        at(ACT, S.FAILED, original="unknown"),
        (E.SHOW,),
    ),
    ("agreed, rests", at(REST, S.PROBE), UNKNOWN, at(REST, S.WAKE, wakes=1), (E.WAKE,)),
    (
        "agreed, held",
        at(ACT, S.WAKE, wakes=1),
        Held(),
        at(ACT, S.VERIFY, waiting=True),
        (E.WATCH,),
    ),
    (
        "agreed, serving while another repairs",
        at(ACT, S.VERIFY, waiting=True),
        READY,
        at(ACT, S.VERIFY, waiting=True),
        (),
    ),
    (
        "agreed, its turn came",
        at(ACT, S.VERIFY),
        READY,
        at(ACT, S.WAKE, wakes=1),
        (E.WAKE,),
    ),
    (
        "agreed, done",
        at(ACT, S.WAKE, wakes=1, critical=True),
        Woken("issued"),
        at(ACT, S.VERIFY, wakes=1, said="issued"),
        (),
    ),
    (
        "agreed, done and serving",
        at(ACT, S.VERIFY, wakes=1, said="issued"),
        READY,
        at(ACT, S.PRIME, wakes=1, primes=1, said="issued"),
        (E.PRIME,),
    ),
    (
        "agreed, done and rests",
        at(REST, S.WAKE, wakes=1),
        Woken("posted"),
        at(REST, S.DONE, wakes=1, said="posted"),
        (),
    ),
    (
        "agreed, refused",
        at(ACT, S.WAKE, wakes=1),
        WakeFailed("changed", "look again"),
        at(ACT, S.FAILED, wakes=1, original="changed", advice="look again"),
        (E.SHOW,),
    ),
    (
        "agreed, cancelled while critical, then done",
        at(ACT, S.DRAIN, wakes=1, critical=True, cancelling=True),
        Gone("", "issued"),
        at(ACT, S.CANCELLED, wakes=1, cancelling=True, said="issued"),
        (E.SHOW,),
    ),
    ("idle tick", WAKE, Ticked(), WAKE, ()),
    ("probe ready, wake", at(WAKE, S.PROBE), READY, at(WAKE, S.DONE), ()),
    (
        "probe ready, reconnect",
        at(LINK, S.PROBE),
        READY,
        at(LINK, S.PRIME, primes=1),
        (E.PRIME,),
    ),
    (
        "probe settling",
        at(WAKE, S.PROBE),
        SETTLING,
        at(WAKE, S.VERIFY, seen="settling", settling=True),
        (),
    ),
    (
        "probe repairable",
        at(WAKE, S.PROBE),
        DOWN,
        at(WAKE, S.WAKE, original="down", wakes=1),
        (E.WAKE,),
    ),
    (
        "probe not wakeable",
        at(WAKE, S.PROBE),
        STOPPED,
        at(WAKE, S.FAILED, original="stopped"),
        (E.SHOW,),
    ),
    (
        "probe terminal",
        at(WAKE, S.PROBE),
        REFUSED,
        at(WAKE, S.FAILED, original="refused", advice="ask", confirmable="repair"),
        (E.SHOW,),
    ),
    (
        "probe unknown",
        at(WAKE, S.PROBE),
        UNKNOWN,
        at(WAKE, S.FAILED, original="unknown"),
        (E.SHOW,),
    ),
    (
        "probe deadline",
        at(WAKE, S.PROBE),
        Deadline("late"),
        at(WAKE, S.FAILED, original="late"),
        (E.STOP, E.SHOW),
    ),
    ("prime ok", at(LINK, S.PRIME, primes=1), Linked(), at(LINK, S.DONE, primes=1), (E.PUBLISH,)),
    (
        "prime repairable",
        at(LINK, S.PRIME, primes=1),
        REPAIRABLE,
        at(LINK, S.WAKE, primes=1, wakes=1, original="broken link"),
        (E.WAKE,),
    ),
    (
        "prime repairable after the wake",
        at(LINK, S.PRIME, primes=1, wakes=1, original="down"),
        REPAIRABLE,
        at(LINK, S.FAILED, primes=1, wakes=1, original="down", last="broken link"),
        (E.SHOW,),
    ),
    (
        "prime transient",
        at(LINK, S.PRIME, primes=1),
        TRANSIENT,
        at(LINK, S.VERIFY, primes=1, original="loading", seen="loading"),
        (),
    ),
    (
        "prime transient, nothing left",
        at(LINK, S.PRIME, primes=MAX_PRIMES),
        TRANSIENT,
        at(LINK, S.FAILED, primes=MAX_PRIMES, original="loading"),
        (E.SHOW,),
    ),
    (
        "prime terminal",
        at(LINK, S.PRIME, primes=1, original="down"),
        TERMINAL,
        at(LINK, S.FAILED, primes=1, original="down", last="403"),
        (E.SHOW,),
    ),
    (
        "prime deadline",
        at(LINK, S.PRIME, primes=1),
        Deadline("late"),
        at(LINK, S.FAILED, primes=1, original="late"),
        (E.STOP, E.SHOW),
    ),
    (
        "prime deadline in a critical step",
        at(LINK, S.PRIME, primes=1, critical=True),
        Deadline("late"),
        at(LINK, S.DRAIN, primes=1, critical=True, original="late"),
        (E.LET_FINISH,),
    ),
    (
        "wake ended",
        at(WAKE, S.WAKE, wakes=1, original="down"),
        Woken(),
        at(WAKE, S.VERIFY, wakes=1, original="down"),
        (),
    ),
    (
        "wake failed",
        at(WAKE, S.WAKE, wakes=1, original="down"),
        WakeFailed("exit 1"),
        at(WAKE, S.FAILED, wakes=1, original="down", last="exit 1"),
        (E.SHOW,),
    ),
    (
        "wake deadline",
        at(WAKE, S.WAKE, wakes=1),
        Deadline(),
        at(WAKE, S.DRAIN, wakes=1),
        (E.STOP,),
    ),
    (
        "wake held by another",
        at(WAKE, S.WAKE, wakes=1),
        Held(),
        at(WAKE, S.VERIFY, waiting=True),
        (E.WATCH,),
    ),
    ("verify ready, wake", at(WAKE, S.VERIFY, wakes=1), READY, at(WAKE, S.DONE, wakes=1), ()),
    (
        "verify ready, reconnect",
        at(LINK, S.VERIFY, primes=3),
        READY,
        at(LINK, S.PRIME, primes=4),
        (E.PRIME,),
    ),
    (
        "verify ready, no primes left",
        at(LINK, S.VERIFY, primes=MAX_PRIMES, original="x"),
        READY,
        at(LINK, S.FAILED, primes=MAX_PRIMES, original="x"),
        (E.SHOW,),
    ),
    (
        "verify settling",
        at(WAKE, S.VERIFY),
        SETTLING,
        at(WAKE, S.VERIFY, seen="settling", settling=True),
        (E.EXTEND,),
    ),
    (
        "verify unknown",
        at(WAKE, S.VERIFY, settling=True),
        UNKNOWN,
        at(WAKE, S.VERIFY, seen="unknown", settling=True),
        (),
    ),
    (
        "verify repairable",
        at(WAKE, S.VERIFY),
        DOWN,
        at(WAKE, S.WAKE, seen="down", original="down", wakes=1),
        (E.WAKE,),
    ),
    (
        "verify repairable after the wake",
        at(WAKE, S.VERIFY, wakes=1, original="x"),
        DOWN,
        at(WAKE, S.VERIFY, wakes=1, original="x", last="down", seen="down"),
        (),
    ),
    (
        "verify repairable while another repairs",
        at(WAKE, S.VERIFY, waiting=True, original="down"),
        DOWN,
        at(WAKE, S.VERIFY, waiting=True, original="down", seen="down"),
        (),
    ),
    (
        "verify, the turn came",
        at(WAKE, S.VERIFY, waiting=True),
        TurnCame(),
        at(WAKE, S.VERIFY),
        (E.LOOK,),
    ),
    (
        "verify terminal",
        at(WAKE, S.VERIFY, wakes=1, original="down"),
        REFUSED,
        at(
            WAKE,
            S.FAILED,
            wakes=1,
            original="down",
            last="refused",
            advice="ask",
            confirmable="repair",
        ),
        (E.SHOW,),
    ),
    (
        "verify deadline",
        at(WAKE, S.VERIFY),
        Deadline(),
        at(WAKE, S.FAILED, original=STILL_STARTING),
        (E.SHOW,),
    ),
    (
        "verify deadline after a verdict",
        at(WAKE, S.VERIFY, original="down", seen="settling"),
        Deadline(),
        at(WAKE, S.FAILED, original="down", seen="settling", last="settling"),
        (E.SHOW,),
    ),
    (
        "drain gone, latched",
        at(WAKE, S.DRAIN, cancelling=True),
        Gone(),
        at(WAKE, S.CANCELLED, cancelling=True),
        (E.SHOW,),
    ),
    ("drain gone", at(WAKE, S.DRAIN, wakes=1), Gone(), at(WAKE, S.VERIFY, wakes=1), ()),
    (
        "drain gone, the critical step failed",
        at(LINK, S.DRAIN, critical=True, cancelling=True),
        Gone("spent"),
        at(LINK, S.CANCELLED, cancelling=True, original="spent"),
        (E.SHOW,),
    ),
    ("drain cancel", at(WAKE, S.DRAIN), CancelAsked(), at(WAKE, S.DRAIN, cancelling=True), ()),
    ("drain deadline", at(WAKE, S.DRAIN), Deadline(), at(WAKE, S.DRAIN, killed=True), (E.KILL,)),
    (
        "drain deadline after the kill",
        at(WAKE, S.DRAIN, killed=True, cancelling=True),
        Deadline("stuck"),
        at(WAKE, S.CANCELLED, killed=True, cancelling=True, abandoned=True, original="stuck"),
        (E.ABANDON, E.SHOW),
    ),
    (
        "drain deadline of a critical step",
        at(LINK, S.DRAIN, critical=True),
        Deadline("unknown outcome"),
        at(LINK, S.VERIFY, abandoned=True, original="unknown outcome"),
        (E.ABANDON,),
    ),
    *[
        (
            f"{phase.value} cancel",
            at(LINK, phase),
            CancelAsked(),
            at(LINK, S.CANCELLED, cancelling=True),
            (E.STOP, E.SHOW),
        )
        for phase in (S.PROBE, S.VERIFY, S.PRIME)
    ],
    (
        "prime cancel in a critical step",
        at(LINK, S.PRIME, critical=True),
        CancelAsked(),
        at(LINK, S.DRAIN, critical=True, cancelling=True),
        (E.LET_FINISH,),
    ),
    (
        "wake cancel",
        at(WAKE, S.WAKE, wakes=1),
        CancelAsked(),
        at(WAKE, S.DRAIN, wakes=1, cancelling=True),
        (E.STOP,),
    ),
    (
        "wake cancel in a critical step",
        at(WAKE, S.WAKE, wakes=1, critical=True),
        CancelAsked(),
        at(WAKE, S.DRAIN, wakes=1, critical=True, cancelling=True),
        (E.LET_FINISH,),
    ),
    *[
        (f"{p.value} press wake", at(LINK, p), Pressed(Verb.WAKE), at(LINK, p), ())
        for p in S
        if not p.ended and p is not S.IDLE
    ],
    *[
        (f"{p.value} press reconnect", at(WAKE, p), Pressed(Verb.RECONNECT), at(LINK, p), ())
        for p in S
        if not p.ended and p is not S.IDLE
    ],
    *[
        (
            f"{p.value} press",
            at(LINK, p, wakes=1, original="x", cancelling=True),
            Pressed(Verb.WAKE),
            at(WAKE, S.PROBE),
            (E.LOOK,),
        )
        for p in (S.DONE, S.FAILED, S.CANCELLED)
    ],
]


@pytest.mark.parametrize(
    ("before", "event", "after", "effects"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_every_row(
    before: Progress, event: RepairEvent, after: Progress, effects: tuple[Effect, ...]
) -> None:
    assert transition(before, event) == (after, effects)


EVENTS: tuple[RepairEvent, ...] = (
    *(READY, SETTLING, DOWN, STOPPED, REFUSED, UNKNOWN),
    *(TRANSIENT, REPAIRABLE, TERMINAL, Linked(), Woken(), WakeFailed("exit 1")),
    *(Deadline(), Deadline("late"), CancelAsked(), Gone(), Gone("spent"), Ticked()),
    *(Critical(True), Critical(False), Held(), TurnCame()),
    *(Pressed(Verb.WAKE), Pressed(Verb.RECONNECT)),
)
HEARD = {
    S.IDLE: (Pressed,),
    S.PROBE: (Judged, Deadline, CancelAsked, Pressed),
    S.PRIME: (Linked, LinkFailed, Deadline, CancelAsked, Pressed, Critical),
    S.WAKE: (Woken, WakeFailed, Held, Deadline, CancelAsked, Pressed, Critical),
    S.VERIFY: (Judged, TurnCame, Deadline, CancelAsked, Pressed),
    S.DRAIN: (Gone, CancelAsked, Deadline, Pressed),
    S.DONE: (Pressed,),
    S.FAILED: (Pressed,),
    S.CANCELLED: (Pressed,),
}


def reachable() -> set[Progress]:
    """Every state a press can lead to; a press on an ended one begins anew, so it adds nothing."""
    found: set[Progress] = set()
    begun = [*map(Pressed, Verb), Pressed(Verb.RECONNECT, ISSUE), Pressed(Verb.WAKE, NUDGE)]
    ahead = [transition(Progress(), pressed)[0] for pressed in begun]
    while ahead:
        state = ahead.pop()
        if state in found:
            continue
        found.add(state)
        ahead += [transition(state, event)[0] for event in EVENTS]
    return found


@pytest.fixture(scope="module")
def states() -> set[Progress]:
    return reachable()


def test_every_phase_can_be_reached(states: set[Progress]) -> None:
    assert {state.phase for state in states} == set(S) - {S.IDLE}


def test_a_pair_that_is_not_listed_changes_nothing(states: set[Progress]) -> None:
    for state, event in itertools.product(states, EVENTS):
        if not isinstance(event, HEARD[state.phase]):
            assert transition(state, event) == (state, ())


def test_at_most_one_wake_and_four_primes(states: set[Progress]) -> None:
    assert max(state.wakes for state in states) == 1
    assert min(state.wakes for state in states) == 0
    assert max(state.primes for state in states) == MAX_PRIMES


def test_what_every_step_keeps(states: set[Progress]) -> None:
    for state, event in itertools.product(states, EVENTS):
        after, effects = transition(state, event)
        if isinstance(event, Pressed) and state.phase.ended:
            continue
        if state.original:
            assert after.original == state.original
        assert after.last != after.original or not after.last
        assert not (after.last and not after.original)
        if state.cancelling:
            assert after.cancelling
            assert E.WAKE not in effects
            assert E.PRIME not in effects
        if E.WAKE in effects:
            # Only evidence a wake can repair starts one, or the operator's word.
            assert event in (DOWN, REPAIRABLE) or (state.agreed and isinstance(event, Judged))
            assert not state.wakes
            assert not state.waiting
        if after.phase is S.DONE and state.phase is not S.DONE:
            rests = state.agreed == NUDGE and isinstance(event, Woken)
            assert event == READY or isinstance(event, Linked) or rests
        assert after.agreed == state.agreed
        if isinstance(event, CancelAsked) and not state.phase.ended:
            assert after.phase is S.CANCELLED or (after.phase is S.DRAIN and after.cancelling)
        if after.phase is S.CANCELLED and state.phase in (S.WAKE, S.PRIME):
            assert not state.critical
            assert state.phase is S.PRIME
        if after.phase is S.FAILED:
            assert after.original or after.primes == MAX_PRIMES
        if state.critical and isinstance(event, CancelAsked | Deadline):
            assert E.STOP not in effects
            assert E.KILL not in effects


def test_deadlines_alone_end_every_state(states: set[Progress]) -> None:
    for start in states:
        state, turns = start, 0
        while not state.phase.ended:
            state, _ = transition(state, Deadline())
            turns += 1
            assert turns < 8, start
