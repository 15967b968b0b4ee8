"""An app with one terminal view on a real emulator, for pilot tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Footer, Input

from services.terminal.emulator.emulator import Emulator
from tests.support.waiting import eventually
from widgets.terminal.messages import Resized, ViewMessage
from widgets.terminal.view import TerminalView

COLUMNS, LINES = 20, 6


class Host(App[None]):
    """A view, something else to focus, and bindings that must not fire inside the shell."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "note('quit')", "Quit", priority=True),
        Binding("ctrl+p", "note('palette')", "Palette", priority=True),
        Binding("f2", "note('f2')", "F2", priority=True),
        Binding("q", "note('q')", "Q"),
        Binding("tab", "note('tab')", "Tab", priority=True),
    ]
    CSS = """
    TerminalView { width: 20; height: 6; }
    """

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.emulator = Emulator(COLUMNS, LINES)
        self.view = TerminalView(self.emulator, **options)  # type: ignore[arg-type]
        self.heard: list[ViewMessage] = []
        self.notes: list[str] = []

    def compose(self) -> ComposeResult:
        yield Input()
        yield self.view
        yield Footer()

    def on_mount(self) -> None:
        self.view.focus()

    def action_note(self, what: str) -> None:
        self.notes.append(what)

    async def _on_message(self, message: Message) -> None:
        if isinstance(message, ViewMessage):
            self.heard.append(message)
        await super()._on_message(message)

    def of(self, kind: type[ViewMessage]) -> list[ViewMessage]:
        return [message for message in self.heard if isinstance(message, kind)]

    @property
    def typed(self) -> bytes:
        return b"".join(m.data for m in self.heard if isinstance(m, TerminalView.Typed))

    @property
    def titles(self) -> list[str]:
        return [m.title for m in self.heard if isinstance(m, TerminalView.TitleChanged)]

    @property
    def sizes(self) -> list[Resized]:
        return [message for message in self.heard if isinstance(message, Resized)]

    @property
    def shown(self) -> list[str]:
        strips = self.view.render_lines(self.view.size.region)
        return [strip.text.rstrip() for strip in strips]


@asynccontextmanager
async def running(
    size: tuple[int, int] = (40, 12), **options: object
) -> AsyncIterator[tuple[Host, Pilot[None]]]:
    app = Host(**options)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        app.heard.clear()
        yield app, pilot


async def feed(app: Host, pilot: Pilot[None], data: str | bytes) -> None:
    app.emulator.feed(data.encode() if isinstance(data, str) else data)
    app.view.request_redraw()
    await rested(app)
    await pilot.pause()


async def rested(app: Host) -> None:
    """Wait until the view has seen what it was told: after an expensive frame it rests first."""
    await eventually(lambda: app.view._later is None, what="the view never had its rest")


async def paste(app: Host, pilot: Pilot[None], text: str) -> None:
    app.view.post_message(events.Paste(text))
    await pilot.pause()


def numbered(first: int, last: int) -> str:
    return "".join(f"line {n}\r\n" for n in range(first, last + 1))
