"""The mirror: whole pictures, gaps, removals, clocks, and what cannot be shown."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from services.models import Capability, GatewayId, Sandbox, SandboxState
from services.sources.remote import mirror as module
from services.sources.remote.mirror import Mirror
from services.wire.messages import (
    Delta,
    EventRow,
    Hello,
    Removed,
    SourceInfo,
    SourceProblem,
    WireGateway,
    WireSandbox,
)
from tests.support.clock import FakeClock

NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def begun(clock: FakeClock, now: float | None = None, read_only: bool = False) -> Mirror:
    mirror = Mirror("box", GatewayId("box", "box"), clock)
    mirror.begin(_hello(clock, now, read_only))
    return mirror


def _hello(clock: FakeClock, now: float | None = None, read_only: bool = False) -> Hello:
    info = SourceInfo("home", "folder", "home", capabilities=["wake"], unavailable={"exec": "no"})
    told = clock.now() if now is None else now
    return Hello(1, "w", "1", now=told, sources=[info], read_only=read_only)


def rows(*names: str) -> list[WireSandbox]:
    return [WireSandbox(one, "ready") for one in names]


def full(*names: str, seq: int = 1, at: float = NOW) -> Delta:
    return Delta("home", seq, at, at, full=True, sandboxes=rows(*names))


def ids(sandboxes: Iterable[Sandbox]) -> list[str]:
    return sorted(one.id.native_id for one in sandboxes)


def test_a_picture_in_parts_replaces_all_there_was(clock: FakeClock) -> None:
    mirror = begun(clock)
    assert mirror.take(full("a", "b"))
    parts = [
        Delta("home", 2, NOW, NOW, full=True, more=True, sandboxes=rows("b")),
        Delta("home", 3, NOW, NOW, sandboxes=rows("c")),
    ]
    assert mirror.take(parts[0])
    assert ids(mirror.sandboxes(0)) == ["home/a", "home/b"]
    assert mirror.take(parts[1])
    assert ids(mirror.sandboxes(0)) == ["home/b", "home/c"]
    assert [str(one) for one in mirror.deleted] == ["box/home/a"]


def test_a_gap_is_noticed_and_nothing_is_taken_before_the_whole(clock: FakeClock) -> None:
    mirror = begun(clock)
    assert mirror.take(full("a"))
    assert not mirror.take(Delta("home", 3, NOW, NOW, sandboxes=rows("b")))
    assert not mirror.take(Delta("home", 4, NOW, NOW, sandboxes=rows("c")))
    assert ids(mirror.sandboxes(0)) == ["home/a"]
    assert mirror.take(full("a", "d", seq=5))
    assert ids(mirror.sandboxes(0)) == ["home/a", "home/d"]


def test_a_row_needs_the_link_and_says_what_its_source_cannot(clock: FakeClock) -> None:
    mirror = begun(clock)
    row = WireSandbox("a", "down", reason="It died.", gateway="g", needs=["g"])
    gate = WireGateway("g", "ready")
    mirror.take(Delta("home", 1, NOW, NOW, full=True, gateways=[gate], sandboxes=[row]))
    (seen,) = mirror.sandboxes(0)
    assert [one.native_id for one in seen.needs] == ["box", "home/g"]
    assert dict(seen.unavailable)[Capability.EXEC] == "no"
    assert dict(seen.unavailable)[Capability.SHELL] == "home cannot do this"
    assert Capability.WAKE not in dict(seen.unavailable)


def test_a_read_only_far_side_offers_nothing_that_acts(clock: FakeClock) -> None:
    mirror = begun(clock, read_only=True)
    mirror.take(full("a"))
    (seen,) = mirror.sandboxes(0)
    assert "read-only" in dict(seen.unavailable)[Capability.WAKE]


def test_ages_are_those_of_the_looks_there(clock: FakeClock) -> None:
    """Rows follow `at` until one names an instant of its own."""
    mirror = begun(clock)
    old = WireSandbox("old", "ready", observed_at=NOW - 50)
    mirror.take(Delta("home", 1, NOW, NOW, full=True, sandboxes=[*rows("a"), old]))
    clock.jump(clock.now() + 10)
    mirror.take(Delta("home", 2, NOW + 10, NOW + 10))
    seen = {one.name: one for one in mirror.sandboxes(4.0)}
    assert seen["a"].observed_at == NOW + 10
    assert seen["old"].observed_at == NOW - 50


def test_rows_stay_the_same_objects_while_nothing_is_old(clock: FakeClock) -> None:
    mirror = begun(clock)
    mirror.take(full("a"))
    before = list(mirror.sandboxes(4.0))
    clock.jump(clock.now() + 1)
    mirror.take(Delta("home", 2, NOW + 1, NOW + 1))
    after = list(mirror.sandboxes(4.0))
    assert all(one is other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("skew", [-3600.0, 40.0, 86_400.0])
def test_ages_are_right_where_clocks_differ(skew: float, clock: FakeClock) -> None:
    there = NOW - skew
    mirror = begun(clock, now=there)
    row = WireSandbox("a", "down", reason="x", since=there - 100, observed_at=there - 7)
    mirror.take(Delta("home", 1, there, there, full=True, sandboxes=[row]))
    (seen,) = mirror.sandboxes(0)
    assert seen.observed_at == pytest.approx(NOW - 7)
    assert seen.since == pytest.approx(NOW - 100)
    assert mirror.offset_s == pytest.approx(skew)


def test_a_late_delta_is_no_wrong_clock_and_a_stepped_clock_is_one(clock: FakeClock) -> None:
    mirror = begun(clock)
    assert mirror.take(full("a"))
    clock.jump(clock.now() + 9)
    assert mirror.take(Delta("home", 2, NOW, NOW))
    assert mirror.offset_s == 0.0
    for seq in (3, 4):
        mirror.take(Delta("home", seq, NOW, NOW))
    assert mirror.offset_s == pytest.approx(9)
    assert not mirror.take(Delta("home", 5, NOW, NOW)), "rows have to be told again"


def test_what_is_lost_stays_stale_until_it_is_told_again(clock: FakeClock) -> None:
    mirror = begun(clock)
    mirror.take(full("a", "b"))
    mirror.lost()
    assert all(one.stale for one in mirror.sandboxes(0)) and not mirror.complete
    mirror.begin(_hello(clock))
    assert [one.stale for one in mirror.sandboxes(0)] == [True, True]
    mirror.take(full("a"))
    assert [one.stale for one in mirror.sandboxes(0)] == [False]


def test_what_cannot_be_shown_is_counted_and_the_list_is_not_known(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    mirror = begun(clock)
    mirror.take(full("a", "b\x1b[31m", " c", "", "d", "e", "f", "x" * 501))
    assert ids(mirror.sandboxes(0)) == ["home/a", "home/d", "home/e"]
    ((gateway, unknown),) = mirror.unknown()
    assert gateway is None and unknown.reason == "home: 5 rows cannot be shown."


def test_a_source_that_cannot_look_says_why(clock: FakeClock) -> None:
    mirror = begun(clock)
    assert [one.reason for _, one in mirror.unknown()] == ["home has not been told yet."]
    mirror.take(Delta("home", 1, NOW, None, full=True, link=SourceProblem("docker is \x1b[1mgone")))
    assert [one.reason for _, one in mirror.unknown()] == ["home: docker is gone"]
    mirror.take(Delta("home", 2, NOW, NOW, link=SourceProblem("")))
    assert list(mirror.unknown()) == []


def test_removal_is_told_and_a_row_that_comes_back_is_there(clock: FakeClock) -> None:
    mirror = begun(clock)
    mirror.take(full("a", "b"))
    mirror.take(Delta("home", 2, NOW, NOW, removed=Removed(sandboxes=["a", "nothing"])))
    assert [str(one) for one in mirror.deleted] == ["box/home/a"]
    mirror.take(Delta("home", 3, NOW, NOW, sandboxes=rows("a")))
    assert not mirror.deleted


def test_words_of_nobody_are_unknown_and_said(clock: FakeClock) -> None:
    mirror = begun(clock)
    mirror.take(Delta("home", 1, NOW, NOW, full=True, sandboxes=[WireSandbox("a", "zombie")]))
    (seen,) = mirror.sandboxes(0)
    assert seen.state is SandboxState.UNKNOWN and "'zombie'" in seen.reason
    assert [one.word for one in mirror.take_words()] == ["zombie"]
    assert mirror.take_words() == ()
    mirror.take(Delta("home", 2, NOW, NOW, sandboxes=[WireSandbox("a", "cut off")]))
    assert [one.state for one in mirror.sandboxes(0)] == [SandboxState.UNKNOWN]


def test_events_of_there_carry_their_own_instant(clock: FakeClock) -> None:
    there = NOW - 100
    mirror = begun(clock, now=there)
    event = EventRow(there - 5, "a is down", "worse", "a", "sandbox", "ready", "down")
    mirror.take(Delta("home", 1, there, there, full=True, events=[event]))
    (seen,) = mirror.take_events()
    assert seen.at == pytest.approx(NOW - 5) and seen.told_at == there - 5
    assert (seen.source, seen.subject) == ("box", "home/a")
    assert mirror.take_events() == ()


@pytest.mark.parametrize(
    ("said", "taken"),
    [(0.25, 0.25), (0.0, 0.0), (-1.0, None), (1e300, None), (float("nan"), None), (None, None)],
)
def test_a_cost_that_no_sum_can_bear_is_not_told(
    said: float | None, taken: float | None, clock: FakeClock
) -> None:
    mirror = begun(clock)
    names = ["other", "bad\x1b[2J", "", *(f"n{one}" for one in range(20))]
    row = WireSandbox("a", "ready", cost_usd=said, aliases=names)
    assert mirror.take(Delta("home", 1, NOW, NOW, full=True, sandboxes=[row]))
    (found,) = mirror.sandboxes(0)
    assert found.cost_usd == taken
    assert len(found.aliases) == 6 and not any("\x1b" in one for one in found.aliases)
