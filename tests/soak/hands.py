"""An operator who cannot sit still: keys at random, every one of them harmless."""

from __future__ import annotations

import random
from collections.abc import Callable

from textual.pilot import Pilot

from services.models import SandboxId
from tui.app import WakedeckApp
from widgets.panes.sandboxes import SandboxPane

CHORD = "ctrl+right_square_bracket"
SIZES = ((160, 45), (80, 24), (120, 30), (200, 60))
WORDS = ("ready", "!ready", "night", "data", "gateway", "zzz")
COMMANDS = (b"echo one two\r", b"seq 1 3000\r", b"ls -la /\r", b"true\r")


class Hands:
    """What is pressed comes from `chance` alone, so that a seed tells it all."""

    def __init__(self, app: WakedeckApp, pilot: Pilot[int], chance: random.Random) -> None:
        self._app = app
        self._pilot = pilot
        self._chance = chance
        self.pressed = 0

    async def press(self, *keys: str) -> None:
        """Press and count."""
        self.pressed += len(keys)
        await self._pilot.press(*keys)

    async def home(self) -> None:
        """Back to the list of sandboxes with nothing open, filtered, marked or zoomed."""
        for _ in range(6):
            if self._app.screen is self._app.dashboard:
                break
            await self.press("escape")
        await self.press(CHORD, "1", "escape", "escape")
        if self._app.engine.pollers.paused:
            await self.press("p")

    async def go_to(self, name: str) -> None:
        """Put the cursor on a sandbox."""
        await self.home()
        pane = self._app.dashboard.query_one(SandboxPane)
        assert pane.select(SandboxId("local", name)), f"{name} is not in the list"
        await self._pilot.pause()

    async def fidget(self) -> None:
        """One small thing an operator does without thinking."""
        await self.home()
        habits: tuple[Callable[[], tuple[str, ...]], ...] = (
            lambda: tuple(self._chance.choices(("j", "k", "down", "up", "G", "g"), k=6)),
            lambda: ("slash", *self._chance.choice(WORDS), "enter", "j", "escape"),
            lambda: (self._chance.choice("2345"), "z", "j", "k", "z"),
            lambda: ("tab", "tab", "shift+tab", CHORD),
            lambda: ("o", "o", "O", "O"),
            lambda: ("space", "space", "v", "escape"),
            lambda: ("question_mark", "pagedown", "escape"),
            lambda: ("enter", "down", "escape"),
            lambda: ("ctrl+p", *"shell", "escape"),
            lambda: ("3", "enter", "escape"),
            lambda: ("p", "p", "R"),
            lambda: ("t", "t"),
            lambda: ("y", "Y"),
        )
        what = self._chance.randrange(len(habits) + 1)
        if what == len(habits):
            await self._pilot.resize_terminal(*self._chance.choice(SIZES))
        else:
            await self.press(*habits[what]())

    def type_into_shells(self) -> None:
        """Give every open shell something to say."""
        for one in self._app.shells:
            if not one.session.shell.state.over:
                one.session.type(self._chance.choice(COMMANDS))

    async def close_shells(self) -> None:
        """Take every tab away."""
        for one in self._app.shells:
            self._app.dashboard.shell_controller.close_one(one.session.shell.id)
        await self._pilot.pause()
