"""Little memory, few descriptors, a full place to draw on: a sentence or a quiet end each."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.errors import RefusedError
from tests.soak.ends import ROOT, EndedPanel, left_of
from tests.support.nanoclaw import short_folder
from tests.support.waiting import eventually_sync
from tui.panel import drivers

pytestmark = pytest.mark.slow
LIMITS = {
    "20 descriptors": (resource.RLIMIT_NOFILE, 20),
    "90 MB": (resource.RLIMIT_AS, 90 << 20),
    "60 MB": (resource.RLIMIT_AS, 60 << 20),
}


@pytest.fixture(params=LIMITS)
def scarce(request: pytest.FixtureRequest) -> Callable[[], None]:
    which, most = LIMITS[request.param]
    return lambda: resource.setrlimit(which, (most, most))


@pytest.fixture
def short() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def drawn(panel: EndedPanel) -> bool:
    panel.read()
    return b"data-pull" in panel.drawn


@pytest.mark.parametrize("words", ["status", "events", "doctor", "local up", "--help"])
def test_a_command_says_a_sentence_or_does_its_work(
    short: Path, scarce: Callable[[], None], words: str
) -> None:
    env = {**os.environ, "HOME": str(short)}
    code = "from tui.start import main; main()"
    try:
        ran = subprocess.run(
            [sys.executable, "-c", code, *words.split()],
            preexec_fn=scarce,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=env,
            timeout=90,
            check=False,
        )
        assert ran.returncode in (0, 1), ran
        assert "Traceback" not in ran.stderr
        assert ran.stdout + ran.stderr
    finally:
        down = [sys.executable, "-c", code, "local", "down"]
        subprocess.run(down, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False)
    eventually_sync(lambda: not left_of(short), what=lambda: left_of(short))


def test_a_panel_draws_or_says_what_it_lacks(short: Path, scarce: Callable[[], None]) -> None:
    panel = EndedPanel(short, "foreground", scarce)
    try:
        eventually_sync(lambda: panel.over() or drawn(panel))
        if panel.over():
            assert panel.child.returncode == 2
            assert b"wakedeck: the panel needs" in panel.drawn
            assert b"\x1b[?1049h" not in panel.drawn and b"Traceback" not in panel.drawn
        else:
            panel.end("SIGTERM")
            eventually_sync(panel.over, what="the panel lives on")
            assert panel.child.returncode == 0
        eventually_sync(lambda: not left_of(short), what=lambda: left_of(short))
    finally:
        panel.close()


def test_what_it_asks_for_is_enough(short: Path) -> None:
    least = drivers.LEAST_MB[resource.RLIMIT_AS] << 20
    panel = EndedPanel(
        short, "foreground", lambda: resource.setrlimit(resource.RLIMIT_AS, (least, least))
    )
    try:
        eventually_sync(lambda: panel.over() or drawn(panel))
        panel.end("SIGTERM")
        eventually_sync(panel.over, what="the panel lives on")
        assert panel.child.returncode == 0
        eventually_sync(lambda: not left_of(short), what=lambda: left_of(short))
    finally:
        panel.close()


def test_too_few_descriptors_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (8, 8))
    with pytest.raises(RefusedError, match="1024 MB"):
        drivers.check_limits()
    low = {resource.RLIMIT_NOFILE: 8}
    none = resource.RLIM_INFINITY
    monkeypatch.setattr("resource.getrlimit", lambda which: (low.get(which, none), none))
    with pytest.raises(RefusedError, match="16 open files"):
        drivers.check_limits()


def test_what_is_said_elsewhere_does_not_hide_the_panel(short: Path) -> None:
    """It draws on its terminal although its errors go to a place that is full."""
    with Path("/dev/full").open("w") as full:
        panel = EndedPanel(short, "foreground", lambda: os.dup2(full.fileno(), 2))
    try:
        eventually_sync(lambda: drawn(panel))
        panel.end("SIGTERM")
        eventually_sync(panel.over)
        assert panel.child.returncode == 0
        eventually_sync(lambda: not left_of(short), what=lambda: left_of(short))
    finally:
        panel.close()
