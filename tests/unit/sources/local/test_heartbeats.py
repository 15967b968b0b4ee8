"""How old an agent's last sign of life is, however the wall clock is set between two looks."""

from __future__ import annotations

import pytest

from services.sources.local.probes import Heartbeats
from tests.support.clock import FakeClock


def silence(beats: Heartbeats, clock: FakeClock, touched_at: float) -> float:
    seen = beats.latest("one", touched_at)
    assert seen is not None
    return clock.now() - seen


@pytest.mark.parametrize("step", [-3600.0, -5.0, 0.0, 5.0, 3600.0])
async def test_a_step_of_the_clock_is_no_silence_and_ends_none(step: float) -> None:
    clock = FakeClock()
    beats = Heartbeats(clock)
    touched = clock.now() - 0.5
    assert silence(beats, clock, touched) == pytest.approx(0.5)
    await clock.advance(1.0)
    clock.set_wall(step)
    # The last sign is of before the step: it ages by what passed, whatever its file says.
    assert silence(beats, clock, touched) == pytest.approx(1.5)
    await clock.advance(9.0)
    assert silence(beats, clock, touched) == pytest.approx(10.5)
    # The next one is stamped by the clock as it is now.
    await clock.advance(1.0)
    assert silence(beats, clock, clock.now() - 0.25) == pytest.approx(0.25)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_sign_that_came_before_the_step_is_not_older_than_the_look_before(
    step: float,
) -> None:
    clock = FakeClock()
    beats = Heartbeats(clock)
    silence(beats, clock, clock.now())
    await clock.advance(1.0)
    touched = clock.now()
    clock.set_wall(step)
    await clock.advance(0.5)
    assert silence(beats, clock, touched) <= 1.5


async def test_at_first_the_file_tells() -> None:
    clock = FakeClock()
    assert silence(Heartbeats(clock), clock, clock.now() - 60) == pytest.approx(60)
    assert silence(Heartbeats(clock), clock, clock.now() + 60) == 0.0
    assert Heartbeats(clock).latest("one", None) is None
