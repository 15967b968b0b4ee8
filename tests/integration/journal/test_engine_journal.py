"""The timeline begins with the past, and tells everything once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.models import Event, Severity
from tests.support.clock import FakeClock
from tests.support.engines import engine
from tests.support.waiting import eventually

LOST = Event(5.0, Severity.WORSE, "claw", "", "source", "claw does not answer")


async def told(state: Path, *events: Event) -> list[Event]:
    """What is heard where these happen before the journal is open."""
    heard: list[Event] = []
    one = engine(state, (), FakeClock(), heard)
    running = asyncio.create_task(one.run())
    one.record_events(*events)
    await eventually(lambda: one.journal_loaded)
    one.record_events(LOST)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await one.close()
    return heard


async def test_what_happens_before_the_journal_is_open_is_told_once(tmp_path: Path) -> None:
    early = Event(4.0, Severity.WORSE, "claw", "box", "sandbox", "box is stuck")
    assert await told(tmp_path, early) == [early, LOST]
    assert await told(tmp_path) == [early, LOST, LOST]


async def test_a_journal_that_cannot_be_opened_holds_no_news_back(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    heard = await told(tmp_path)
    assert heard[-1] == LOST
    assert "journal" in heard[0].text
