"""Commands where no thread can be started any more: what they had to say is said, and they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NO_THREAD = """
import asyncio, logging, resource
from tests.support.no_threads import no_more_threads

logging.getLogger().addHandler(logging.NullHandler())  # as where the program begins
"""
RESULT = f"""{NO_THREAD}
from tui.cli.event_loop import run_command

async def work(fails):
    await asyncio.to_thread(str)
    no_more_threads()
    if fails:
        raise KeyError("its own")
    return "its result"

print(run_command(work(False)))
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
try:
    run_command(work(True))
except KeyError as error:
    print(error)
"""
DOCTOR = f"""{NO_THREAD}
from services.clock import SystemClock
from services.config import paths
from services.journal.store import Journal
from tui.cli.main import main
import tui.cli.doctor, tui.cli.system, tui.panel.screen_config, services.sources.local.observer

async def begin():
    journal = Journal(paths.journal_file(), SystemClock())
    await journal.open()
    await journal.close()

asyncio.run(begin())
no_more_threads()
main(["doctor"])
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def ran(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_result_and_an_error_outlive_the_end_of_the_loop() -> None:
    done = ran(RESULT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["its result", "'its own'"]


def test_doctor_says_what_it_could_see_and_what_it_could_not() -> None:
    done = ran(DOCTOR)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "No thread can be started for NanoClaw." in done.stdout
    assert "not everything could be checked." in done.stdout
    assert "✕ No thread can be started for the history." in done.stdout
