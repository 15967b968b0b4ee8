"""Who looks: at most so many, each with a panel of their own that ends when they go."""

from __future__ import annotations

import asyncio
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from services.errors import WakedeckError
from services.files.bounded import UnfitError, json_reader
from services.files.private import private_folder
from services.web.panel_process import PanelProcess, environment
from services.web.typing_queue import TypingQueue

TAB = re.compile(r"[0-9a-f]{32}")
"""How a page names its tab, so that a reload finds its view again."""
MOST_VIEWS = 64
"""Tabs whose views are kept; the one not seen for longest is forgotten."""
LARGEST_MESSAGE = 1 << 20
"""Bytes a page may send at once: a paste."""
_ANEW = "This tab was opened anew."
_COLUMNS, _LINES = (20, 600), (5, 300)


class _Size(msgspec.Struct):
    width: float = 0
    height: float = 0


_read_message = json_reader(list[str | _Size])


class Socket(Protocol):
    """A page's end of the line."""

    async def receive(self) -> str | None:
        """What the page says next; None once it has gone."""

    async def draw(self, data: bytes) -> None:
        """Send what the panel drew; waits while the page does not take it."""

    async def say(self, kind: str, text: str) -> None:
        """Send the page a word of its server."""


class Viewer:
    """One page and its panel, from its coming to its end."""

    def __init__(self) -> None:
        self.panel = PanelProcess()
        self._typing = TypingQueue()
        self.over = asyncio.Event()
        self.told_to_leave = ""
        self._leave = asyncio.Event()

    def leave(self, why: str) -> None:
        """Let it end; `why` is shown on the page."""
        self.told_to_leave = self.told_to_leave or why
        self._leave.set()

    async def run(self, socket: Socket, argv: Sequence[str], env: dict[str, str]) -> None:
        """Until the page, the panel or the server ends it; the panel has ended afterwards."""
        works: list[asyncio.Task[object]] = []
        try:
            await self.panel.start(argv, env)
            works = [
                asyncio.create_task(self._draw(socket)),
                asyncio.create_task(self._listen(socket)),
                asyncio.create_task(self._typing.hand_over(self.panel)),
                asyncio.create_task(self._leave.wait()),
            ]
            await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            said = self.told_to_leave or await self.panel.farewell()
        except WakedeckError as error:
            said = error.sentence
        finally:
            for one in works:
                one.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            self.told_to_leave = self.told_to_leave or "left"
            await self.panel.end()
        await socket.say("ended", said)

    async def _draw(self, socket: Socket) -> None:
        while data := await self.panel.read():
            await socket.draw(data)

    async def _listen(self, socket: Socket) -> None:
        """Never waits for the panel: that a page has gone is heard however much it typed."""
        while (said := await socket.receive()) is not None:
            try:
                match _read_message(said):
                    case ["stdin", str(text)]:
                        if not self._typing.put(text):
                            self.leave("More was typed than a panel takes.")
                    case ["resize", _Size() as size]:
                        self._typing.put(sizes(size.width, size.height))
                    case ["focus" | "blur" as kind, *_]:
                        self._typing.put(kind == "focus")
                    case ["ping", str(text)]:
                        await socket.say("pong", text[:40])
                    case _:
                        return
            except UnfitError:
                return


class Viewers:
    """The viewers of one server; `argv` starts a panel."""

    def __init__(
        self, argv: Sequence[str], most: int, folder: Path, on_change: Callable[[int], None]
    ) -> None:
        """`folder` is of this launch alone; `on_change` hears how many look now."""
        self._argv = argv
        self._most = most
        self._folder = folder
        self._on_change = on_change
        self._open: dict[str, Viewer] = {}
        self._newest: dict[str, Viewer] = {}
        self._views: OrderedDict[str, None] = OrderedDict()
        self._closing = False

    async def serve(self, socket: Socket, tab: str, columns: int, lines: int) -> None:
        """Give a page its panel, or say why it gets none."""
        viewer = Viewer()
        if refused := await self._enter(tab, viewer):
            await socket.say("ended", refused)
            return
        self._on_change(len(self._open))
        try:
            env = environment(os.environ, columns, lines, str(self._view(tab)))
            await viewer.run(socket, self._argv, env)
        finally:
            del self._open[tab]
            viewer.over.set()
            self._on_change(len(self._open))

    async def close(self) -> None:
        """Let everybody go; every panel has ended afterwards."""
        self._closing = True
        open_now = list(self._open.values())
        for one in open_now:
            one.leave("The server has ended.")
        await asyncio.gather(*(one.over.wait() for one in open_now))

    async def _enter(self, tab: str, viewer: Viewer) -> str:
        """Take a place; why there is none, empty where there is.

        Of several that wait for one tab the newest gets it: the others are reloads that were left.
        """
        self._newest[tab] = viewer
        try:
            return await self._entered(tab, viewer)
        finally:
            if self._newest.get(tab) is viewer:
                del self._newest[tab]

    async def _entered(self, tab: str, viewer: Viewer) -> str:
        while not self._closing:
            if self._newest.get(tab) is not viewer:
                return _ANEW
            before = self._open.get(tab)
            if before is not None:
                before.leave(_ANEW)
                await before.over.wait()
            elif len(self._open) < self._most:
                self._open[tab] = viewer
                return ""
            else:
                leaving = [one for one in self._open.values() if one.told_to_leave]
                if not leaving:
                    return f"{self._most} look already, which is as many as may."
                await leaving[0].over.wait()
        return "The server has ended."

    def _view(self, tab: str) -> Path:
        """The folder a tab's view is kept in."""
        self._views[tab] = None
        self._views.move_to_end(tab)
        while len(self._views) > MOST_VIEWS:
            old, _ = self._views.popitem(last=False)
            for file in (self._folder / old).rglob("*.json"):
                file.unlink(missing_ok=True)
        return private_folder(self._folder / tab)


def sizes(columns: float, lines: float) -> tuple[int, int]:
    """A size that a panel can be drawn in."""
    return _within(columns, *_COLUMNS), _within(lines, *_LINES)


def _within(said: float, least: int, most: int) -> int:
    return int(min(max(said, least), most))
