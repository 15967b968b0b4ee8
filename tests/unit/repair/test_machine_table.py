"""The attempt table, row by row, and every state it can reach."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import pytest

from services.models import Attempt, AttemptState, Confirmed, SandboxId, Verb
from services.repair import runner
from services.repair.limits import MAX_CONNECTS, Deadlines, Limits
from services.repair.machine import (
    STILL_STARTING,
    CancelRequested,
    ConnectFailed,
    ConnectOk,
    Critical,
    Deadline,
    Drained,
    Effect,
    FailureKind,
    LockAcquired,
    LockBusy,
    ProbeResult,
    RepairEvent,
    Requested,
    WakeFailed,
    WakeOk,
    transition,
)
from services.sources.protocol.verdict import Verdict, VerdictKind
from tests.support.clock import FakeClock

S = AttemptState
E = Effect
READY = ProbeResult(Verdict(VerdictKind.READY, ""))
SETTLING = ProbeResult(Verdict(VerdictKind.SETTLING, "settling"))
DOWN = ProbeResult(Verdict(VerdictKind.REPAIRABLE, "down", wakeable=True))
STOPPED = ProbeResult(Verdict(VerdictKind.REPAIRABLE, "stopped"))
REFUSED = ProbeResult(Verdict(VerdictKind.TERMINAL, "refused", advice="ask", confirmable="repair"))
UNKNOWN = ProbeResult(Verdict(VerdictKind.UNKNOWN, "unknown"))
TRANSIENT = ConnectFailed("loading", FailureKind.TRANSIENT)
REPAIRABLE = ConnectFailed("broken link", FailureKind.REPAIRABLE)
TERMINAL = ConnectFailed("403", FailureKind.TERMINAL)

WAKE = Attempt("1", SandboxId("s", "one"), Verb.WAKE, S.IDLE, started_at=0.0)
LINK = replace(WAKE, verb=Verb.RECONNECT)
ISSUE = Confirmed("issuing")
NUDGE = Confirmed("nudging", skips_verify=True)
ACT = replace(LINK, confirmed=ISSUE)
REST = replace(WAKE, confirmed=NUDGE)
OFFERED = {"advice": "ask", "confirmable": "repair"}


def at(attempt: Attempt, state: AttemptState, **fields: object) -> Attempt:
    return replace(attempt, state=state, **fields)  # type: ignore[arg-type]


ROWS: list[tuple[str, Attempt, RepairEvent, Attempt, tuple[Effect, ...]]] = [
    ("press", WAKE, Requested(Verb.RECONNECT), at(LINK, S.PROBE), (E.PROBE,)),
    ("agreed press", WAKE, Requested(Verb.RECONNECT, ISSUE), at(ACT, S.PROBE), (E.PROBE,)),
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
        ProbeResult(Verdict(VerdictKind.TERMINAL, "foreign")),
        at(ACT, S.FAILED, original="foreign"),
        (E.FINAL_PROBE,),
    ),
    (
        "agreed, unknown",
        at(ACT, S.PROBE),
        UNKNOWN,
        at(ACT, S.FAILED, original="unknown"),
        (E.FINAL_PROBE,),
    ),
    ("agreed, rests", at(REST, S.PROBE), UNKNOWN, at(REST, S.WAKE, wakes=1), (E.WAKE,)),
    (
        "agreed, held",
        at(ACT, S.WAKE, wakes=1),
        LockBusy(),
        at(ACT, S.VERIFY, waiting=True),
        (),
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
        WakeOk("issued"),
        at(ACT, S.VERIFY, wakes=1, done_text="issued"),
        (),
    ),
    (
        "agreed, done and serving",
        at(ACT, S.VERIFY, wakes=1, done_text="issued"),
        READY,
        at(ACT, S.CONNECT, wakes=1, connects=1, done_text="issued"),
        (E.CONNECT,),
    ),
    (
        "agreed, done and rests",
        at(REST, S.WAKE, wakes=1),
        WakeOk("posted"),
        at(REST, S.DONE, wakes=1, done_text="posted"),
        (),
    ),
    (
        "agreed, refused",
        at(ACT, S.WAKE, wakes=1),
        WakeFailed("changed", "look again"),
        at(ACT, S.FAILED, wakes=1, original="changed", advice="look again"),
        (E.FINAL_PROBE,),
    ),
    (
        "agreed, cancelled while critical, then done",
        at(ACT, S.DRAIN, wakes=1, critical=True, cancelling=True),
        Drained("", "issued"),
        at(ACT, S.CANCELLED, wakes=1, cancelling=True, done_text="issued"),
        (E.FINAL_PROBE,),
    ),
    ("probe ready, wake", at(WAKE, S.PROBE), READY, at(WAKE, S.DONE), ()),
    (
        "probe ready, reconnect",
        at(LINK, S.PROBE),
        READY,
        at(LINK, S.CONNECT, connects=1),
        (E.CONNECT,),
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
        (E.FINAL_PROBE,),
    ),
    (
        "probe terminal",
        at(WAKE, S.PROBE),
        REFUSED,
        at(WAKE, S.FAILED, original="refused", advice="ask", confirmable="repair"),
        (E.FINAL_PROBE,),
    ),
    (
        "probe unknown",
        at(WAKE, S.PROBE),
        UNKNOWN,
        at(WAKE, S.FAILED, original="unknown"),
        (E.FINAL_PROBE,),
    ),
    (
        "probe deadline",
        at(WAKE, S.PROBE),
        Deadline("late"),
        at(WAKE, S.FAILED, original="late"),
        (E.STOP, E.FINAL_PROBE),
    ),
    (
        "prime ok",
        at(LINK, S.CONNECT, connects=1),
        ConnectOk(),
        at(LINK, S.DONE, connects=1),
        (),
    ),
    (
        "prime repairable",
        at(LINK, S.CONNECT, connects=1),
        REPAIRABLE,
        at(LINK, S.WAKE, connects=1, wakes=1, original="broken link"),
        (E.WAKE,),
    ),
    (
        "prime repairable after the wake",
        at(LINK, S.CONNECT, connects=1, wakes=1, original="down"),
        REPAIRABLE,
        at(LINK, S.FAILED, connects=1, wakes=1, original="down", last="broken link"),
        (E.FINAL_PROBE,),
    ),
    (
        "prime transient",
        at(LINK, S.CONNECT, connects=1),
        TRANSIENT,
        at(LINK, S.VERIFY, connects=1, original="loading", seen="loading"),
        (),
    ),
    (
        "prime transient, nothing left",
        at(LINK, S.CONNECT, connects=MAX_CONNECTS),
        TRANSIENT,
        at(LINK, S.FAILED, connects=MAX_CONNECTS, original="loading"),
        (E.FINAL_PROBE,),
    ),
    (
        "prime terminal",
        at(LINK, S.CONNECT, connects=1, original="down"),
        TERMINAL,
        at(LINK, S.FAILED, connects=1, original="down", last="403"),
        (E.FINAL_PROBE,),
    ),
    (
        "prime deadline",
        at(LINK, S.CONNECT, connects=1),
        Deadline("late"),
        at(LINK, S.FAILED, connects=1, original="late"),
        (E.STOP, E.FINAL_PROBE),
    ),
    (
        "prime deadline in a critical step",
        at(LINK, S.CONNECT, connects=1, critical=True),
        Deadline("late"),
        at(LINK, S.DRAIN, connects=1, critical=True, original="late"),
        (E.LET_FINISH,),
    ),
    (
        "wake ended",
        at(WAKE, S.WAKE, wakes=1, original="down"),
        WakeOk(),
        at(WAKE, S.VERIFY, wakes=1, original="down"),
        (),
    ),
    (
        "wake failed",
        at(WAKE, S.WAKE, wakes=1, original="down"),
        WakeFailed("exit 1"),
        at(WAKE, S.FAILED, wakes=1, original="down", last="exit 1"),
        (E.FINAL_PROBE,),
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
        LockBusy(),
        at(WAKE, S.VERIFY, waiting=True),
        (),
    ),
    ("verify ready, wake", at(WAKE, S.VERIFY, wakes=1), READY, at(WAKE, S.DONE, wakes=1), ()),
    (
        "verify ready, reconnect",
        at(LINK, S.VERIFY, connects=3),
        READY,
        at(LINK, S.CONNECT, connects=4),
        (E.CONNECT,),
    ),
    (
        "verify ready, no primes left",
        at(LINK, S.VERIFY, connects=MAX_CONNECTS, original="x"),
        READY,
        at(LINK, S.FAILED, connects=MAX_CONNECTS, original="x"),
        (E.FINAL_PROBE,),
    ),
    (
        "verify settling",
        at(WAKE, S.VERIFY),
        SETTLING,
        at(WAKE, S.VERIFY, seen="settling", settling=True),
        (),
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
        LockAcquired(),
        at(WAKE, S.VERIFY),
        (E.PROBE,),
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
        (E.FINAL_PROBE,),
    ),
    (
        "verify deadline",
        at(WAKE, S.VERIFY),
        Deadline(),
        at(WAKE, S.FAILED, original=STILL_STARTING),
        (E.FINAL_PROBE,),
    ),
    (
        "verify deadline after a verdict",
        at(WAKE, S.VERIFY, original="down", seen="settling"),
        Deadline(),
        at(WAKE, S.FAILED, original="down", seen="settling", last="settling"),
        (E.FINAL_PROBE,),
    ),
    (
        "drain gone, latched",
        at(WAKE, S.DRAIN, cancelling=True),
        Drained(),
        at(WAKE, S.CANCELLED, cancelling=True),
        (E.FINAL_PROBE,),
    ),
    ("drain gone", at(WAKE, S.DRAIN, wakes=1), Drained(), at(WAKE, S.VERIFY, wakes=1), ()),
    (
        "drain gone, the critical step failed",
        at(LINK, S.DRAIN, critical=True, cancelling=True),
        Drained("spent"),
        at(LINK, S.CANCELLED, cancelling=True, original="spent"),
        (E.FINAL_PROBE,),
    ),
    ("drain cancel", at(WAKE, S.DRAIN), CancelRequested(), at(WAKE, S.DRAIN, cancelling=True), ()),
    ("drain deadline", at(WAKE, S.DRAIN), Deadline(), at(WAKE, S.DRAIN, overdue=True), ()),
    (
        "drain deadline after the grace",
        at(WAKE, S.DRAIN, overdue=True, cancelling=True),
        Deadline("stuck"),
        at(WAKE, S.CANCELLED, overdue=True, cancelling=True, abandoned=True, original="stuck"),
        (E.ABANDON, E.FINAL_PROBE),
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
            CancelRequested(),
            at(LINK, S.CANCELLED, cancelling=True),
            (E.STOP, E.FINAL_PROBE),
        )
        for phase in (S.PROBE, S.VERIFY, S.CONNECT)
    ],
    (
        "prime cancel in a critical step",
        at(LINK, S.CONNECT, critical=True),
        CancelRequested(),
        at(LINK, S.DRAIN, critical=True, cancelling=True),
        (E.LET_FINISH,),
    ),
    (
        "wake cancel",
        at(WAKE, S.WAKE, wakes=1),
        CancelRequested(),
        at(WAKE, S.DRAIN, wakes=1, cancelling=True),
        (E.STOP,),
    ),
    (
        "wake cancel in a critical step",
        at(WAKE, S.WAKE, wakes=1, critical=True),
        CancelRequested(),
        at(WAKE, S.DRAIN, wakes=1, critical=True, cancelling=True),
        (E.LET_FINISH,),
    ),
    *[
        (f"{p.value} press wake", at(LINK, p), Requested(Verb.WAKE), at(LINK, p), ())
        for p in S
        if not p.ended and p is not S.IDLE
    ],
    *[
        (f"{p.value} press reconnect", at(WAKE, p), Requested(Verb.RECONNECT), at(LINK, p), ())
        for p in S
        if not p.ended and p is not S.IDLE
    ],
    *[
        (
            f"{p.value} press",
            at(LINK, p, wakes=1, original="x", cancelling=True),
            Requested(Verb.WAKE),
            at(WAKE, S.PROBE),
            (E.PROBE,),
        )
        for p in (S.DONE, S.FAILED, S.CANCELLED)
    ],
]


@pytest.mark.parametrize(
    ("before", "event", "after", "effects"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_every_row(
    before: Attempt, event: RepairEvent, after: Attempt, effects: tuple[Effect, ...]
) -> None:
    assert transition(before, event) == (after, effects)


def test_the_table_asks_for_every_effect_and_for_no_other() -> None:
    assert {effect for row in ROWS for effect in row[4]} == set(Effect)


def test_every_event_is_sent_by_the_runner_and_every_effect_performed() -> None:
    """An event that tests alone send, or an effect that nobody performs, is a promise unkept."""
    root = Path(runner.__file__).parent
    said = {
        node.id if isinstance(node, ast.Name) else node.attr
        for name in ("runner.py", "tasks.py")
        for node in ast.walk(ast.parse((root / name).read_text("utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert {event.__name__ for event in get_args(RepairEvent)} <= said
    assert {effect.name for effect in Effect} <= said


EVENTS: tuple[RepairEvent, ...] = (
    *(READY, SETTLING, DOWN, STOPPED, REFUSED, UNKNOWN),
    *(TRANSIENT, REPAIRABLE, TERMINAL, ConnectOk(), WakeOk(), WakeFailed("exit 1")),
    *(Deadline(), Deadline("late"), CancelRequested(), Drained(), Drained("spent")),
    *(Critical(True), Critical(False), LockBusy(), LockAcquired()),
    *(Requested(Verb.WAKE), Requested(Verb.RECONNECT)),
)
HEARD = {
    S.IDLE: (Requested,),
    S.PROBE: (ProbeResult, Deadline, CancelRequested, Requested),
    S.CONNECT: (ConnectOk, ConnectFailed, Deadline, CancelRequested, Requested, Critical),
    S.WAKE: (WakeOk, WakeFailed, LockBusy, Deadline, CancelRequested, Requested, Critical),
    S.VERIFY: (ProbeResult, LockAcquired, Deadline, CancelRequested, Requested),
    S.DRAIN: (Drained, CancelRequested, Deadline, Requested),
    S.DONE: (Requested,),
    S.FAILED: (Requested,),
    S.CANCELLED: (Requested,),
}


@dataclass
class Walk:
    """All steps in one go: two million of them are not taken once for each test."""

    states: set[Attempt] = field(default_factory=set)
    """Every state a press can lead to."""
    broken: str = ""
    """A step that did not keep what every step keeps."""
    moved: str = ""
    """A pair that is not listed, and changed something."""

    def go(self) -> None:
        """A press on an ended attempt begins anew, so it adds nothing."""
        begun = *map(Requested, Verb), Requested(Verb.RECONNECT, ISSUE), Requested(Verb.WAKE, NUDGE)
        ahead = [transition(WAKE, pressed)[0] for pressed in begun]
        while ahead:
            state = ahead.pop()
            if state in self.states:
                continue
            self.states.add(state)
            for event in EVENTS:
                after, effects = transition(state, event)
                if after is not state:
                    ahead.append(after)
                if not isinstance(event, HEARD[state.state]) and (after, effects) != (state, ()):
                    self.moved = f"{state}, {event}"
                try:
                    check_step(state, event, after, effects)
                except AssertionError as error:
                    self.broken = f"{state}, {event}: {error}"


@pytest.fixture(scope="module")
def walk() -> Walk:
    made = Walk()
    made.go()
    return made


@pytest.fixture(scope="module")
def states(walk: Walk) -> set[Attempt]:
    return walk.states


@pytest.mark.slow
def test_every_phase_can_be_reached(states: set[Attempt]) -> None:
    assert {state.state for state in states} == set(S) - {S.IDLE}


@pytest.mark.slow
def test_a_pair_that_is_not_listed_changes_nothing(walk: Walk) -> None:
    assert not walk.moved


@pytest.mark.slow
def test_at_most_one_wake_and_four_primes(states: set[Attempt]) -> None:
    assert max(state.wakes for state in states) == 1
    assert min(state.wakes for state in states) == 0
    assert max(state.connects for state in states) == MAX_CONNECTS


@pytest.mark.slow
def test_what_every_step_keeps(walk: Walk) -> None:
    assert not walk.broken


def check_step(
    state: Attempt, event: RepairEvent, after: Attempt, effects: tuple[Effect, ...]
) -> None:
    """Raise where a step does not keep what every step keeps."""
    if isinstance(event, Requested) and state.state.ended:
        return
    if state.original:
        assert after.original == state.original
    assert after.last != after.original or not after.last
    assert not (after.last and not after.original)
    if state.cancelling:
        assert after.cancelling
        assert E.WAKE not in effects
        assert E.CONNECT not in effects
    if E.WAKE in effects:
        # Only evidence a wake can repair starts one, or the operator's word.
        assert event in (DOWN, REPAIRABLE) or (state.confirmed and isinstance(event, ProbeResult))
        assert not state.wakes
        assert not state.waiting
    if after.state is S.DONE and state.state is not S.DONE:
        skips_verify = state.confirmed == NUDGE and isinstance(event, WakeOk)
        assert event == READY or isinstance(event, ConnectOk) or skips_verify
    assert after.confirmed == state.confirmed
    if isinstance(event, CancelRequested) and not state.state.ended:
        assert after.state is S.CANCELLED or (after.state is S.DRAIN and after.cancelling)
    if after.state is S.CANCELLED and state.state in (S.WAKE, S.CONNECT):
        assert not state.critical
        assert state.state is S.CONNECT
    if after.state is S.FAILED:
        assert after.original or after.connects == MAX_CONNECTS
    if state.critical and isinstance(event, CancelRequested | Deadline):
        assert E.STOP not in effects
        assert E.ABANDON not in effects or isinstance(event, Deadline)


@pytest.mark.slow
def test_deadlines_alone_end_every_state(states: set[Attempt]) -> None:
    for start in states:
        state, turns = start, 0
        while not state.state.ended:
            state, _ = transition(state, Deadline())
            turns += 1
            assert turns < 8, start


def test_a_wait_ends_with_its_evidence() -> None:
    """What the one wake started has ended: nothing is waited for; before a wake, one begins."""
    over = ProbeResult(Verdict(VerdictKind.REPAIRABLE, "ended", wakeable=True, over=True))
    woken = at(WAKE, S.VERIFY, wakes=1, original="down", settling=True)
    after, effects = transition(woken, over)
    assert (after.state, after.original, after.last) == (S.FAILED, "down", "ended")
    assert effects == (E.FINAL_PROBE,)
    after, effects = transition(at(WAKE, S.VERIFY), over)
    assert (after.state, effects) == (S.WAKE, (E.WAKE,))


def test_a_settling_look_lengthens_the_wait_only_from_itself() -> None:
    clock = FakeClock()
    limits = Limits(verify_s=60.0, settling_s=300.0)
    deadlines = Deadlines(clock, limits)
    verifying = at(WAKE, S.VERIFY, wakes=1)
    deadlines.moved(at(WAKE, S.WAKE, wakes=1), verifying)
    assert deadlines.at(verifying) == clock.monotonic() + 60
    settling, _ = transition(verifying, SETTLING)
    deadlines.moved(verifying, settling)
    assert deadlines.at(settling) == clock.monotonic() + 300
    down, _ = transition(settling, STOPPED)
    deadlines.moved(settling, down)
    assert deadlines.at(down) == clock.monotonic() + 60
