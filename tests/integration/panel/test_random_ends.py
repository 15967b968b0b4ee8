"""Panels ended at random moments in every way: nothing is left and nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.soak.ends import CONTEXTS, EndedPanel, ended, left_of
from tests.support.nanoclaw import short_folder
from tests.support.waiting import eventually_sync


@pytest.fixture
def short() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "load"), [(3, 0), (21, 1)])
def test_panels_end_and_leave_nothing(short: Path, seed: int, load: int) -> None:
    """`python -m tests.soak.ends --times 100` is the long form, beside more load."""
    outcome = ended(short, seed, 4, [load])
    assert outcome.wrong == []
    assert outcome.rounds == 4


def drawn(panel: EndedPanel, what: bytes = b"data-pull", since: int = 0) -> bool:
    panel.read()
    return panel.drawn.find(what, since) >= 0


@pytest.mark.slow
@pytest.mark.parametrize("context", [*CONTEXTS, "deaf"])
def test_a_terminal_that_hangs_up_unheard_ends_the_panel(short: Path, context: str) -> None:
    """The end of its input tells a panel whose hang-up was ignored or not sent to it."""
    panel = EndedPanel(short, context)
    try:
        if context == "stopped job":
            eventually_sync(panel.find_job)
        else:
            eventually_sync(lambda: drawn(panel))
        panel.end("close")
        eventually_sync(panel.over, what="the panel lives on without a terminal")
        eventually_sync(lambda: not left_of(short), what=lambda: left_of(short))
    finally:
        panel.close()


def test_going_on_again_and_again_takes_the_terminal_once(short: Path) -> None:
    """A hang-up brings SIGCONT too: more threads at the keys than are told to end never end."""
    panel = EndedPanel(short, "foreground")
    try:
        eventually_sync(lambda: drawn(panel))
        assert panel.process is not None

        def threads() -> int:
            panel.read()
            return psutil.Process(panel.child.pid).num_threads()

        before = eventually_sync(threads)
        for _ in range(3):
            seen = len(panel.drawn)
            panel.process.send_signal(signal.SIGCONT)
            eventually_sync(partial(drawn, panel, b"\x1b[?1049h", seen))
        assert threads() <= before + 1
        panel.end("SIGHUP")
        eventually_sync(panel.over, what="the panel lives on")
        assert panel.child.returncode == 0
        eventually_sync(lambda: not left_of(short), what=lambda: left_of(short))
    finally:
        panel.close()
