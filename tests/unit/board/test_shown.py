"""What is shown of a sandbox behind each state of its way in: the whole table, and its moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.board.board import Board
from services.board.deltas import RANKS, rank
from services.board.lag import VoidLook
from services.board.poller import ProbeFailure
from services.board.shown import shown
from services.models import (
    Activity,
    Gateway,
    GatewayId,
    GatewayState,
    Known,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Source,
    Unknown,
    UnknownWord,
)
from tests.support.clock import FakeClock

WAY = GatewayId("here", "way")
CUT, STALE = "cut off", " stale"
_CLOSED = {
    "unknown": CUT,
    "absent": "absent",
    "asleep": "asleep",
    "down": "down",
    "settling": CUT,
    "ready": CUT,
    "stuck": CUT,
    "broken": "broken",
}
TABLE = {
    "ready": {own: own for own in _CLOSED},
    "unknown": {own: own + STALE for own in _CLOSED},
    "settling": _CLOSED
    | {"unknown": "unknown", "settling": "settling", "ready": "settling", "stuck": "settling"},
    "down": _CLOSED,
    "hung": _CLOSED,
    "wrong": _CLOSED,
    "absent": _CLOSED,
}
"""What is shown, by the state of what is needed and the sandbox's own."""
CELLS = [(need, own, says) for need, row in TABLE.items() for own, says in row.items()]


def way(state: GatewayState, at: float = 1000.0, **more: object) -> Gateway:
    return Gateway(WAY, "north", state, "Its process has died.", at, **more)  # type: ignore[arg-type]


def box(
    state: SandboxState = SandboxState.READY, at: float = 1000.0, name: str = "box", **more: object
) -> Sandbox:
    fields: dict[str, object] = {"gateway": WAY, "needs": (WAY,), **more}
    return Sandbox(SandboxId("here", name), name, state, "", at, **fields)  # type: ignore[arg-type]


def test_the_table_has_every_cell() -> None:
    assert set(TABLE) == {one.value for one in GatewayState}
    own = {one.value for one in SandboxState if one is not SandboxState.CUT_OFF}
    assert all(set(row) == own for row in TABLE.values())


@pytest.mark.parametrize(("need", "own", "says"), CELLS)
def test_shown_by_own_and_needed(need: str, own: str, says: str) -> None:
    row = shown(box(SandboxState(own)), {WAY: way(GatewayState(need))})
    assert row.state.value + STALE * row.stale == says
    if row.state.value != own:
        assert row.own_state is SandboxState(own)
        assert row.reason == f"north is {need}: Its process has died."
    else:
        assert row.own_state is None
    if need in ("down", "hung", "wrong", "absent") and says == own:
        assert "north is" in row.reason  # It keeps its word and gets the note.


@pytest.mark.parametrize("before", RANKS)
@pytest.mark.parametrize("after", RANKS)
def test_better_and_worse_are_ranks(
    before: GatewayState | SandboxState, after: GatewayState | SandboxState
) -> None:
    if type(before) is not type(after) or SandboxState.CUT_OFF in (before, after):
        return
    board = Board(FakeClock(1000), [Source("here", "local", "Here", "/")])
    for at, state in ((1000, before), (1001, after)):
        row = box(state, at, needs=()) if isinstance(state, SandboxState) else None
        gateway = None if isinstance(state, SandboxState) else way(state, at)
        events = board.merge(
            Observation("here", at, (gateway,) if gateway else (), (row,) if row else ())
        ).events
    if before is after:
        assert events == ()
        return
    worse = RANKS[after] - RANKS[before]
    wanted = Severity.WORSE if worse > 0 else Severity.BETTER if worse else Severity.INFO
    assert [one.severity for one in events] == [wanted]


def test_every_state_has_a_rank_and_trouble_is_no_better_than_trouble() -> None:
    assert set(RANKS) == {*GatewayState, *SandboxState}
    assert RANKS[GatewayState.WRONG] == RANKS[GatewayState.DOWN] == RANKS[GatewayState.HUNG]
    assert rank(box(SandboxState.ASLEEP, asleep_by_design=True)) == 0


class Stage:
    """A board with one way and some sandboxes behind it, driven look by look."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock(1000)
        self.board = Board(self.clock, [Source("here", "local", "Here", "/")], interval_s=5)
        self.names = names or ("a", "b", "c")
        self.log: list[str] = []
        self.look()

    def look(
        self,
        state: GatewayState = GatewayState.READY,
        own: SandboxState = SandboxState.READY,
        **more: object,
    ) -> None:
        now = self.clock.now() + 1
        self.clock.jump(now)
        rows = tuple(box(own, now, name) for name in self.names)
        seen = Observation("here", now, (way(state, now),), rows, **more)  # type: ignore[arg-type]
        self.log += [f"{one.severity.value} {one.text}" for one in self.board.merge(seen).events]

    def held_up(self) -> VoidLook | None:
        return self.board.held_up

    def states(self) -> set[str]:
        return {one.state.value for one in self.board.sandboxes.values()}

    def totals(self) -> dict[str, int]:
        return {state.value: n for state, n in self.board.totals().sandboxes}


def test_one_fallen_way_is_one_record_and_nothing_behind_it_is_ready() -> None:
    stage = Stage()
    stage.look(GatewayState.DOWN)
    assert stage.totals() == {"cut off": 3}
    assert stage.board.totals().attention == 4
    assert stage.log == ["worse north is down: Its process has died; 3 sandboxes cut off"]
    row = stage.board.sandboxes[SandboxId("here", "a")]
    assert row.since == 1002
    stage.look(GatewayState.WRONG)
    assert stage.log[1:] == ["info north is wrong: Its process has died; 3 sandboxes cut off"]
    assert stage.board.sandboxes[row.id].since == 1002
    stage.look(GatewayState.READY)
    assert stage.totals() == {"ready": 3}
    assert stage.log[2:] == ["better north is ready: Its process has died."]


def test_what_died_behind_a_closed_way_is_told_once_the_way_is_open() -> None:
    stage = Stage("a")
    stage.look(GatewayState.DOWN)
    stage.look(GatewayState.DOWN, SandboxState.STUCK)
    assert len(stage.log) == 1
    stage.look(GatewayState.READY, SandboxState.STUCK)
    assert [one.split(":")[0] for one in stage.log[1:]] == [
        "better north is ready",
        "worse a is stuck",
    ]


def test_the_end_of_a_death_behind_a_closed_way_is_told_and_what_follows_it_is_not() -> None:
    stage = Stage("a")
    stage.look(GatewayState.READY, SandboxState.DOWN)
    stage.look(GatewayState.HUNG, SandboxState.DOWN)
    assert [one.split(":")[0] for one in stage.log] == ["worse a is down", "worse north is hung"]
    stage.look(GatewayState.HUNG)
    assert stage.states() == {"cut off"}
    assert [one.split(":")[0] for one in stage.log[2:]] == ["info a is cut off"]
    stage.look(GatewayState.HUNG, SandboxState.STUCK)
    assert len(stage.log) == 3
    stage.look(GatewayState.READY)
    assert [one.split(":")[0] for one in stage.log[3:]] == [
        "better north is ready",
        "better a is ready",
    ]


def test_a_way_of_which_nothing_is_known_never_cuts_off_and_is_not_current() -> None:
    stage = Stage()
    stage.look(GatewayState.UNKNOWN)
    assert stage.states() == {"ready"}
    assert stage.totals() == {}
    assert stage.board.totals().stale_sandboxes == 3
    stage.look(GatewayState.READY)
    assert stage.totals() == {"ready": 3}


def test_a_way_of_another_source_cuts_off_at_its_own_look() -> None:
    sources = [Source("here", "local", "Here", "/"), Source("far", "pods", "Far", "/")]
    board = Board(FakeClock(1000), sources)
    far = replace(box(at=1000), id=SandboxId("far", "box"))
    board.merge(Observation("here", 1000, (way(GatewayState.READY),)))
    board.merge(Observation("far", 1000, (), (far,)))
    assert board.sandboxes[far.id].state is SandboxState.READY
    delta = board.merge(Observation("here", 1001, (way(GatewayState.HUNG, 1001),)))
    assert [one.state for one in delta.sandboxes] == [SandboxState.CUT_OFF]
    board.merge(ProbeFailure("here", 1002, "no answer"))
    assert board.sandboxes[far.id].stale
    board.merge(Observation("here", 1003, (way(GatewayState.READY, 1003),)))
    assert not board.sandboxes[far.id].stale
    # What is current again by its way ages by its own instant all the same.
    board.expire(1016)
    assert board.sandboxes[far.id].stale


def test_a_cut_off_row_names_no_work_and_keeps_what_it_is_of_itself() -> None:
    own = box(activity=Activity.WORKING, tool="Bash")
    row = shown(own, {WAY: way(GatewayState.DOWN, since=990.0)})
    assert (row.activity, row.tool, row.since) == (Activity.NONE, "", 990.0)
    assert row.own_state is SandboxState.READY


def test_a_deletion_that_is_told_counts_at_once_and_a_gap_does_not() -> None:
    stage = Stage()
    kept, told = SandboxId("here", "b"), SandboxId("here", "c")
    stage.names = ("a",)
    stage.look(deleted=frozenset((told,)))
    assert told not in stage.board.sandboxes
    assert stage.board.sandboxes[kept].missing_since == 1002
    assert stage.totals() == {"ready": 1}
    stage.look(GatewayState.DOWN)
    assert kept not in stage.board.sandboxes


def test_a_gap_that_closes_is_forgotten() -> None:
    stage = Stage("a", "b")
    stage.names = ("a",)
    stage.look()
    stage.names = ("a", "b")
    stage.look()
    stage.names = ("a",)
    stage.look()
    assert SandboxId("here", "b") in stage.board.sandboxes
    assert stage.log == []


def test_a_list_that_cannot_be_had_removes_nothing_and_is_not_empty() -> None:
    stage = Stage()
    stage.names = ()
    for _ in range(5):
        stage.look(unknown=((WAY, Unknown("The list failed in its server.")),))
    assert stage.totals() == {}
    assert len(stage.board.sandboxes) == 3
    listing = stage.board.listing("here")
    assert isinstance(listing, Unknown)
    assert listing.reason == "The list failed in its server."
    assert stage.board.totals().unknown_lists == 1
    stage.look()
    stage.look()
    empty: Known[Sandbox] = Known((), stage.clock.now())
    assert stage.board.listing("here") == empty


def test_two_void_looks_make_stale_and_one_changes_nothing() -> None:
    stage = Stage()
    first = stage.board.merge(VoidLook("here", 1002, 3.0))
    assert not first
    assert stage.held_up() is None
    assert stage.totals() == {"ready": 3}
    stage.board.merge(VoidLook("here", 1003, 3.0))
    assert stage.totals() == {}
    assert stage.held_up() == VoidLook("here", 1003, 3.0)
    assert {one.observed_at for one in stage.board.sandboxes.values()} == {1001}
    stage.look()
    assert stage.totals() == {"ready": 3}
    assert stage.log == []
    # One alone matters where it lasted longer than a row stays current.
    stage.board.merge(VoidLook("here", 1005, 60.0))
    assert stage.held_up() == VoidLook("here", 1005, 60.0)
    assert stage.totals() == {"ready": 3}


def test_what_lapses_is_asked_again_once() -> None:
    stage = Stage("a")
    now = stage.clock.now()
    row = box(at=now, name="a", until=1010.0)
    stage.board.merge(Observation("here", now, (way(GatewayState.READY, now),), (row,)))
    assert stage.board.lapsed(1009) == set()
    assert stage.board.lapsed(1010) == {"here"}
    assert stage.board.lapsed(1011) == set()


def test_words_nobody_knows_are_counted_and_told_once() -> None:
    stage = Stage("a")
    word = UnknownWord("here", "phase", "Hibernated")
    for _ in range(3):
        stage.look(unknown_words=(word,))
    assert stage.board.unknown_words == {word: 3}
    assert stage.log == ["info Here says 'Hibernated' as phase: this panel does not know it"]


def test_what_waits_for_a_person_needs_attention() -> None:
    board = Board(FakeClock(1000), [Source("here", "local", "Here", "/")])
    row = box(needs=(), needs_me="approve a rule")
    board.merge(Observation("here", 1000, (), (row,)))
    assert (board.totals().attention, board.totals().needs_me) == (1, 1)


def test_the_instant_a_system_tells_goes_into_the_record_of_it() -> None:
    board = Board(FakeClock(), [Source("here", "local", "here", "")])
    board.merge(Observation("here", 1000.0, sandboxes=(box(needs=()),)))
    ended = box(SandboxState.DOWN, 1001.0, needs=(), told_at=990.0)
    delta = board.merge(Observation("here", 1001.0, sandboxes=(ended,)))
    assert [(one.at, one.after, one.told_at) for one in delta.events] == [(1001.0, "down", 990.0)]
    back = box(at=1002.0, needs=())
    [event] = board.merge(Observation("here", 1002.0, sandboxes=(back,))).events
    assert event.told_at is None
