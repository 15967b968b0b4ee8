"""An attempt in a panel that is stopped and continued: a sentence, and never their fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.board.lag import LagMeter
from services.models import Attempt, AttemptState, SandboxId, Step, StepState, Verb
from services.repair.attempts import AttemptHandle, Attempts
from services.sources.protocol.verdict import Verdict, VerdictKind
from tests.support.clock import FakeClock, settle
from tests.support.scripted import DOWN, READY, Script, Scripted

BOX = SandboxId("s", "box")
ASLEEP_S = 3600.0
LATE = "It did not answer within 8 s."


class Impatient(Scripted):
    """Its own limits run while the panel is stopped, as those of real clients do."""

    async def probe(self, sandbox: SandboxId) -> Verdict:
        began = self.clock.monotonic()
        verdict = await super().probe(sandbox)
        late = self.clock.monotonic() - began > 8
        return Verdict(VerdictKind.UNKNOWN, LATE) if late else verdict

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        began = self.clock.monotonic()
        async for step in super().connect(sandbox):
            if self.clock.monotonic() - began > 20:
                yield Step("connect", StepState.FAILED, detail=LATE)
                return
            yield step


class Bench:
    def __init__(self, locks: Path) -> None:
        self.clock = FakeClock()
        self.asleep_s = 0.0
        self.source = Impatient(self.clock)
        self.told: list[Attempt] = []
        meter = LagMeter(lambda: 0.0, lambda: self.asleep_s)
        self.attempts = Attempts(
            {"s": self.source.open}, self.clock, locks, self.told.append, lag=meter
        )

    async def stop_and_continue(self) -> None:
        """Everyone's clock goes on, and this process looks at nothing meanwhile."""
        self.asleep_s += ASLEEP_S
        await self.clock.stall(ASLEEP_S)

    async def end(self, handle: AttemptHandle) -> Attempt:
        waiting = asyncio.ensure_future(handle.wait())
        passed = 0.0
        while not waiting.done():
            assert passed < 1000, handle.attempt
            await self.clock.advance(0.05)
            passed += 0.05
        await self.clock.advance(1.0)
        return handle.attempt


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    yield Bench(folder / "locks")


# Half a second apart, these fall into every phase of the attempt: check, start, wait and connect.
@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.6, 1.1, 1.25, 1.6, 1.9, 2.2, 2.5])
async def test_a_panel_that_was_stopped_blames_nobody(tmp_path: Path, after_s: float) -> None:
    with opened(tmp_path) as b:
        b.source.verdict["box"] = DOWN
        link = Script((Step("connect", StepState.RUNNING), Step("connect", StepState.OK)), 0.4)
        b.source.links.extend([link] * 4)
        handle = b.attempts.request(Verb.RECONNECT, BOX)
        await b.clock.advance(after_s)
        running = not handle.attempt.state.ended
        phase = handle.attempt.state
        await b.stop_and_continue()
        ended = await b.end(handle)
        assert ("This panel was held up for 60 min of it." in ended.summary) is running
        assert ended.state is AttemptState.DONE, (phase, ended)
        assert len(b.source.woken) == 1, "one wake per press"
        assert ended.original == DOWN.reason
        assert LATE not in ended.summary
        await b.attempts.close()


async def test_a_wake_that_failed_meanwhile_says_who_was_late(tmp_path: Path) -> None:
    with opened(tmp_path) as b:
        b.source.verdict["box"] = DOWN
        b.source.wakes = Script(
            (Step("start", StepState.RUNNING), Step("start", StepState.FAILED, detail=LATE)),
            then=READY,
        )
        handle = b.attempts.request(Verb.WAKE, BOX)
        await b.clock.advance(0.5)
        assert handle.attempt.state is AttemptState.WAKE
        await b.stop_and_continue()
        ended = await b.end(handle)
        assert ended.state is AttemptState.FAILED and len(b.source.woken) == 1
        assert "this panel itself was held up for 60 min" in f"{ended.last} {ended.summary}"
        await b.attempts.close()


async def test_a_drain_does_not_give_up_for_our_own_lateness(tmp_path: Path) -> None:
    with opened(tmp_path) as b:
        b.source.verdict["box"] = DOWN
        b.source.wakes = Script(ends="hang")
        handle = b.attempts.request(Verb.WAKE, BOX)
        await b.clock.advance(1.5)
        handle.cancel()
        await settle()
        await b.stop_and_continue()
        ended = await b.end(handle)
        assert ended.state is AttemptState.CANCELLED and "did not end" not in ended.summary
        await b.attempts.close()
