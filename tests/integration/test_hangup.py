"""A panel whose terminal goes away ends, and its embedded world with it."""

from __future__ import annotations

import os
import pty
import sys
import threading
import time
from pathlib import Path

import pytest

from services.sources.local import spawn
from services.sources.local.layout import World
from services.sources.local.world import roles

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def panel(home: Path) -> tuple[int, int]:
    """The panel in a terminal of its own; its process and the terminal's other side."""
    child, master = pty.fork()
    if child == 0:
        environ = {
            **os.environ,
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
        }
        code = "from tui.cli import main; main()"
        os.execve(sys.executable, [sys.executable, "-c", code], environ)
    return child, master


def ended(child: int) -> bool:
    return os.waitpid(child, os.WNOHANG)[0] == child


@pytest.mark.parametrize("round", range(2))
def test_a_terminal_that_goes_away_takes_the_panel_with_it(home: Path, round: int) -> None:
    child, master = panel(home)
    seen = bytearray()

    def read() -> None:
        try:
            while data := os.read(master, 65536):
                seen.extend(data)
        except OSError:
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + PATIENCE_S
    world = World(home / ".local/state/wakedeck/local")
    try:
        while b"data-pull" not in seen:
            assert time.monotonic() < deadline, bytes(seen[-2000:])
            assert not ended(child), bytes(seen[-2000:])
            time.sleep(0.1)
        # The reader keeps the terminal open for as long as it waits in it.
        os.close(master)
        deadline = time.monotonic() + PATIENCE_S
        while not ended(child):
            assert time.monotonic() < deadline, "the panel stayed behind"
            time.sleep(0.1)
        child = 0
        records = [world.read_record(role) for role in roles(world)]
        while any(one is not None and not spawn.alive(one).over for one in records):
            assert time.monotonic() < deadline, "its world stayed behind"
            time.sleep(0.1)
    finally:
        if child:
            os.kill(child, 9)
            os.waitpid(child, 0)
