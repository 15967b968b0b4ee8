"""`wakedeck replay`: a transcript played into an emulator, at the speed the operator wants."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content

from services.clock import Clock
from services.config.settings import Settings
from services.terminal.emulator import Emulator
from services.terminal.session.recording import (
    RecordedFrame,
    RecordedOutput,
    RecordedSize,
    RecordingFull,
    read_recording,
)
from services.text.sanitize import sanitize
from tui.panel import themes
from widgets.panes.footer import KeyFooter
from widgets.terminal.view import TerminalView
from widgets.workers import run_worker

SLOWEST, FASTEST = 0.125, 64.0
_STEP_S = 0.05
_FRAME_S = 1 / 60
_PIECE = 16 * 1024


class Replay(App[int], inherit_bindings=False):
    """Shows one transcript; what it holds reaches the screen only as cells of an emulator."""

    TITLE = "Wakedeck replay"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", id="replay.pause"),
        Binding("plus,equals_sign", "speed(2.0)", "Faster", id="replay.faster", key_display="+"),
        Binding("minus", "speed(0.5)", "Slower", id="replay.slower", key_display="-"),
        Binding("q,ctrl+q,ctrl+c,escape", "leave", "Quit", id="replay.quit", key_display="q"),
    ]
    CSS = """
    #frame { border: round $foreground 25%; height: 1fr; }
    """

    def __init__(
        self,
        name: str,
        frames: Iterator[RecordedFrame],
        clock: Clock,
        *,
        speed: float = 1.0,
        at_once: bool = False,
        theme: str = "",
    ) -> None:
        """`at_once` leaves no pauses at all: as fast as it can be drawn."""
        super().__init__()
        self.emulator = Emulator(80, 24)
        self.view = TerminalView(self.emulator)
        self.view.can_focus = False
        self.position = 0.0
        """Seconds into the transcript."""
        self.speed = min(max(speed, SLOWEST), FASTEST)
        self.ended = False
        self.cut_short = False
        """Whether recording had stopped at its bound."""
        self._shown = sanitize(name, 80)
        self._frames = frames
        self._clock = clock
        self._at_once = at_once
        self._going = asyncio.Event()
        self._going.set()
        self._painted_at = 0.0
        for one in themes.THEMES:
            self.register_theme(one)
        self.theme = theme if theme in self.available_themes else themes.DEFAULT

    def compose(self) -> ComposeResult:
        with Container(id="frame"):
            yield self.view
        yield KeyFooter(pinned=("replay.quit",))

    def on_mount(self) -> None:
        self._update_frame()
        self.set_interval(0.25, self._update_frame)
        run_worker(self, self._play)

    @property
    def paused(self) -> bool:
        """Whether it waits for the operator."""
        return not self._going.is_set()

    def action_pause(self) -> None:
        """Stop or go on."""
        (self._going.set if self.paused else self._going.clear)()
        self._update_frame()

    def action_speed(self, factor: float) -> None:
        """Change the speed, between an eighth and 64 times."""
        self.speed = min(max(self.speed * factor, SLOWEST), FASTEST)
        self._at_once = False
        self._update_frame()

    def action_leave(self) -> None:
        """Go."""
        self.exit(0)

    async def _play(self) -> None:
        try:
            for frame in self._frames:
                await self._reach(frame.at)
                await self._show(frame)
        except OSError as error:
            said = f"The file cannot be read any further: {sanitize(error.strerror or '')}"
            self.notify(said, severity="error", markup=False)
        self.ended = True
        self.view.request_redraw()
        self._update_frame()

    async def _show(self, frame: RecordedFrame) -> None:
        if isinstance(frame, RecordedSize):
            self.emulator.resize(frame.columns, frame.lines)
        elif isinstance(frame, RecordedOutput):
            await self._feed(frame.data)
        elif isinstance(frame, RecordingFull):
            self.cut_short = True

    async def _reach(self, at: float) -> None:
        """Wait until it is that second of the transcript, whatever becomes of the speed."""
        if not self._at_once and self.position < at:
            self.view.request_redraw()
        while self.position < at or self.paused:
            await self._going.wait()
            if self._at_once:
                break
            began = self._clock.monotonic()
            await self._clock.sleep(min(_STEP_S, (at - self.position) / self.speed))
            if not self.paused:
                passed = (self._clock.monotonic() - began) * self.speed
                self.position = min(at, self.position + passed)
        self.position = at

    async def _feed(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            await self._going.wait()
            self.emulator.feed(data[start : start + _PIECE])
            now = self._clock.monotonic()
            if now - self._painted_at >= _FRAME_S:
                self._painted_at = now
                self.view.request_redraw()
            # Keys and painting come first.
            for _ in range(3):
                await asyncio.sleep(0)

    def _update_frame(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(self._shown)
        pace = "as fast as it goes" if self._at_once else f"{self.speed:g}×"
        state = "ended" if self.ended else "paused" if self.paused else "playing"
        if self.ended and self.cut_short:
            state = "ended where the transcript was full"
        size = f"{self.emulator.columns}×{self.emulator.lines}"
        frame.border_subtitle = Content(f"{state} · {self.position:.1f} s · {pace} · {size}")


def run(settings: Settings, path: Path, speed: float, at_once: bool) -> int:
    """Play a file on this terminal; gives the exit code.

    Raises:
        RefusedError: it cannot be read, or is no transcript.
    """
    from services.clock import SystemClock

    frames = read_recording(path)
    app = Replay(
        path.name, frames, SystemClock(), speed=speed, at_once=at_once, theme=settings.theme
    )
    return app.run() or 0
