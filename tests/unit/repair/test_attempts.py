"""Attempts carried out by the real runner against a scripted source."""

from __future__ import annotations

import ast
import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from services.errors import NotFoundError, ReadOnlyError, RefusedError
from services.models import Attempt, AttemptState, SandboxId, Step, StepState, Verb
from services.process import child
from services.repair import limits as limits_module
from services.repair.attempts import AttemptHandle, Attempts
from services.repair.limits import Limits
from tests.support.clock import FakeClock, settle
from tests.support.scripted import (
    DOWN,
    READY,
    REFUSED,
    SETTLING,
    STOPPED,
    UNKNOWN,
    Script,
    Scripted,
)

BOX = SandboxId("s", "box")
OTHER = SandboxId("s", "other")


class Bench:
    def __init__(self, locks: Path, *, read_only: bool = False) -> None:
        self.clock = FakeClock()
        self.source = Scripted(self.clock)
        self.told: list[Attempt] = []
        self.attempts = Attempts(
            {"s": self.source.open}, self.clock, locks, self.told.append, read_only=read_only
        )

    async def end(self, handle: AttemptHandle, within: float = 1000.0) -> Attempt:
        """Move time until the attempt is over."""
        waiting = asyncio.ensure_future(handle.wait())
        passed = 0.0
        while not waiting.done():
            assert passed < within, handle.attempt
            await self.clock.advance(0.5)
            passed += 0.5
        return waiting.result()


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **options: Bench(tmp_path / "locks", **options)


def states(told: list[Attempt]) -> list[str]:
    seen: list[str] = []
    for attempt in told:
        if not seen or seen[-1] != attempt.state.value:
            seen.append(attempt.state.value)
    return seen


def step(attempt: Attempt, name: str) -> Step:
    return next(step for step in attempt.steps if step.name == name)


async def test_a_serving_sandbox_is_left_alone(bench: Callable[..., Bench]) -> None:
    b = bench()
    done = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert done.state is AttemptState.DONE
    assert b.source.woken == []
    assert "nothing had to be done" in done.summary
    assert done.advice == ""
    assert [(s.name, s.state) for s in done.steps] == [("check", StepState.OK)]
    await b.attempts.close()


async def test_a_dead_gateway_is_woken_verified_and_told_of(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    handle = b.attempts.request(Verb.WAKE, BOX)
    assert handle.attempt.state is AttemptState.PROBE
    done = await b.end(handle)
    assert done.state is AttemptState.DONE
    assert states(b.told) == ["probe", "wake", "verify", "done"]
    assert [s.name for s in done.steps] == ["check", "start", "wait"]
    assert done.original == DOWN.reason
    assert "The gateway is down." in done.summary
    assert len(b.source.woken) == 1
    assert b.attempts.current(BOX) == done
    await b.attempts.close()


async def test_exit_0_without_a_ready_probe_is_no_success(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(then=None)
    done = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert done.state is AttemptState.FAILED
    assert len(b.source.woken) == 1
    assert step(done, "wait").state is StepState.FAILED
    assert done.original == DOWN.reason
    assert done.last == ""
    assert done.ended_at is not None
    assert 60 <= done.ended_at - done.started_at < 70
    await b.attempts.close()


async def test_a_wake_over_its_limit_is_ended_and_a_ready_probe_still_counts(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(ends="hang")
    handle = b.attempts.request(Verb.WAKE, BOX)
    await b.clock.advance(200)
    b.source.verdict["box"] = READY
    assert handle.attempt.state is AttemptState.WAKE
    done = await b.end(handle)
    assert done.state is AttemptState.DONE
    assert states(b.told) == ["probe", "wake", "drain", "verify", "done"]
    assert b.source.active[BOX] == 0
    await b.attempts.close()


async def test_settling_is_waited_for_and_never_woken(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = SETTLING
    handle = b.attempts.request(Verb.WAKE, BOX)
    await b.clock.advance(200)
    assert handle.attempt.state is AttemptState.VERIFY
    assert "Migrating" in step(handle.attempt, "wait").detail
    b.source.verdict["box"] = READY
    done = await b.end(handle)
    assert done.state is AttemptState.DONE
    assert b.source.woken == []

    b.source.verdict["box"] = SETTLING
    late = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert late.state is AttemptState.FAILED
    assert late.original == SETTLING.reason
    assert b.source.woken == []
    await b.attempts.close()


@pytest.mark.parametrize("verdict", [REFUSED, UNKNOWN, STOPPED])
async def test_what_a_wake_cannot_help_ends_at_once(
    bench: Callable[..., Bench], verdict: object
) -> None:
    b = bench()
    b.source.verdict["box"] = verdict  # type: ignore[assignment]
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX), within=5)
    assert done.state is AttemptState.FAILED
    assert b.source.woken == []
    assert "Nothing was started." in done.summary
    assert done.advice
    if verdict is REFUSED:
        assert done.confirmable == "repair-credential"
        assert done.advice == "Ask its owner."
    await b.attempts.close()


async def test_terminal_after_a_wake_means_no_second_wake(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(then=REFUSED)
    done = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert done.state is AttemptState.FAILED
    assert (done.original, done.last) == (DOWN.reason, REFUSED.reason)
    assert done.confirmable == "repair-credential"
    assert len(b.source.woken) == 1
    await b.attempts.close()


async def test_reconnect_links_and_a_transient_failure_is_tried_again(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    sandbox = Step("sandbox", StepState.OK)
    failing = Step("connect", StepState.FAILED, detail="Still loading.", transient=True)
    linked = Script((sandbox, Step("connect", StepState.OK)))
    b.source.links.extend([Script((sandbox, failing)), Script((sandbox, failing)), linked])
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.state is AttemptState.DONE
    assert done.connects == 3
    assert done.original == "Still loading."
    assert b.source.woken == []
    started = [s.started_at for s in done.steps if s.started_at is not None]
    assert [s.name for s in done.steps] == ["check", "wait", "sandbox", "connect"]
    assert started == sorted(started)
    await b.attempts.close()


async def test_a_link_that_never_holds_gives_up_after_four(bench: Callable[..., Bench]) -> None:
    b = bench()
    failing = Step("connect", StepState.FAILED, detail="Still loading.", transient=True)
    b.source.links.extend([Script((failing,))] * 9)
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.state is AttemptState.FAILED
    assert done.connects == 4
    await b.attempts.close()


async def test_a_link_that_fails_on_a_dead_gateway_wakes_it(bench: Callable[..., Bench]) -> None:
    b = bench()
    failing = Step("connect", StepState.FAILED, detail="Connection refused.")
    b.source.links.append(Script((failing,)))
    handle = b.attempts.request(Verb.RECONNECT, BOX)
    await b.clock.advance(0.15)
    b.source.verdict["box"] = DOWN
    done = await b.end(handle)
    assert done.state is AttemptState.DONE
    assert len(b.source.woken) == 1
    assert done.original == "Connection refused."
    await b.attempts.close()


async def test_a_refused_link_on_a_ready_gateway_is_terminal(bench: Callable[..., Bench]) -> None:
    b = bench()
    failing = Step("credential", StepState.FAILED, detail="403")
    b.source.links.append(Script((failing,)))
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.state is AttemptState.FAILED
    assert b.source.woken == []
    assert done.original == "403"
    await b.attempts.close()


async def test_presses_join_and_reconnect_lifts_a_wake(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    handles = [b.attempts.request(Verb.WAKE, BOX) for _ in range(3)]
    handles.append(b.attempts.request(Verb.RECONNECT, BOX))
    handles.append(b.attempts.request(Verb.WAKE, BOX))
    ends = [await b.end(handle) for handle in handles]
    assert len(set(ends)) == 1
    assert ends[0].verb is Verb.RECONNECT
    assert ends[0].connects == 1
    assert len(b.source.woken) == 1
    await b.attempts.close()


async def test_a_shared_gateway_is_woken_once(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.shared = True
    boxes = [SandboxId("s", f"box{n}") for n in range(5)]
    b.source.verdict.update({box.native_id: DOWN for box in boxes})
    b.source.wakes = Script(takes_s=20, then=READY)
    handles = [b.attempts.request(Verb.WAKE, box) for box in boxes]
    await b.clock.advance(5)
    waiting = [h.attempt for h in handles if h.attempt.state is AttemptState.VERIFY]
    assert len(waiting) == 4
    assert "another repair of the same gateway" in step(waiting[0], "wait").detail
    ends = [await b.end(handle) for handle in handles]
    assert {end.state for end in ends} == {AttemptState.DONE}
    assert len(b.source.woken) == 1
    await b.attempts.close()


async def test_a_waiter_wakes_when_the_first_wake_did_not_help(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    b.source.shared = True
    b.source.verdict.update({"box": DOWN, "other": DOWN})
    b.source.wakes = Script(takes_s=20, then=None)
    handles = [b.attempts.request(Verb.WAKE, box) for box in (BOX, OTHER)]
    ends = [await b.end(handle) for handle in handles]
    assert {end.state for end in ends} == {AttemptState.FAILED}
    assert [end.wakes for end in ends] == [1, 1]
    assert b.source.most_awake == 1
    await b.attempts.close()


async def test_a_cancelled_wake_leaves_nothing_and_can_be_pressed_again(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(takes_s=50, then=READY)
    handle = b.attempts.request(Verb.WAKE, BOX)
    await b.clock.advance(12)
    start = step(handle.attempt, "start")
    assert "over 10 s" in start.detail
    assert "cancelling is safe" in start.detail
    handle.cancel()
    assert handle.attempt.cancelling
    done = await b.end(handle, within=5)
    assert done.state is AttemptState.CANCELLED
    assert b.source.active[BOX] == 0
    assert step(done, "start").detail == "cancelled"
    assert "Cancelled." in done.summary
    again = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert again.state is AttemptState.DONE
    assert again.id != done.id
    await b.attempts.close()


@pytest.mark.parametrize("verb", [Verb.WAKE, Verb.RECONNECT])
async def test_a_critical_step_is_let_finish(bench: Callable[..., Bench], verb: Verb) -> None:
    b = bench()
    critical = Script(
        (Step("credential", StepState.RUNNING, critical=True), Step("connect", StepState.RUNNING)),
        takes_s=20,
    )
    if verb is Verb.WAKE:
        b.source.verdict["box"] = DOWN
        b.source.wakes = critical
    else:
        b.source.links.append(critical)
    handle = b.attempts.request(verb, BOX)
    await b.clock.advance(5)
    handle.cancel()
    await b.clock.advance(10)
    assert handle.attempt.state is AttemptState.DRAIN
    assert "let finish" in step(handle.attempt, "credential").detail
    done = await b.end(handle)
    assert done.state is AttemptState.CANCELLED
    assert b.source.interrupted == []
    assert step(done, "credential").state is StepState.OK
    assert all(s.name != "connect" or s.state is not StepState.OK for s in done.steps)
    await b.attempts.close()


async def test_a_critical_step_that_never_ends_is_left_alone(bench: Callable[..., Bench]) -> None:
    b = bench()
    step_ = Step("credential", StepState.RUNNING, critical=True)
    b.source.links.append(Script((step_,), takes_s=10_000))
    handle = b.attempts.request(Verb.RECONNECT, BOX)
    await b.clock.advance(5)
    handle.cancel()
    done = await b.end(handle, within=60)
    assert done.state is AttemptState.CANCELLED
    assert b.source.interrupted == []
    assert "unknown" in done.original
    assert done.advice
    closing = asyncio.ensure_future(b.attempts.close())
    while not closing.done():
        await b.clock.advance(1)
    await closing
    assert b.source.active[BOX] == 0


async def test_an_actor_that_ignores_the_end_is_given_up_on(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(ends="hang", deaf=True)
    handle = b.attempts.request(Verb.WAKE, BOX)
    await b.clock.advance(5)
    handle.cancel()
    done = await b.end(handle, within=30)
    assert done.state is AttemptState.CANCELLED
    assert "did not end" in done.summary
    await b.clock.advance(120)
    assert b.source.active[BOX] == 0
    await b.attempts.close()


@pytest.mark.parametrize("how", ["raise", "crash"])
async def test_a_wake_that_cannot_run_fails_with_the_first_error(
    bench: Callable[..., Bench], how: str
) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(steps=(), ends=how)
    done = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert done.state is AttemptState.FAILED
    assert done.original == DOWN.reason
    assert step(done, "start").state is StepState.FAILED
    expected = "not installed" if how == "raise" else "internal error: ZeroDivisionError"
    assert expected in done.last
    assert "hunter2" not in str(done)
    await b.attempts.close()


@pytest.mark.parametrize("how", ["raise", "crash", "hang", "deaf"])
async def test_a_probe_that_fails_is_a_value(bench: Callable[..., Bench], how: str) -> None:
    b = bench()
    b.source.probing = how
    done = await b.end(b.attempts.request(Verb.WAKE, BOX), within=30)
    assert done.state is AttemptState.FAILED
    assert done.original
    assert b.source.woken == []
    await b.clock.advance(200)
    await b.attempts.close()


async def test_a_hanging_probe_while_verifying_does_not_pile_up(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    handle = b.attempts.request(Verb.WAKE, BOX)
    await b.clock.advance(0.5)
    b.source.probing = "deaf"
    await b.clock.advance(150)
    names = [t.get_coro().__qualname__ for t in asyncio.all_tasks()]  # type: ignore[union-attr]
    assert names.count("_run_probe") <= 1
    b.source.probing = ""
    done = await b.end(handle)
    assert done.state is AttemptState.DONE
    await b.attempts.close()


async def test_refusals_say_why(bench: Callable[..., Bench]) -> None:
    with pytest.raises(ReadOnlyError, match="read-only"):
        bench(read_only=True).attempts.request(Verb.WAKE, BOX)
    b = bench()
    with pytest.raises(NotFoundError, match="elsewhere"):
        b.attempts.request(Verb.WAKE, SandboxId("elsewhere", "box"))
    for name in ("", "-x", "--force", "a\nb", "a\x00b"):
        with pytest.raises(RefusedError):
            b.attempts.request(Verb.WAKE, SandboxId("s", name))
    assert b.attempts.current(BOX) is None
    await b.attempts.close()
    with pytest.raises(RefusedError, match="closing"):
        b.attempts.request(Verb.WAKE, BOX)


async def test_closing_ends_everything(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict.update({"box": DOWN, "other": DOWN})
    b.source.wakes = Script(ends="hang")
    handles = [b.attempts.request(Verb.WAKE, box) for box in (BOX, OTHER)]
    await b.clock.advance(5)
    closing = asyncio.ensure_future(b.attempts.close())
    while not closing.done():
        await b.clock.advance(1)
    await closing
    assert all(handle.attempt.state is AttemptState.CANCELLED for handle in handles)
    assert sum(b.source.active.values()) == 0
    await settle()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert others == set()


async def test_a_listener_that_breaks_does_not_break_the_attempt(tmp_path: Path) -> None:
    b = Bench(tmp_path / "locks")

    def broken(attempt: Attempt) -> None:
        raise RuntimeError("painting failed")

    b.attempts = Attempts({"s": b.source.open}, b.clock, tmp_path / "locks", broken)
    done = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert done.state is AttemptState.DONE
    await b.attempts.close()


async def test_a_wake_that_does_not_end_says_so_and_nothing_of_a_kill(
    bench: Callable[..., Bench],
) -> None:
    """No process is anywhere near: it is waited for, and that is what its step says."""
    b = bench()
    b.source.verdict["box"] = DOWN
    b.source.wakes = Script(takes_s=600, deaf=True)
    handle = b.attempts.request(Verb.WAKE, BOX)
    await b.clock.advance(3)
    handle.cancel()
    limits = Limits()
    await b.clock.advance(limits.grace_s - 0.1)
    assert step(handle.attempt, "start").detail == "being ended"
    await b.clock.advance(0.2)
    assert handle.attempt.state is AttemptState.DRAIN
    assert step(handle.attempt, "start").detail == "did not end when asked, still waited for"
    done = await b.end(handle)
    assert done.state is AttemptState.CANCELLED
    assert not [one.detail for told in b.told for one in told.steps if "kill" in one.detail]
    await b.clock.advance(60)
    await b.attempts.close()


async def test_hostile_words_of_a_source_are_shown_harmless(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.verdict["box"] = DOWN
    evil = "\x1b]52;c;aGk=\x07Authorization: Bearer abcdefghijk"
    b.source.wakes = Script((Step("st\x1b[31mart", StepState.FAILED, detail=evil),))
    done = await b.end(b.attempts.request(Verb.WAKE, BOX))
    assert "\x1b" not in str(done)
    assert "abcdefghijk" not in str(done)
    assert "\x1b" not in "".join(s.name + s.detail for s in done.steps)
    await b.attempts.close()


async def test_ticking_alone_never_reaches_the_actor(tmp_path: Path) -> None:
    """A feed is given the observer only; hours of ticks on a dead source start nothing."""
    import random

    from services.board.poller import Poller

    b = Bench(tmp_path / "locks")
    b.source.verdict["box"] = DOWN
    seen: list[object] = []
    feed = Poller(
        "s",
        b.source.open.observer.observe,
        seen.append,
        clock=b.clock,
        interval_s=5,
        deadline_s=6,
        jitter=random.Random(1),
        source="s",
    )
    running = asyncio.ensure_future(feed.run())
    await b.clock.advance(600)
    b.source.probing = "raise"
    await b.clock.advance(600)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(seen) > 100
    assert b.source.woken == []
    assert not (tmp_path / "locks").exists()


def test_limits_hold_and_a_lie_is_found() -> None:
    Limits().check()
    with pytest.raises(ValueError, match="attempt_s"):
        Limits(attempt_s=860).check()
    with pytest.raises(ValueError, match="connect_s"):
        Limits(connect_s=39).check()
    with pytest.raises(ValueError, match="lock_s"):
        Limits(reap_s=30.1).check()


def test_a_drain_is_longer_than_the_end_of_a_child() -> None:
    """What was asked to end is not called overdue while its signals still have their time."""
    limits = Limits()
    assert limits.grace_s >= child.GRACE_S
    assert limits.drain_s > child.GRACE_S + child.KILL_WAIT_S + child.LINGER_S


def test_every_limit_is_read_by_a_line_that_acts() -> None:
    """A number that only its own check compares guards nothing."""
    folder = Path(limits_module.__file__).parent
    read: Counter[str] = Counter()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "check":
                read.update(
                    one.attr
                    for one in ast.walk(node)
                    if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load)
                )
    assert {field.name for field in fields(Limits)} <= read.keys()


LOST = Step(
    "forward",
    StepState.FAILED,
    detail="port 3000: in use",
    best_effort=True,
    outcome="the forward of port 3000 was not mended",
)
MENDED = Step("forward", StepState.OK, outcome="the forward of port 3000 was mended")


async def test_a_best_effort_that_failed_is_in_the_conclusion(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.links.append(Script((LOST, Step("connect", StepState.OK))))
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.state is AttemptState.DONE, "it fails nothing"
    assert done.summary == "box is connected; the forward of port 3000 was not mended."
    assert step(done, "forward").state is StepState.FAILED
    await b.attempts.close()


@pytest.mark.parametrize("lost", [LOST, replace(LOST, outcome="")])
async def test_it_is_in_every_conclusion_and_never_the_headline(
    bench: Callable[..., Bench], lost: Step
) -> None:
    b = bench()
    clause = lost.outcome or "forward failed: port 3000: in use"
    b.source.verdict["box"] = DOWN
    b.source.links.append(Script((lost, Step("connect", StepState.OK))))
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.state is AttemptState.DONE and clause in done.summary
    assert done.original == DOWN.reason and "was woken" in done.summary
    b.source.links.append(
        Script((lost, Step("connect", StepState.FAILED, detail="It is refused.")))
    )
    failed = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert failed.state is AttemptState.FAILED
    assert failed.original == "It is refused." and clause in failed.summary
    await b.attempts.close()


async def test_what_a_link_step_mended_is_told(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.source.links.append(Script((MENDED, Step("connect", StepState.OK))))
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.summary == "box is connected; the forward of port 3000 was mended."
    await b.attempts.close()


async def test_where_there_is_no_link_none_is_said_to_be_there(bench: Callable[..., Bench]) -> None:
    b = bench()
    skipped = Step("connect", StepState.SKIPPED, detail="there is no link to mend")
    b.source.links.append(Script((skipped,)))
    done = await b.end(b.attempts.request(Verb.RECONNECT, BOX))
    assert done.summary == "box is serving; nothing had to be repaired."
    await b.attempts.close()
