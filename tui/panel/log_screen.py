"""One sandbox's log over the dashboard: composes, follows, routes. Escape goes back.

Its text is shown in a pager or editor of the operator's own, too.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.screen import Screen

from services.errors import UnavailableError, WakedeckError
from services.logs.follower import LogFollower
from services.logs.reader import LogRecord
from services.models import Capability, LogLine, SandboxId
from services.process.ends import hear_ends
from services.process.signals import catch_ignored
from services.sources.protocol.observer import Observer
from services.text.sanitize import end_sentence
from tui.context import Context
from tui.panel.leaving import leave_on_signals
from widgets.log.pane import LogPane
from widgets.log.view import LogView
from widgets.panes.footer import KeyFooter
from widgets.panes.header import HealthHeader
from widgets.workers import run_worker

PAGER, EDITOR = ("PAGER",), ("VISUAL", "EDITOR")
_USUAL = {PAGER: "less", EDITOR: "vi"}


def open_log(app: App[int], context: Context, sandbox: SandboxId) -> None:
    """Show a sandbox's log over everything, or say why there is none."""
    name = context.engine.name_of(sandbox)
    reason = context.actions.refusals(sandbox).get(Capability.LOGS)
    if reason is not None:
        context.notify(end_sentence(f"No log of {name}: {reason}"), "warning")
        return
    screen = LogScreen(context, context.engine.sources[sandbox.source].observer, sandbox, name)
    if isinstance(app.screen, LogScreen):
        app.switch_screen(screen)
    else:
        app.push_screen(screen)


class LogScreen(Screen[None]):
    """Follows while it is open, and leaves nothing running."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", id="log.back"),
        Binding("vertical_line", "pager", "Pager", id="log.pager", key_display="|"),
        Binding("e", "editor", "Editor", id="log.editor"),
        Binding("L", "leave", "Back to the dashboard", id="log.leave", show=False),
    ]

    def __init__(self, context: Context, observer: Observer, sandbox: SandboxId, name: str) -> None:
        super().__init__()
        self.context = context
        self._observer = observer
        self._sandbox = sandbox
        self._pane = LogPane(name)

    @property
    def pane(self) -> LogPane:
        """The log."""
        return self._pane

    def compose(self) -> ComposeResult:
        yield HealthHeader()
        yield self._pane
        yield KeyFooter(pinned=("log.back", "app.help"))

    def on_mount(self) -> None:
        self.set_interval(1.0, self._tick)
        self._tick()
        run_worker(self, self._begin, group="log", exclusive=True)

    def action_back(self) -> None:
        """Drop marks or a search; where there are none, go back."""
        if not self._pane.escape():
            self.dismiss(None)

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_pager(self) -> None:
        """Show what is held in $PAGER."""
        self._show_in(PAGER)

    def action_editor(self) -> None:
        """Show what is held in $EDITOR."""
        self._show_in(EDITOR)

    def disabled_reason(self, action: str) -> str:
        """Why an action is refused; its keys are shown as off."""
        if action not in ("pager", "editor"):
            return ""
        if self.app.is_web:
            return "A page has no terminal to give to another program."
        if self.context.settings.read_only:
            return "Not from a read-only panel: it could start anything."
        return ""

    def _show_in(self, variables: tuple[str, ...]) -> None:
        if reason := self.disabled_reason("pager"):
            self.context.notify(reason, "warning")
            return
        run_worker(self.app, self._show, variables, group="program")

    async def _show(self, variables: tuple[str, ...]) -> None:
        lines = self._pane.view.lines
        text = "\n".join(lines[number].text for number in range(lines.first, lines.end))
        try:
            program = program_command(variables, os.environ)
            await show_text(self.app, program, f"{text}\n", "log.txt")
        except UnavailableError as error:
            self.context.notify(f"{error.sentence} {error.advice}".strip(), "warning")

    @on(LogPane.Chosen)
    def _another(self, event: LogPane.Chosen) -> None:
        event.stop()
        run_worker(self, self._follow, event.stream, group="log", exclusive=True)

    @on(LogView.Copied)
    def _copy(self, event: LogView.Copied) -> None:
        event.stop()
        self.app.copy_to_clipboard(event.text)
        lines = "1 line" if event.lines == 1 else f"{event.lines} lines"
        self.context.notify(f"Copied {lines}.", "information")

    def _tick(self) -> None:
        self._pane.tick(self.context.clock.now())
        self.query_one(HealthHeader).show(self.context.header())

    async def _begin(self) -> None:
        try:
            streams = await self._observer.log_streams(self._sandbox)
        except WakedeckError as error:
            # Its lines may come all the same; if not, the follower says why.
            self._deliver([LogLine(f"— {error.sentence}", ours=True)])
            streams = ()
        self._pane.set_streams(streams)
        await self._follow(self._pane.stream)

    async def _follow(self, stream: str) -> None:
        def opened(since: float | None) -> AsyncIterator[LogRecord]:
            return self._observer.logs(self._sandbox, stream, since)

        follower = LogFollower(opened, self._deliver, self._pane.set_problem, self.context.clock)
        await follower.run()

    def _deliver(self, lines: Sequence[LogLine]) -> None:
        self._pane.extend(lines)


def program_command(variables: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    """The argument list that a variable names, or the usual program.

    Raises:
        UnavailableError: it cannot be read, or there is no such program.
    """
    named = next((one for one in variables if environ.get(one, "").strip()), "")
    try:
        words = shlex.split(environ[named]) if named else [_USUAL[variables]]
    except ValueError as error:
        raise UnavailableError(f"{named} cannot be read: {error}.") from error
    if not words or shutil.which(words[0]) is None:
        asked = f"{named} names {words[0]!r}" if named and words else f"{words[0]!r} is the usual"
        raise UnavailableError(
            f"{asked}, and there is no such program.", advice=f"Set {variables[-1]} to one."
        )
    return words


async def show_text(app: App[int], program: Sequence[str], text: str, name: str) -> None:
    """Give the terminal to the program with the text in a file of the operator's alone.

    The panel goes on asking meanwhile and draws again when the program has ended.

    Raises:
        UnavailableError: this terminal cannot be given away, or the program does not start.
    """
    with tempfile.TemporaryDirectory(prefix="wakedeck-") as folder:
        file = Path(folder) / name
        await asyncio.to_thread(file.write_text, text, "utf-8")
        try:
            with app.suspend():
                # An interrupt typed into the program is for the program.
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
                catch_ignored()
                hear_ends()
                try:
                    child = await asyncio.create_subprocess_exec(*program, str(file))
                    await _wait(child)
                finally:
                    leave_on_signals(partial(_leave, app))
        except SuspendNotSupported as error:
            raise UnavailableError("This terminal cannot be given to another program.") from error
        except OSError as error:
            raise UnavailableError(f"{program[0]} does not start: {error.strerror}.") from error


def _leave(app: App[int]) -> None:
    app.call_later(app.run_action, "leave")


async def _wait(child: asyncio.subprocess.Process) -> None:
    """Wait for its end; a panel that leaves takes it along."""
    try:
        await child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
