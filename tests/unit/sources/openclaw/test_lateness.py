"""An event loop is called late when it was so in enough looks, over long enough."""

from __future__ import annotations

import pytest

from services.agents.openclaw.probes import Answers, EventLoop, Reach, Readiness
from services.sources.openclaw.gather import LATE_LOOKS, LATE_MS, LATE_S, EventLoopLateness

LATE = EventLoop(degraded=True, delay_ms=LATE_MS)


def answers(loop: EventLoop) -> Answers:
    return Answers(Reach.ANSWERED, readiness=Readiness(True, event_loop=loop))


def test_it_takes_so_many_looks_and_so_long() -> None:
    many = EventLoopLateness()
    for number in range(LATE_LOOKS + 2):
        assert many.note(answers(LATE), number * LATE_S / (LATE_LOOKS + 2)) is None
    assert many.note(answers(LATE), LATE_S) is LATE
    few = EventLoopLateness()
    for number in range(LATE_LOOKS - 1):
        assert few.note(answers(LATE), number * LATE_S) is None
    assert few.note(answers(LATE), (LATE_LOOKS - 1) * LATE_S) is LATE


@pytest.mark.parametrize(
    "between",
    [
        None,
        Answers(Reach.ANSWERED),
        answers(EventLoop(degraded=False, delay_ms=LATE_MS)),
        answers(EventLoop(degraded=True, delay_ms=LATE_MS - 1)),
    ],
)
def test_one_look_that_was_not_late_begins_anew(between: Answers | None) -> None:
    meter = EventLoopLateness()
    for number in range(LATE_LOOKS):
        meter.note(answers(LATE), number * LATE_S)
    assert meter.note(between, LATE_LOOKS * LATE_S) is None
    again = (LATE_LOOKS + 1) * LATE_S
    for number in range(LATE_LOOKS - 1):
        assert meter.note(answers(LATE), again + number * LATE_S) is None
    assert meter.note(answers(LATE), again + LATE_LOOKS * LATE_S) is LATE
