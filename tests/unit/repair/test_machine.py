"""The real runner, driven at random under a clock that moves when told: what always holds."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.models import Attempt, AttemptState, SandboxId, Step, StepState, Verb
from services.repair.attempts import AttemptHandle, Attempts
from services.sources.protocol.verdict import VerdictKind
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

BOXES = tuple(SandboxId("s", name) for name in ("one", "two", "three"))
VERDICTS = st.sampled_from((READY, SETTLING, DOWN, DOWN, STOPPED, REFUSED, UNKNOWN))
RUNNING = Step("start", StepState.RUNNING)
CRITICAL = Step("credential", StepState.RUNNING, critical=True)
LINKING = Step("connect", StepState.RUNNING)
FAILING = Step("connect", StepState.FAILED, detail="refused")
PASSING = Step("connect", StepState.FAILED, detail="still loading", transient=True)
WAKES = st.builds(
    Script,
    steps=st.sampled_from(((RUNNING,), (RUNNING, CRITICAL), (RUNNING, FAILING), ())),
    takes_s=st.sampled_from((0.2, 8.0, 45.0)),
    ends=st.sampled_from(("ok", "ok", "raise", "crash", "hang")),
    then=st.sampled_from((READY, READY, SETTLING, REFUSED, None)),
    deaf=st.booleans(),
)
LINKS = st.builds(
    Script,
    steps=st.sampled_from(((LINKING,), (CRITICAL, LINKING), (FAILING,), (PASSING,))),
    takes_s=st.sampled_from((0.2, 8.0, 30.0)),
    ends=st.sampled_from(("ok", "ok", "raise", "hang")),
)


class Machine(RuleBasedStateMachine):
    @initialize(shared=st.booleans())
    def begin(self, shared: bool) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.source = Scripted(self.clock, shared=shared)
        self.told: list[Attempt] = []
        self.history: dict[str, list[Attempt]] = {}
        self.handles: list[AttemptHandle] = []
        self.created: set[str] = set()
        self.broken: list[str] = []
        self.attempts = Attempts(
            {"s": self.source.open}, self.clock, self.folder / "locks", self._tell
        )

    def _tell(self, attempt: Attempt) -> None:
        """Judged at the moment of telling: later the source may have moved on."""
        self.told.append(attempt)
        history = self.history.setdefault(attempt.id, [])
        if history:
            before = history[-1]
            if before.original and attempt.original != before.original:
                self.broken.append(f"the first error changed: {before} {attempt}")
            if before.state.ended and attempt.state is not before.state:
                self.broken.append(f"an ended attempt went on: {before} {attempt}")
        history.append(attempt)
        started = [s.started_at for s in attempt.steps if s.started_at is not None]
        if started != sorted(started):
            self.broken.append(f"steps out of order: {attempt.steps}")
        given_up = any(words in str(attempt) for words in ("did not end", "outcome is unknown"))
        alive = self.source.active[attempt.sandbox] > 0
        if attempt.state is AttemptState.CANCELLED and alive and not given_up:
            self.broken.append(f"cancelled with a child alive: {attempt}")
        if attempt.state is AttemptState.DONE and attempt.verb is Verb.WAKE:
            seen = self._answers(attempt)
            if not seen or seen[-1].kind is not VerdictKind.READY:
                self.broken.append(f"done without a ready probe: {attempt}")

    def _answers(self, attempt: Attempt) -> list[Any]:
        return [
            verdict
            for when, sandbox, verdict in self.source.answered
            if sandbox == attempt.sandbox and when >= attempt.started_at
        ]

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        self.runner.run(work)

    @rule(box=st.sampled_from(BOXES), verb=st.sampled_from(Verb), times=st.integers(1, 3))
    def press(self, box: SandboxId, verb: Verb, times: int) -> None:
        async def act() -> None:
            before = self.attempts.current(box)
            handles = [self.attempts.request(verb, box) for _ in range(times)]
            ids = {handle.attempt.id for handle in handles}
            assert len(ids) == 1
            if before is not None and before.ended_at is None:
                assert ids == {before.id}
            self.created |= ids
            self.handles.append(handles[0])
            await settle()

        self.run(act())

    @rule(index=st.integers(0, 5))
    def cancel(self, index: int) -> None:
        async def act() -> None:
            if self.handles:
                self.handles[-1 - index % len(self.handles)].cancel()
            await settle()

        self.run(act())

    @rule(seconds=st.sampled_from((0.05, 0.3, 1.0, 7.0, 20.0, 70.0)))
    def advance(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))

    @rule(box=st.sampled_from(BOXES), verdict=VERDICTS)
    def change(self, box: SandboxId, verdict: Any) -> None:
        self.source.verdict[box.native_id] = verdict

    @rule(how=st.sampled_from(("", "", "raise", "crash", "hang", "deaf")))
    def probing(self, how: str) -> None:
        self.source.probing = how

    @rule(script=WAKES)
    def waking(self, script: Script) -> None:
        self.source.wakes = script

    @rule(script=LINKS)
    def linking(self, script: Script) -> None:
        self.source.links.append(script)

    @invariant()
    def holds(self) -> None:
        assert self.broken == []
        # A critical step is never cut off, and no wake is ever beside another on its gateway,
        # but where an actor that ignored its end had to be given up on.
        assert self.source.interrupted == []
        given_up = any("did not end" in attempt.summary for attempt in self.told)
        assert self.source.most_awake <= 1 or given_up
        assert len(self.source.woken) <= len(self.created)
        for history in self.history.values():
            last = history[-1]
            assert last.wakes <= 1
            assert last.connects <= 4
            assert last.last != last.original or not last.last
            if last.wakes:
                kinds = [verdict for verdict in self._answers(last) if verdict.wakeable]
                assert kinds, "woken without evidence that a wake can repair"
            if last.state.ended:
                assert last.summary
                assert all(s.state is not StepState.RUNNING for s in last.steps)
                assert not last.cancelling

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return

        async def end() -> None:
            self.source.probing = ""
            for _ in range(300):
                if all(handle.attempt.ended_at for handle in self.handles):
                    break
                await self.clock.advance(10)
            # Every attempt ends.
            assert all(handle.attempt.state.ended for handle in self.handles)
            assert sorted({h.attempt.id for h in self.handles}) == sorted(self.created)
            # None of them holds a lock: another panel could go on.
            for lock in (self.folder / "locks").glob("*.lock"):
                handle = os.open(lock, os.O_RDWR)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.close(handle)
            # And a press begins anew.
            self.source.verdict.clear()
            await self.clock.advance(120)
            fresh = self.attempts.request(Verb.WAKE, BOXES[0])
            assert fresh.attempt.id not in self.created
            await self.clock.advance(1)
            assert fresh.attempt.state is AttemptState.DONE
            closing = asyncio.ensure_future(self.attempts.close())
            while not closing.done():
                await self.clock.advance(1)
            await closing
            await self.clock.advance(120)

        try:
            self.run(end())
            self.holds()
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestMachine = Machine.TestCase
