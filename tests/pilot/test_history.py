"""The journal in the panel: older events found by the filter, the last day of one sandbox."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterable

import pytest
from textual.widgets import Static

from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Event, Severity
from tests.support.scenes import PLAIN, Scene, Stage, nothing, populated
from tests.support.stage import NOW
from tui.engine import HISTORY
from widgets.panes.details import DetailPane
from widgets.panes.events import EventPane

HOUR = 3600.0


def event(
    text: str, before_s: float, name: str = "data-pull", severity: Severity = Severity.INFO
) -> Event:
    return Event(NOW - before_s, severity, "local", name, "sandbox", text)


class Standing(SystemClock):
    """The stage's instant, so that nothing is too old to keep."""

    def now(self) -> float:
        return NOW


@contextlib.asynccontextmanager
async def opened(past: Iterable[Event]) -> AsyncIterator[Stage]:
    """The panel on a journal in which this had been written before it started."""
    scene = Scene("recall", (140, 40), nothing, populated, PLAIN, events=False)
    stage = scene.stage()
    journal = Journal(stage.state / "journal.db", Standing())
    await journal.open()
    for one in past:
        journal.record(one)
    await journal.close()
    try:
        async with stage.app.run_test(size=scene.size) as pilot:
            await scene.perform(stage, pilot)
            yield stage
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)


def texts(stage: Stage) -> list[str]:
    table = stage.app.dashboard.query_one(EventPane).tables()[0]
    rows = [table.record(key) for key in table.keys]
    return [row.event.text for row in rows if row is not None]


@pytest.mark.slow
async def test_a_filter_finds_what_happened_before_the_history_that_was_loaded() -> None:
    many = [event(f"tick {number}", 5000 - number, "other") for number in range(HISTORY + 40)]
    past = [
        event("the needle moved", 20_000),
        event("a Needle of another kind", 19_000),
        *many,
    ]
    async with opened(past) as stage:
        await stage.press("5")
        assert "the needle moved" not in texts(stage)
        await stage.press("slash", *"needle")
        await stage.until(lambda: len(texts(stage)) == 2)
        assert texts(stage) == ["the needle moved", "a Needle of another kind"]
        # A second word is judged by the pane, and what is old is not counted as new.
        await stage.press("space", *"!kind")
        await stage.until(lambda: texts(stage) == ["the needle moved"])
        assert stage.app.dashboard.query_one(EventPane).unseen == 0
        await stage.press("enter", "escape")
        await stage.until(lambda: "the needle moved" not in texts(stage))
        assert f"tick {HISTORY + 39}" in texts(stage)


@pytest.mark.slow
async def test_what_is_held_already_is_not_shown_twice() -> None:
    same = [event("the same", 100), event("the same", 100), event("the same again", 50)]
    async with opened(same) as stage:
        await stage.press("5", "slash", *"same")
        await stage.until(lambda: len(texts(stage)) == 3)
        await stage.settle()
        assert texts(stage) == ["the same", "the same", "the same again"]


async def test_a_word_of_the_panel_about_itself_is_no_second_source() -> None:
    own = Event(NOW - 90, Severity.WORSE, "", "", "panel", "Events are not being kept: why.")
    async with opened([event("it is ready", 100), own, event("it is down", 80)]) as stage:
        await stage.until(lambda: len(texts(stage)) >= 3)
        table = stage.app.dashboard.query_one(EventPane).tables()[0]
        rows = [table.record(key) for key in table.keys]
        assert not any(row.several for row in rows if row is not None)


def shown(pane: DetailPane, id: str) -> str:
    return str(pane.query_one(id, Static).content)


@pytest.mark.slow
async def test_details_tell_the_last_day_across_a_restart() -> None:
    noise = [event(f"tick {number}", 5000 - number, "other") for number in range(HISTORY + 10)]
    past = [
        event("two days ago", 48 * HOUR, severity=Severity.WORSE),
        event("it fell", 23 * HOUR, severity=Severity.WORSE),
        event("it rose", 22 * HOUR, severity=Severity.BETTER),
        event("woken by hand", 22.5 * HOUR, severity=Severity.ACTION),
        *noise,
    ]
    async with opened(past) as stage:
        await stage.press("enter")
        pane = stage.app.screen
        assert isinstance(pane, DetailPane)
        await stage.until(lambda: "it fell" in shown(pane, "#detail-events"))
        title = shown(pane, "#title-events")
        assert title.startswith("The last day")
        for said in ("↓ 1 worse", "↑ 1 better", "» 1 you"):
            assert said in title
        lines = shown(pane, "#detail-events").splitlines()
        order = [
            next(at for at, line in enumerate(lines) if words in line)
            for words in ("it rose", "woken by hand", "it fell")
        ]
        assert order == sorted(order)
        assert "two days ago" not in shown(pane, "#detail-events")


async def test_details_of_a_quiet_sandbox_say_that_nothing_happened() -> None:
    async with opened([]) as stage:
        await stage.press("enter")
        pane = stage.app.screen
        assert isinstance(pane, DetailPane)
        pane.show(pane.subject, now=NOW + 3 * 24 * HOUR, events=())
        await stage.settle()
        assert shown(pane, "#title-events") == "Events: nothing in the last day"
        assert shown(pane, "#detail-events") == "the journal knows of nothing"
