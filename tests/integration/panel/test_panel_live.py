"""The whole panel on a real embedded world: seen, broken, repaired, worked in, left clean."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual.command import CommandInput, CommandList
from textual.pilot import Pilot
from textual.widgets import Static

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import LocalTable
from services.models import AttemptState, GatewayState, SandboxId, SandboxState, ShellState
from services.sources.local import process_records
from services.sources.local.faults import InjectedFault, inject
from services.sources.local.layout import ProcessRecord, World
from services.sources.local.source import open_local
from services.sources.local.world import roles
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from tui.panel.layout import Pane, PaneGrid
from tui.panel.shells import OpenShell
from widgets.panes.events import EventPane
from widgets.panes.queues import QueuePane
from widgets.panes.repair_bar import RepairBar
from widgets.panes.sandboxes import SandboxPane
from widgets.panes.shell_tabs import ShellTabs

DATA_PULL = SandboxId("local", "data-pull")


@dataclass
class Panel:
    """A running panel and the world under it."""

    app: WakedeckApp
    pilot: Pilot[int]
    world: World

    async def until(self, holds: Callable[[], bool]) -> None:
        await eventually(holds, what=lambda: self.app.engine.board.sandboxes)
        await self.pilot.pause()

    def state(self, name: str = "data-pull") -> SandboxState | None:
        known = self.app.engine.board.sandboxes.get(SandboxId("local", name))
        return None if known is None else known.state

    def gateway(self) -> GatewayState:
        return next(iter(self.app.engine.board.gateways.values())).state

    async def ready(self) -> None:
        await self.until(
            lambda: (
                len(self.app.engine.board.sandboxes) == 4
                and all(
                    one.state is SandboxState.READY
                    for one in self.app.engine.board.sandboxes.values()
                )
                and self.gateway() is GatewayState.READY
            )
        )

    def records(self) -> list[ProcessRecord]:
        found = (self.world.read_record(role) for role in roles(self.world))
        return [one for one in found if one is not None]


@contextlib.asynccontextmanager
async def panel(folder: Path, *, read_only: bool = False) -> AsyncIterator[Panel]:
    """The real app, headless, on a fresh world; leaving it must leave nothing."""
    clock = SystemClock()
    world = World(folder / "world")
    settings = Settings(
        "default",
        (SourceSettings("local", "local", LocalTable()),),
        read_only=read_only,
        animation=False,
    )
    source = open_local("local", LocalTable(), clock, world.root)
    app = WakedeckApp(settings, (source,), clock, state=folder)
    async with app.run_test(size=(160, 45)) as pilot:
        yield Panel(app, pilot, world)
        records = Panel(app, pilot, world).records()
        app.action_leave()
        await eventually(lambda: not app.is_running)
    assert [one for one in records if not process_records.alive(one).over] == []


def shows(shell: OpenShell, text: str) -> bool:
    return text in "".join(shell.emulator.display)


async def test_live_traffic_is_on_screen_by_itself(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        assert len(live.records()) == 6
        queue = live.app.dashboard.query_one(QueuePane)
        await live.until(lambda: queue.table.total > 2)
        assert live.app.dashboard.query_one(SandboxPane).table.total == 4


async def test_one_key_repairs_what_was_broken_and_nothing_wakes_by_itself(
    tmp_path: Path,
) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        inject(live.world, "data-pull", InjectedFault.AGENT_KILL)
        await live.until(lambda: live.state() is SandboxState.DOWN)
        looks = live.app.engine.board.links["local"].last_success_at
        await live.until(
            lambda: (live.app.engine.board.links["local"].last_success_at or 0) > (looks or 0) + 3
        )
        assert live.state() is SandboxState.DOWN, "a background tick woke it"
        await live.pilot.press("w")
        await live.until(
            lambda: (
                (attempt := live.app.engine.latest_attempt(DATA_PULL)) is not None
                and attempt.state is AttemptState.DONE
            )
        )
        await live.ready()
        bar = live.app.dashboard.query_one(RepairBar)
        assert "was woken and is serving" in str(bar.query_one("#repair-words").render())
        told = live.app.dashboard.query_one(EventPane)
        assert told.table.total >= 3


async def test_reconnect_brings_the_gateway_and_the_lost_shell_back(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        await live.pilot.press("s")

        def shells() -> list:  # type: ignore[type-arg]
            return list(live.app.shells)

        await live.until(
            lambda: any(one.session.shell.state is ShellState.OPEN for one in shells())
        )
        first = shells()[0].session
        inject(live.world, "data-pull", InjectedFault.GATEWAY_KILL)
        await live.until(lambda: first.shell.state is ShellState.LOST)
        assert first.shell.code is None
        await live.until(lambda: live.gateway() is GatewayState.DOWN)
        await live.pilot.press("ctrl+right_square_bracket", "r")
        await live.until(
            lambda: any(
                one.session is not first and one.session.shell.state is ShellState.OPEN
                for one in shells()
            )
        )
        await live.ready()


async def test_a_flooding_shell_leaves_the_other_one_quick(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        await live.pilot.press("s")
        await live.until(lambda: len(list(live.app.shells)) == 1)
        flood = next(iter(live.app.shells))
        await live.until(lambda: "$" in "".join(flood.emulator.display))
        flood.session.type(b"yes\r")
        await live.until(lambda: flood.emulator.history_size > 2000)
        live.app.dashboard.shell_controller.open(SandboxId("local", "night-watch"))
        await live.until(lambda: len(list(live.app.shells)) == 2)
        second = list(live.app.shells)[1]
        await live.until(lambda: "$" in "".join(second.emulator.display))
        for number in range(5):
            second.session.type(f"echo mark''{number}\r".encode())
            mark = f"mark{number}"
            await live.until(partial(shows, second, mark))
        flood.session.type(b"\x03")
        await live.until(lambda: flood.emulator.display[-1].strip() in ("", "data-pull $"))
        await live.until(
            lambda: any(line.strip() == "data-pull $" for line in flood.emulator.display)
        )


async def test_a_shell_hears_of_the_theme_and_is_heard_ringing(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        await live.pilot.press("s")
        await live.until(lambda: len(list(live.app.shells)) == 1)
        one = next(iter(live.app.shells))
        await live.until(partial(shows, one, "$"))
        dark = one.emulator.palette[257]
        assert dark == one.view.theme_colours()[257]
        await live.pilot.press("ctrl+right_square_bracket", "t")
        await live.until(lambda: one.emulator.palette[257] not in (dark, 0))
        assert one.emulator.palette == one.view.theme_colours()
        tabs = live.app.dashboard.query_one(ShellTabs)
        one.session.type(b"printf '\\a\\033]2;a \\342\\200\\256title\\007'\r")
        await live.until(lambda: tabs.tabs[0].bell_rang)
        await live.until(lambda: "title" in one.session.shell.title)
        assert "\u202e" not in one.session.shell.title


async def test_everything_suspended_leaves_a_panel_that_answers(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        records = live.records()
        for one in records:
            os.kill(one.pid, signal.SIGSTOP)
        try:
            await live.until(
                lambda: live.gateway() is GatewayState.HUNG and live.state() is SandboxState.CUT_OFF
            )
            await live.pilot.press("j", "j", "3", "z", "z", "1", "question_mark", "escape")
            assert live.app.dashboard.selected == SandboxId("local", "night-watch")
            assert live.app.is_running
        finally:
            for one in records:
                os.kill(one.pid, signal.SIGCONT)
        await live.ready()
        assert live.records() == records


async def test_read_only_refuses_in_the_services(tmp_path: Path) -> None:
    async with panel(tmp_path, read_only=True) as live:
        await live.ready()
        inject(live.world, "data-pull", InjectedFault.AGENT_KILL)
        await live.until(lambda: live.state() is SandboxState.DOWN)
        await live.pilot.press("w", "r", "s")
        await live.pilot.pause()
        assert live.app.engine.latest_attempt(DATA_PULL) is None
        assert list(live.app.shells) == []
        assert live.state() is SandboxState.DOWN


async def test_what_a_shell_s_chords_do_can_be_done_from_the_palette(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()

        async def choose(words: str) -> None:
            await live.pilot.press("ctrl+p")
            await live.until(lambda: isinstance(live.app.focused, CommandInput))
            await live.pilot.press(*["space" if char == " " else char for char in words])
            screen = live.app.screen
            entries = screen.query_one(CommandList)

            def offered() -> bool:
                entry = entries.highlighted_option
                said = str(getattr(getattr(entry, "hit", None), "text", "")).lower()
                return all(word in said for word in words.split())

            await live.until(offered)
            await live.pilot.press("enter")
            await live.until(lambda: live.app.screen is not screen)

        await choose("shell search")
        assert live.app.screen is live.app.dashboard, "said that there is no shell"
        await live.pilot.press("s")
        await live.until(lambda: len(list(live.app.shells)) == 1)
        one = next(iter(live.app.shells))
        await live.until(partial(shows, one, "$"))
        one.session.type(b"echo needle''s\r")
        await live.until(partial(shows, one, "needles"))
        await live.pilot.press("ctrl+right_square_bracket")
        await choose("shell search")
        await live.until(lambda: live.app.focused is one.view and bool(one.view.status))
        await live.pilot.press(*"needle", "enter")
        assert one.view.match is not None
        await live.pilot.press("escape", "ctrl+right_square_bracket", "question_mark")
        await live.pilot.pause()
        told = " ".join(str(static.render()) for static in live.app.screen.query(Static))
        assert "ctrl+shift+f" in told
        await live.pilot.press("escape")


async def test_a_hidden_shell_that_writes_says_so_on_its_tab(tmp_path: Path) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        await live.pilot.press("s")
        await live.until(lambda: len(list(live.app.shells)) == 1)
        first = next(iter(live.app.shells))
        await live.until(partial(shows, first, "$"))
        live.app.dashboard.shell_controller.open(SandboxId("local", "night-watch"))
        await live.until(lambda: len(list(live.app.shells)) == 2)
        await live.until(partial(shows, list(live.app.shells)[1], "$"))
        tabs = live.app.dashboard.shell_controller.query_one(ShellTabs)
        await live.until(lambda: not any(tab.unseen for tab in tabs.tabs))
        first.session.type(b"echo behind\r")
        await live.until(lambda: [tab.unseen for tab in tabs.tabs] == [True, False])


async def test_zoom_means_the_shell_that_was_just_left_and_it_stays_in_sight(
    tmp_path: Path,
) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        dashboard = live.app.dashboard
        grid = dashboard.query_one(PaneGrid)

        def zoomed() -> Pane | None:
            return grid.pane_layout.zoomed

        leave = "ctrl+right_square_bracket"
        await live.pilot.press("3", "s")
        await live.until(lambda: len(list(live.app.shells)) == 1)
        one = next(iter(live.app.shells))
        await live.until(lambda: one.view.has_focus)

        await live.pilot.press(leave)
        assert dashboard.focused_pane is Pane.SHELL, "it stays on the pane that was left"
        await live.pilot.press("z")
        assert zoomed() == Pane.SHELL
        assert live.app.focused is dashboard.shell_controller.query_one(ShellTabs)
        assert not one.view.has_focus
        await live.pilot.press("enter")
        await live.until(lambda: one.view.has_focus)
        await live.pilot.press(leave)
        await live.pilot.pause()
        assert zoomed() == Pane.SHELL
        assert one.view.region.area > 0
        await live.pilot.press("z")
        assert zoomed() is None
        assert dashboard.focused_pane is Pane.SHELL
        await live.pilot.press("3", "z")
        assert zoomed() == Pane.QUEUES
        await live.pilot.press("z")


async def test_an_editor_that_speaks_the_kitty_protocol_is_told_shift_enter(
    tmp_path: Path,
) -> None:
    async with panel(tmp_path) as live:
        await live.ready()
        await live.pilot.press("s")
        await live.until(lambda: len(list(live.app.shells)) == 1)
        one = next(iter(live.app.shells))
        await live.until(lambda: one.view.has_focus and shows(one, "$"))
        root = Path(__file__).resolve().parents[3]
        line = f"{sys.executable} {root}/tests/support/kitty_editor.py\r"
        one.session.type(line.encode())
        await live.until(partial(shows, one, "ready"))
        await live.pilot.press(*"one", "shift+enter", *"two", "enter")
        await live.until(partial(shows, one, "sent 2 lines: one|two"))
        await live.pilot.press(*"gone", "escape", *"left", "enter")
        await live.until(partial(shows, one, "sent 1 lines: left"))
        await live.pilot.press("ctrl+d")
        await live.until(lambda: not one.emulator.modes.disambiguate)
