"""A disk that fills up under an open journal, and has room again: a sentence, nothing lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.namespaces import namespace, needs_namespace

EVENTS = 300
INSIDE = """
import asyncio, json, os, subprocess, sys, time
from pathlib import Path
from services.clock import SystemClock
from services.journal import store
from services.journal.rows import EventQuery
from services.models import Event, Severity

folder, number = Path(sys.argv[1]), int(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", folder], check=True)
store.RETRY_S = 0.2

def event(at):
    return Event(time.time(), Severity.INFO, "here", f"box-{at}", "attempt", "why " * 90)

async def until(holds):
    due = time.monotonic() + 30
    while not holds() and time.monotonic() < due:
        await asyncio.sleep(0.05)

async def told(journal):
    return len((await journal.search(EventQuery(10 * number))).events)

async def main():
    notices = []
    journal = store.Journal(
        folder / "journal.db", SystemClock(), on_notice=lambda one: notices.append(one.text)
    )
    await journal.open()
    with open(folder / "fill", "wb", buffering=0) as fill:
        try:
            while fill.write(bytes(1024)):
                pass
        except OSError:
            pass
    for at in range(number):
        journal.record(event(at))
    await until(lambda: journal.problem)
    full = journal.problem, await told(journal)
    os.unlink(folder / "fill")
    await until(lambda: not journal.problem)
    room = journal.problem, await told(journal)
    await journal.close()
    again = store.Journal(folder / "journal.db", SystemClock())
    await again.open()
    kept = await told(again)
    await again.close()
    print(json.dumps([full, room, kept, journal.dropped, notices]))

asyncio.run(main())
"""


@needs_namespace
def test_what_waits_is_told_meanwhile_and_written_later(tmp_path: Path) -> None:
    done = namespace(sys.executable, "-c", INSIDE, str(tmp_path), str(EVENTS))
    assert done.returncode == 0, done.stderr
    full, room, kept, dropped, notices = json.loads(done.stdout)
    problem = f"Events are not being kept: the disk is full ({tmp_path / 'journal.db'})."
    assert full == [problem, EVENTS]
    assert notices == [problem, "Events are being kept again."], "each is told once"
    assert room == ["", EVENTS]
    assert (kept, dropped) == (EVENTS, 0)
