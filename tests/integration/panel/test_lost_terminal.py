"""The window is closed under the panel: it ends what is its own and goes, whatever it was doing."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from services.sources.local import process_records
from services.sources.local.layout import World
from services.sources.local.world import roles
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
PANEL = (
    "import fcntl, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from tui.cli.main import main\n"
    "sys.argv = ['wakedeck', '--local']\n"
    "main()\n"
)


async def until(holds: Callable[[], bool], what: str) -> None:
    await eventually(holds, what=what)


def unread(terminal: int) -> int:
    """How many bytes written into a terminal wait for its reader."""
    return int(struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))[0])


@pytest.mark.parametrize("reading", [True, False], ids=["drawn", "never read"])
async def test_a_closed_window_ends_the_panel_and_its_world(home: Path, reading: bool) -> None:
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    drawn = bytearray()

    def draw() -> bool:
        try:
            drawn.extend(os.read(ours, 65536))
        except BlockingIOError:
            return False
        return True

    panel = subprocess.Popen(
        [sys.executable, "-c", PANEL],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    world = World(home / ".local" / "state" / "wakedeck" / "local")

    def running() -> int:
        if reading:
            draw()
        found = (world.read_record(role) for role in roles(world))
        return sum(1 for one in found if one is not None and not process_records.alive(one).over)

    try:
        if reading:
            await until(lambda: draw() and b"sandboxes" in drawn, "nothing was drawn")
            await until(lambda: running() == 6, "the world never was up")
        else:
            # It writes into a terminal nobody reads until that is full.
            looks = [unread(ours)]

            def full() -> bool:
                looks.append(unread(ours))
                return looks[-1] > 0 and len(looks) > 20 and len(set(looks[-20:])) == 1

            await eventually(full, what=lambda: looks)
        os.close(ours)
        ours = -1
        reading = False
        await until(lambda: panel.poll() is not None, "the panel stayed without a terminal")
        await until(lambda: running() == 0, "its world stayed")
    finally:
        if ours >= 0:
            os.close(ours)
        if panel.poll() is None:
            panel.kill()
        panel.wait()
