"""The chart of a queue: the newest looks, their least and most, gaps as gaps, all of it bounded."""

from __future__ import annotations

from services.models import Direction, QueueSnapshot, SandboxId
from widgets.panes.queues import SAMPLES, SANDBOXES, QueueDepths

ME = SandboxId("local", "data-pull")


def look(at: float, due: int, out: int = 0, sandbox: SandboxId = ME) -> QueueSnapshot:
    inbound = (("due", due), ("completed", 900))
    return QueueSnapshot(sandbox, at, (), inbound, (("undelivered", out),))


def said(depths: QueueDepths, way: Direction = Direction.IN, width: int = 24) -> str:
    return "".join(text for text, _ in depths.parts(ME, way, width))


def test_it_draws_what_stands_open_with_least_and_most() -> None:
    depths = QueueDepths()
    for at, due in enumerate((0, 4, 8, 2)):
        depths.add(look(at, due, out=at))
    assert said(depths) == " ▁▅█▃ 0–8"
    assert said(depths, Direction.OUT) == " ▁▃▆█ 0–3"
    assert said(depths, width=2) == " █▃ 2–8"
    assert said(depths, width=0) == ""


def test_one_look_is_nothing_to_compare_and_the_same_look_is_not_two() -> None:
    depths = QueueDepths()
    depths.add(look(1.0, 3))
    depths.add(look(1.0, 3))
    assert said(depths) == ""


def test_time_without_a_look_is_a_gap() -> None:
    depths = QueueDepths()
    depths.add(look(1.0, 3))
    depths.add(look(300.0, 3))
    assert said(depths) == " █×█ 3–3"


def test_it_keeps_the_last_looks_of_the_last_sandboxes_and_no_more() -> None:
    depths = QueueDepths()
    for at in range(SAMPLES * 3):
        depths.add(look(float(at), at))
    assert len(said(depths, width=500).split()[0]) == SAMPLES
    for number in range(SANDBOXES):
        depths.add(look(1.0, 1, sandbox=SandboxId("local", f"n{number}")))
    assert said(depths) == ""
    assert len(depths._samples) == len(depths._seen_at) == SANDBOXES
