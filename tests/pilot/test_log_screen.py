"""The log over the dashboard: streams, following, searching, wrapping, copying, and leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from services.config.settings import Settings, SourceSettings
from services.config.sources import LocalTable
from services.logs.follower import log_line
from services.logs.reader import LogRecord
from tests.support.acted import Script, scripted
from tests.support.clock import FakeClock
from tests.support.stage import HOSTILE, NOW, SANDBOXES, gateways
from tests.support.waiting import eventually, on_screen
from tui.app import WakedeckApp
from tui.dashboard import Dashboard
from tui.panel.log_screen import LogScreen
from widgets.log.lines import COPIED, KEPT
from widgets.log.pane import LogPane
from widgets.log.view import LogView


class Panel:
    """A panel with one log open."""

    def __init__(self, app: WakedeckApp, pilot: Pilot[int], script: Script) -> None:
        self.app, self.pilot, self.script = app, pilot, script
        self.copied: list[str] = []

    @property
    def pane(self) -> LogPane:
        screen = self.app.screen
        assert isinstance(screen, LogScreen)
        return screen.pane

    @property
    def view(self) -> LogView:
        return self.pane.view

    @property
    def texts(self) -> list[str]:
        lines = self.view.lines
        return [lines[number].text for number in range(lines.first, lines.end)]

    @property
    def shown(self) -> list[str]:
        """The rows of the view as they are on the screen."""
        return [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]

    @property
    def title(self) -> str:
        return str(self.pane.border_title)

    @property
    def subtitle(self) -> str:
        return str(self.pane.border_subtitle)

    async def say(self, *lines: str | None, stream: str = "agent") -> None:
        for line in lines:
            self.script.logs[stream].put_nowait(line)
        if lines[-1] is not None:
            await self.until(lambda: self._told(lines[-1]) and self.script.logs[stream].empty())
        await self.pilot.pause()

    def _told(self, last: str | None) -> bool:
        """Whether the view has the last line that was said."""
        if not self.texts or last is None:
            return False
        return self.texts[-1] == log_line(LogRecord(last)).text

    async def until(self, holds: Callable[[], bool]) -> None:
        await eventually(holds)


@asynccontextmanager
async def opened(
    state: Path,
    streams: Sequence[str] = ("agent", "gateway"),
    size: tuple[int, int] = (100, 30),
    keys: Mapping[str, str] | None = None,
) -> AsyncIterator[Panel]:
    script = Script(gateways(), SANDBOXES, logs={name: asyncio.Queue() for name in streams})
    clock = FakeClock(NOW)
    settings = Settings(
        "default", (SourceSettings("local", "local", LocalTable()),), keys=dict(keys or {})
    )
    app = WakedeckApp(settings, (scripted(script, clock),), clock, state=state)
    async with app.run_test(size=size) as pilot:
        panel = Panel(app, pilot, script)
        app.copy_to_clipboard = panel.copied.append  # type: ignore[method-assign,assignment]
        await panel.until(lambda: len(app.engine.board.sandboxes) == len(SANDBOXES))
        await pilot.press("L")
        await panel.until(lambda: on_screen(app, LogScreen))
        await panel.until(lambda: app.screen.focused is not None)
        try:
            yield panel
        finally:
            await app.engine.close()


@pytest.mark.slow
async def test_a_key_opens_it_and_escape_leaves_nothing_running(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        assert "data-pull" in panel.title
        await panel.until(lambda: panel.script.following == 1)
        await panel.say("one", "two")
        assert panel.texts == ["one", "two"]
        await panel.pilot.press("escape")
        await panel.until(lambda: on_screen(panel.app, Dashboard))
        await panel.until(lambda: panel.script.following == 0)


async def test_the_badge_names_the_key_that_follows_where_it_is_obeyed(tmp_path: Path) -> None:
    async with opened(tmp_path, keys={"log.follow": "f6"}) as panel:
        await panel.say(*(f"line {n}" for n in range(100)))
        await panel.pilot.press("pageup")
        await panel.until(lambda: "f6 follows" in panel.title)
        await panel.pilot.press("slash")
        await panel.until(lambda: "follows" not in panel.title)
        await panel.pilot.press("escape")
        await panel.until(lambda: "f6 follows" in panel.title)


async def test_another_stream_is_chosen_by_tab_by_number_and_by_click(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say("from the agent")
        await panel.pilot.press("tab")
        assert panel.pane.stream == "gateway"
        await panel.say("from the gateway", stream="gateway")
        assert panel.texts == ["from the gateway"]
        await panel.pilot.press("1")
        assert panel.pane.stream == "agent"
        await panel.until(lambda: panel.script.following == 1)
        await panel.pilot.click("StreamChoice", offset=(14, 0))
        assert panel.pane.stream == "gateway"
        await panel.pilot.press("9")
        assert panel.pane.stream == "gateway"


async def test_looking_back_pauses_and_counts_what_comes(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say(*(f"line {n}" for n in range(100)))
        assert "FOLLOWING" in panel.title
        assert panel.shown[-1] == "  line 99"
        await panel.pilot.press("pageup")
        before = panel.shown
        await panel.say("late 1", "late 2")
        assert panel.shown == before
        assert "PAUSED" in panel.title
        assert "+2 new" in panel.title
        await panel.pilot.press("f")
        assert panel.shown[-1] == "  late 2"
        assert "FOLLOWING" in panel.title
        await panel.pilot.press("g")
        assert panel.shown[0] == "› line 0"
        await panel.pilot.press("G")
        assert panel.shown[-1] == "  late 2"


@pytest.mark.slow
async def test_words_are_found_marked_and_stepped_through(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say(
            *(f"line {n} {'Needle [x]' if n in (3, 40, 80) else ''}" for n in range(90))
        )
        await panel.pilot.press("slash", *"needle [")
        assert panel.view.cursor == 80
        assert "/needle [ 3/3" in panel.subtitle
        await panel.pilot.press("up", "enter")
        assert panel.view.has_focus
        assert panel.view.cursor == 40
        await panel.pilot.press("n")
        assert panel.view.cursor == 3
        await panel.pilot.press("n")
        assert panel.view.cursor == 3
        await panel.pilot.press("N")
        assert panel.view.cursor == 40
        row = panel.view.render_line(panel.view.lines.row_of(40) - panel.view.scroll_offset.y)
        assert [part.text for part in row if part.style and part.style.bold] == ["Needle ["]
        await panel.say("and one more NEEDLE [y]")
        assert "/needle [ 2/4" in panel.subtitle
        await panel.pilot.press("escape")
        assert "needle" not in panel.subtitle
        assert isinstance(panel.app.screen, LogScreen)


async def test_what_is_not_there_is_said_and_escape_in_the_line_drops_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say("only this")
        await panel.pilot.press("slash", *"zebra")
        assert "/zebra not found" in panel.subtitle
        await panel.pilot.press("escape")
        assert panel.view.query_text == ""
        assert panel.view.has_focus
        assert isinstance(panel.app.screen, LogScreen)


async def test_a_long_line_wraps_or_is_cut_and_moved(tmp_path: Path) -> None:
    long = " ".join(f"w{n:03}" for n in range(60)) + " 終わり"
    async with opened(tmp_path, size=(60, 20)) as panel:
        await panel.say("short", long)
        rows = [row for row in panel.shown if row]
        assert len(rows) > 5
        assert "".join(row[2:].ljust(55) for row in rows[1:]).rstrip().endswith("終わり")
        await panel.pilot.press("w")
        rows = [row for row in panel.shown if row]
        assert len(rows) == 2
        assert rows[1].endswith("…")
        assert "cut, w wraps" in panel.subtitle
        for _ in range(30):
            await panel.pilot.press("right")
        assert panel.shown[1].endswith("終わり")
        for _ in range(30):
            await panel.pilot.press("left")
        assert panel.shown[1].startswith("  w000")


@pytest.mark.slow
async def test_lines_are_marked_and_copied(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say("one", "two", "three", "four")
        await panel.pilot.press("y")
        assert panel.copied == ["four"]
        await panel.pilot.press("k", "v", "k", "k")
        assert "■ 3 marked" in panel.subtitle
        await panel.pilot.press("y")
        assert panel.copied[-1] == "one\ntwo\nthree"
        assert "marked" not in panel.subtitle
        await panel.pilot.press("Y")
        assert panel.copied[-1] == "one\ntwo\nthree\nfour"
        await panel.pilot.press("v", "escape")
        assert "marked" not in panel.subtitle
        assert isinstance(panel.app.screen, LogScreen)
        await panel.pilot.click(LogView, offset=(4, 1))
        assert panel.view.cursor == 1
        await panel.pilot.click(LogView, offset=(4, 3), shift=True)
        await panel.pilot.press("y")
        assert panel.copied[-1] == "two\nthree\nfour"


async def test_no_more_is_copied_than_a_terminal_takes(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say(*(f"{n:04} " + "x" * 1900 for n in range(200)))
        await panel.pilot.press("Y")
        assert len(panel.copied[-1]) <= COPIED
        assert panel.copied[-1].splitlines()[-1].startswith("0199")
        assert len(panel.copied[-1].splitlines()) > 100


async def test_the_log_of_another_sandbox_takes_its_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.until(lambda: panel.script.following == 1)
        panel.app.open_log(SANDBOXES[2].id)
        await panel.until(lambda: "night-watch" in panel.title)
        await panel.until(lambda: panel.script.following == 1)
        await panel.pilot.press("escape")
        await panel.until(lambda: on_screen(panel.app, Dashboard))


async def test_a_lost_log_says_why_and_comes_back_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say("before")
        await panel.say(None)
        await panel.until(lambda: panel.pane.has_class("-problem"))
        assert panel.texts == ["before", "— The daemon went away: asked again by itself"]
        said = str(panel.pane.query_one("#log-problem", Static).render())
        assert "The daemon went away · asked again in" in said
        clock = panel.app.clock
        assert isinstance(clock, FakeClock)
        await clock.advance(2)
        await panel.until(lambda: panel.script.following == 1)
        panel.script.logs["agent"].put_nowait("after")
        await panel.until(lambda: panel.texts[-1] == "after")
        assert not panel.pane.has_class("-problem")


@pytest.mark.slow
async def test_no_log_at_all_is_a_sentence(tmp_path: Path) -> None:
    async with opened(tmp_path, streams=()) as panel:
        await panel.until(lambda: bool(panel.texts))
        assert panel.texts == ["— The agent writes no log: asked again by itself"]


async def test_hostile_lines_are_drawn_as_text(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        await panel.say(HOSTILE, "password=hunter2 ok")
        drawn = "\n".join(panel.shown)
        assert "[bold red]not markup[/]" in drawn
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn
        assert "hunter2" not in drawn


@pytest.mark.slow
async def test_a_flood_keeps_the_newest_lines_and_the_keys_alive(tmp_path: Path) -> None:
    async with opened(tmp_path) as panel:
        for n in range(12_000):
            panel.script.logs["agent"].put_nowait(f"line {n}")
        await panel.until(lambda: panel.view.lines.end > 1000)
        await panel.pilot.press("k")
        assert "PAUSED" in panel.title
        await panel.until(lambda: panel.view.lines.end == 12_000)
        assert len(panel.view.lines) <= KEPT + 500
        await panel.pilot.press("G")
        assert panel.shown[-1] == "  line 11999"


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (30, 8), (200, 60)])
async def test_every_size_can_be_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(tmp_path, size=size) as panel:
        await panel.say(*(f"line {n} " + "x" * n for n in range(120)))
        await panel.pilot.press("w", "w", "slash", "x", "enter", "n")
        await panel.pilot.resize_terminal(size[0] + 13, size[1])
        await panel.pilot.press("f")
        assert panel.shown[-1]


@pytest.mark.slow
async def test_a_sandbox_without_logs_says_so_and_opens_nothing(tmp_path: Path) -> None:
    from dataclasses import replace

    from services.models import Capability

    async with opened(tmp_path) as panel:
        await panel.pilot.press("escape")
        await panel.until(lambda: on_screen(panel.app, Dashboard))
        panel.script.sandboxes = tuple(
            replace(one, unavailable=((Capability.LOGS, "it keeps none"),)) for one in SANDBOXES
        )
        panel.app.engine.pollers.refresh()
        chosen = SANDBOXES[0].id
        await panel.until(lambda: Capability.LOGS in panel.app.actions.refusals(chosen))
        await panel.pilot.press("L")
        await panel.pilot.pause()
        assert isinstance(panel.app.screen, Dashboard)
