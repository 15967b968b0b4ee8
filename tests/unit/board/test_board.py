"""The live picture: what a look changes, what a failed one does not."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.board.board import Board
from services.board.deltas import BoardDelta, RowId, needs_attention
from services.board.poller import ProbeFailure
from services.models import (
    Activity,
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Source,
    Unknown,
)
from tests.support.clock import FakeClock

LOCAL = Source("here", "local", "Here", "/world")
VELLUM = Source("vel", "vellum", "Vellum", "/lockfile")
GATE = GatewayId("here", "gate")
BOX = SandboxId("here", "box")


def gateway(at: float, state: GatewayState = GatewayState.READY, **more: object) -> Gateway:
    return Gateway(GATE, "gate", state, "", at, **more)  # type: ignore[arg-type]


def sandbox(at: float, state: SandboxState = SandboxState.READY, **more: object) -> Sandbox:
    fields: dict[str, object] = {"id": BOX, "name": "box", "reason": "", **more}
    return Sandbox(state=state, observed_at=at, **fields)  # type: ignore[arg-type]


def look(at: float, *rows: Gateway | Sandbox, source: str = "here") -> Observation:
    return Observation(
        source,
        at,
        tuple(row for row in rows if isinstance(row, Gateway)),
        tuple(row for row in rows if isinstance(row, Sandbox)),
    )


def failure(at: float, failures: int = 1) -> ProbeFailure:
    return ProbeFailure("here", at, "No answer within 6 s.", failures, at + 10)


def ids(delta: BoardDelta) -> set[RowId]:
    return {row.id for row in delta.gateways} | {row.id for row in delta.sandboxes}


def fresh() -> tuple[FakeClock, Board]:
    clock = FakeClock(1000.0)
    return clock, Board(clock, [LOCAL, VELLUM], failure_thresholds={"vellum": 2})


def test_the_first_look_fills_the_board_without_events() -> None:
    _, board = fresh()
    delta = board.merge(look(1000, gateway(1000, latency_s=0.02), sandbox(1000)))
    assert delta.gateways == (gateway(1000, latency_s=0.02),)
    assert delta.sandboxes == (sandbox(1000),)
    assert delta.events == ()
    assert dict(board.sandboxes) == {BOX: sandbox(1000)}
    link = board.links["here"]
    assert link.connected
    assert (link.last_success_at, link.latency_s) == (1000, 0.02)


def test_an_equal_look_moves_only_the_age() -> None:
    _, board = fresh()
    board.merge(look(1000, gateway(1000), sandbox(1000)))
    delta = board.merge(look(1005, gateway(1005), sandbox(1005)))
    assert not (delta.gateways or delta.sandboxes or delta.events)
    assert {*delta.touched_gateways, *delta.touched_sandboxes} == {GATE, BOX}
    assert board.sandboxes[BOX].observed_at == 1005
    again = board.merge(look(1005, gateway(1005), sandbox(1005)))
    assert not again


def test_a_transition_is_an_event_and_a_sample_is_not() -> None:
    _, board = fresh()
    board.merge(look(1000, sandbox(1000)))
    busy = sandbox(1005, activity=Activity.WORKING, tool="Bash")
    assert board.merge(look(1005, busy)).events == ()
    stuck = sandbox(1010, SandboxState.STUCK, reason="no heartbeat for 31 min")
    (event,) = board.merge(look(1010, stuck)).events
    assert event == Event(
        1010,
        Severity.WORSE,
        "here",
        "box",
        "sandbox",
        "box is stuck: no heartbeat for 31 min",
        "ready",
        "stuck",
    )
    (better,) = board.merge(look(1015, sandbox(1015))).events
    assert better.severity is Severity.BETTER
    asleep = sandbox(1020, SandboxState.ASLEEP, asleep_by_design=True)
    (slept,) = board.merge(look(1020, asleep)).events
    assert slept.severity is Severity.INFO
    (wakes,) = board.merge(look(1025, sandbox(1025, SandboxState.SETTLING))).events
    assert wakes.severity is Severity.INFO, "who wakes is not in trouble"
    (awake,) = board.merge(look(1030, sandbox(1030))).events
    assert awake.severity is Severity.BETTER


def test_rows_come_and_go_by_word_of_their_source_only() -> None:
    _, board = fresh()
    other = replace(sandbox(1000), id=SandboxId("vel", "box"))
    board.merge(look(1000, sandbox(1000)))
    board.merge(look(1000, other, source="vel"))
    new = replace(sandbox(1005), id=SandboxId("here", "new"), name="new")
    delta = board.merge(look(1005, sandbox(1005), new))
    assert [event.text for event in delta.events] == ["new is new here: ready"]
    delta = board.merge(look(1010, new))
    # One list without it is not its end: it stays, marked, and is not current.
    assert (delta.sandboxes_removed, delta.events) == ((), ())
    assert delta.sandboxes == (sandbox(1005, stale=True, missing_since=1010),)
    delta = board.merge(look(1015, new))
    assert delta.sandboxes_removed == (BOX,)
    assert delta.events[0].severity is Severity.WORSE
    assert set(board.sandboxes) == {new.id, other.id}


def test_a_failed_probe_keeps_every_row_stale_with_its_age() -> None:
    _, board = fresh()
    board.merge(look(1000, gateway(1000), sandbox(1000)))
    lost = board.merge(failure(1006))
    assert lost.gateways == (gateway(1000, stale=True),)
    assert not lost.sandboxes and lost.staleness == frozenset({"here", GATE})
    assert board.every_row(lost).sandboxes == (sandbox(1000, stale=True),)
    assert dict(board.sandboxes) == {BOX: sandbox(1000, stale=True)}
    assert [event.text for event in lost.events] == ["Here does not answer: No answer within 6 s."]
    assert lost.link is not None
    assert (lost.link.connected, lost.link.failures, lost.link.retry_at) == (False, 1, 1016)
    again = board.merge(failure(1020, 2))
    assert not (again.gateways or again.sandboxes or again.events)
    assert again.link is not None
    assert again.link.failures == 2
    assert again.link.last_success_at == 1000
    back = board.merge(look(1030, gateway(1030), sandbox(1030)))
    assert board.every_row(back).sandboxes == (sandbox(1030),)
    assert not board.staleness
    assert [event.text for event in back.events] == ["Here answers again, away for 30 s"]


def test_a_source_that_never_answered_is_lost_once_and_empty() -> None:
    _, board = fresh()
    assert len(board.merge(failure(1000)).events) == 1
    assert board.merge(failure(1010, 2)).events == ()
    assert not board.sandboxes
    back = board.merge(look(1020, sandbox(1020)))
    assert [event.text for event in back.events] == ["Here answers again"]


def test_what_is_not_refreshed_for_three_intervals_goes_stale() -> None:
    clock, board = fresh()
    old = replace(sandbox(990), id=SandboxId("here", "old"))
    board.merge(look(1000, gateway(1000), sandbox(1000), old))
    assert not board.expire(1005)
    assert board.expire(1005.5).sandboxes == (replace(old, stale=True),)
    assert not board.expire(1015)
    gone = board.expire(1015.5)
    assert ids(board.every_row(gone)) >= {GATE, BOX} and gone.staleness == {"here", GATE}
    assert not gone.sandboxes
    assert not board.expire(1100)
    assert board.totals().stale == 3
    await_old = replace(old, observed_at=990)
    clock.jump(1020)
    back = board.merge(look(1020, gateway(1020), sandbox(1020), await_old))
    assert ids(board.every_row(back)) >= {GATE, BOX}
    assert board.sandboxes[old.id].stale


def test_one_bad_look_does_not_take_a_gateway_of_two_strikes_out_of_ready() -> None:
    _, board = fresh()
    gate = GatewayId("vel", "gate")

    def seen(at: float, state: GatewayState) -> Observation:
        return look(at, replace(gateway(at, state), id=gate), source="vel")

    board.merge(seen(1000, GatewayState.READY))
    assert board.merge(seen(1005, GatewayState.HUNG)).events == ()
    assert board.gateways[gate].observed_at == 1000
    board.merge(seen(1010, GatewayState.READY))
    assert board.merge(seen(1015, GatewayState.HUNG)).gateways == ()
    second = board.merge(seen(1020, GatewayState.HUNG))
    assert [row.state for row in second.gateways] == [GatewayState.HUNG]
    board.merge(seen(1025, GatewayState.READY))
    asked = board.merge(seen(1030, GatewayState.HUNG), background=False)
    assert [row.state for row in asked.gateways] == [GatewayState.HUNG]
    board.merge(seen(1032, GatewayState.READY))
    # A refused connection is definite.
    assert board.merge(seen(1033, GatewayState.DOWN)).gateways
    board.merge(seen(1035, GatewayState.READY))
    # What answers is believed at once.
    assert board.merge(seen(1040, GatewayState.SETTLING)).gateways


def test_attention_and_totals() -> None:
    _, board = fresh()
    fine = sandbox(1000, SandboxState.ASLEEP, asleep_by_design=True)
    assert not needs_attention(fine)
    assert needs_attention(replace(fine, asleep_by_design=False))
    assert not needs_attention(sandbox(1, SandboxState.SETTLING))
    assert needs_attention(sandbox(1, stale=True))
    assert not needs_attention(gateway(1, GatewayState.SETTLING))
    assert needs_attention(gateway(1, GatewayState.UNKNOWN))
    broken = replace(sandbox(1000, SandboxState.BROKEN), id=SandboxId("here", "b"))
    board.merge(look(1000, gateway(1000), fine, broken))
    totals = board.totals()
    assert totals.gateways == ((GatewayState.READY, 1),)
    assert dict(totals.sandboxes) == {SandboxState.ASLEEP: 1, SandboxState.BROKEN: 1}
    assert (totals.attention, totals.stale, totals.lost, totals.working) == (1, 0, 0, 0)
    board.merge(failure(1006))
    assert (board.totals().attention, board.totals().lost) == (3, 1)


def test_a_row_of_another_source_is_not_taken_in() -> None:
    _, board = fresh()
    stranger = replace(sandbox(1000), id=SandboxId("vel", "box"))
    board.merge(look(1000, sandbox(1000), stranger))
    assert set(board.sandboxes) == {BOX}


def test_ten_thousand_rows_yield_only_what_changed() -> None:
    _, board = fresh()
    rows = [
        replace(sandbox(1000), id=SandboxId("here", f"box-{n}"), name=f"box-{n}")
        for n in range(10_000)
    ]
    board.merge(look(1000, *rows))
    rows[77] = replace(rows[77], state=SandboxState.STUCK, observed_at=1001)
    delta = board.merge(look(1001, *rows))
    assert delta.sandboxes == (replace(rows[77], since=1001),)
    assert not delta.touched_sandboxes
    assert len(delta.events) == 1
    assert board.totals().attention == 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_deltas_rebuild_the_board_and_totals_agree(seed: int) -> None:
    """Whoever applies every delta sees what the board holds; counts are those of the rows."""
    chance = random.Random(seed)
    clock, board = fresh()
    shown: dict[SandboxId, Sandbox] = {}
    for _ in range(30):
        clock.jump(clock.now() + chance.choice((1, 5, 20)))
        at = clock.now()
        match chance.randrange(4):
            case 0:
                delta = board.merge(failure(at))
            case 1:
                delta = board.expire(at)
            case _:
                rows = [
                    replace(
                        sandbox(at - chance.choice((0, 0, 30)), chance.choice(list(SandboxState))),
                        id=SandboxId("here", str(n)),
                        activity=chance.choice(list(Activity)),
                    )
                    for n in range(6)
                    if chance.random() < 0.8
                ]
                delta = board.merge(look(at, *rows))
        delta = board.every_row(delta)
        for gone in delta.sandboxes_removed:
            del shown[gone]
        shown.update({row.id: row for row in delta.sandboxes})
        for key, row in delta.touched_sandboxes.items():
            shown[key] = replace(shown[key], observed_at=row.observed_at)
        assert shown == dict(board.sandboxes)
        totals = board.totals()
        assert sum(n for _, n in totals.sandboxes) + totals.stale_sandboxes == len(shown)
        assert totals.attention == sum(needs_attention(row) for row in shown.values())
        assert totals.stale == sum(row.stale for row in shown.values())
        busy = [one for one in shown.values() if one.activity is Activity.WORKING and not one.stale]
        assert totals.working == sum(one.state is SandboxState.READY for one in busy)


def test_a_name_that_others_have_is_told_with_what_tells_it_apart() -> None:
    clock = FakeClock()
    board = Board(clock, [LOCAL, VELLUM])
    other = SandboxId("vel", "7")
    ours = sandbox(0)

    def told(row: Sandbox = ours) -> str:
        return board.told_apart(row)

    qualified = f"{ours.id.source}/{ours.name}"
    board.merge(look(0, ours))
    assert told() == ours.name
    board.merge(look(0, sandbox(0, id=other, name="another"), source="vel"))
    assert told() == ours.name
    board.merge(look(1, sandbox(1, id=other), source="vel"))
    assert told() == qualified and told(board.sandboxes[other]) == f"vel/{ours.name}"
    board.merge(look(2, sandbox(2, id=other, name="another"), source="vel"))
    assert told() == ours.name
    board.merge(look(3, sandbox(3, id=other), source="vel"))
    for at in (4, 5):  # absence needs two looks
        assert told() == qualified
        board.merge(look(at, source="vel"))
    assert told() == ours.name
    twin = SandboxId("here", "twin")
    board.merge(look(6, ours, sandbox(6, id=twin)))
    assert told() == str(ours.id) and told(board.sandboxes[twin]) == "here/twin"


def test_a_delta_is_true_where_anything_of_it_changed() -> None:
    assert not BoardDelta()
    assert BoardDelta(touched_sandboxes={BOX: sandbox(0)}) and BoardDelta(
        staleness=frozenset({"here"})
    )
    assert BoardDelta(touched_gateways={GATE: gateway(0)}) and BoardDelta(sandboxes_removed=(BOX,))
    assert BoardDelta(gateways=(gateway(0),)) and BoardDelta(sandboxes=(sandbox(0),))


def test_what_a_list_still_brings_is_not_new_and_what_comes_later_is() -> None:
    board = Board(FakeClock(), [LOCAL])
    missing = ((GATE, Unknown[Sandbox]("1 of 2 listed so far", coming=True)),)
    first = sandbox(1.0, gateway=GATE, needs=(GATE,))
    board.merge(replace(look(1.0, gateway(1.0), first), unknown=missing))
    second = replace(first, id=SandboxId("here", "second"), name="second")
    delta = board.merge(look(2.0, gateway(2.0), first, second))
    assert SandboxId("here", "second") in ids(delta) and not delta.events
    third = replace(first, id=SandboxId("here", "third"), name="third")
    (event,) = board.merge(look(3.0, gateway(3.0), first, second, third)).events
    assert event.text == "third is new here: ready"
