"""The panel: builds the services and the screen, and takes both down together."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.widgets import Input

from services.board.deltas import BoardDelta
from services.clock import Clock
from services.config.settings import Settings
from services.models import Attempt, Capability, Event, QueueSnapshot, SandboxId, Shell, Verb
from services.sources import OpenSource
from services.terminal.exec.requests import ShellChoice
from services.text.sanitize import sentence
from tui.dashboard import Dashboard
from tui.engine import Engine
from tui.panel import keymap, shell_keys, themes
from tui.panel.actions import Intents, Tone
from tui.panel.attach import Attaching
from tui.panel.bell import Alarm
from tui.panel.bindings import PLACES, KeyWords, rebindable
from tui.panel.bulk import Bulk
from tui.panel.confirmations import Proposing
from tui.panel.copy import Copying
from tui.panel.details import Details
from tui.panel.empty_states import Guidance
from tui.panel.header_state import Vitals
from tui.panel.history import Recall
from tui.panel.log_screen import LogScreen
from tui.panel.palette import PanelCommands
from tui.panel.shells import Shells, preload
from tui.panel.view_state import WRITE_S, ViewMemory
from widgets.dialogs.help import HelpScreen
from widgets.panes.binding_rows import key_sections
from widgets.panes.details import DetailPane
from widgets.panes.header import HeaderState

CLOSE_S = 8.0


class WakedeckApp(App[int], inherit_bindings=False):
    """Composes, binds and routes."""

    TITLE = "Wakedeck"
    CSS_PATH = "styles/panel.tcss"
    COMMANDS: ClassVar = {PanelCommands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", id="app.help", key_display="?"),
        Binding("ctrl+p", "command_palette", "Palette", id="app.palette", show=True),
        Binding("t", "next_theme", "Dark, light, contrast", id="app.theme", show=False),
        Binding("ctrl+s", "picture", "Save a picture of the screen", id="app.picture", show=False),
        Binding("M", "mute", "Mute bell and notices", id="panel.mute", show=False),
        Binding("q,ctrl+q", "leave", "Quit", id="app.quit"),
        Binding("ctrl+c", "copy_or_hint", "Copy selection", id="app.copy", show=False),
    ]

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[OpenSource],
        clock: Clock,
        *,
        state: Path,
        jitter: random.Random | None = None,
        on_first_frame: Callable[[], None] = lambda: None,
        welcomes: bool = False,
    ) -> None:
        """`state` is the folder of the journal, the locks, the pictures and the transcripts.

        `welcomes` begins with the hint of the first start.

        Raises:
            ConfigError: the settings name a theme or a key that cannot be.
        """
        # Without colours the styles for a terminal of few colours tell things apart.
        super().__init__(ansi_color=True if themes.colourless(os.environ) else None)
        self.settings = settings
        self.welcomes = welcomes
        self.clock = clock
        self._state = state
        self._leaving = False
        self._opened_at = clock.now()
        self._on_first_frame = on_first_frame
        self.engine = Engine(
            sources,
            clock,
            intervals={one.key: one.table.interval_s for one in settings.sources},
            journal=state / "journal.db",
            locks=state / "locks",
            read_only=settings.read_only,
            jitter=jitter or random.Random(),  # noqa: S311
            on_delta=self._delta,
            on_queue=self._queue,
            on_attempt=self._attempt,
            on_events=self._events,
        )
        self.shells = Shells(
            clock,
            self._shell,
            self._shell_wrote,
            state / "transcripts" if settings.transcripts else None,
        )
        self.intents = Intents(self.engine, self.shells, self.say)
        self.bulk = Bulk(
            self, self.engine, self.intents, self.say, self._bulk_pressed, self._bulk_moved
        )
        self.proposing = Proposing(self, self.engine, self.intents, self.say)
        self.attaching = Attaching(self, self.engine, self.intents, self.say, self._open_shell)
        self.details = Details(self, self.engine)
        self.alarm = Alarm(settings.attention, settings.profile, os.environ, self._to_terminal)
        self.memory = ViewMemory(state, settings.profile, settings.remember)
        self.alarm.muted = self.memory.recalled.muted
        self.copying = Copying(self, clock, self.say)
        self.recall = Recall(self.engine)
        self.guidance = Guidance(self.engine, self.intents)
        for theme in themes.THEMES:
            self.register_theme(theme)
        themes.check(settings, self.available_themes)
        bound = bound_actions()
        self.set_keymap(keymap.resolve(bound, settings.keys, settings.key_place))
        self.key_words = KeyWords(self, bound, settings.keys)
        self._vitals = Vitals(settings, self.key_words.of("panel.refresh"))
        if not settings.animation:
            self.animation_level = "none"

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice, but one that outlives its terminal where that may go away."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from tui.panel.terminal_driver import TerminalDriver

        return TerminalDriver

    def get_default_screen(self) -> Screen[int]:
        return Dashboard()

    @property
    def dashboard(self) -> Dashboard:
        """The one screen under everything."""
        screen = self.screen_stack[0]
        assert isinstance(screen, Dashboard)
        return screen

    def on_mount(self) -> None:
        self.theme = self.settings.theme or themes.DEFAULT
        self.theme_changed_signal.subscribe(self, lambda _: self.shells.recolour())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """The first frame is painted: now look."""
        self._on_first_frame()
        self.alarm.open()
        self.set_interval(WRITE_S, self._keep_view)
        self.run_worker(self.engine.run(), group="engine", exit_on_error=False)
        self.run_worker(asyncio.to_thread(preload), group="engine", exit_on_error=False)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self.action_leave)
            except (RuntimeError, ValueError):
                return  # Not the main thread: a test, or an embedding program's own business.

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Without motion no cursor blinks, whoever made the input."""
        if isinstance(event.widget, Input) and self.animation_level == "none":
            event.widget.cursor_blink = False

    # Heard from the services

    def _delta(self, delta: BoardDelta) -> None:
        self._vitals.take(delta, self.engine.board)
        if self._on_screen:
            self.dashboard.apply_delta(delta)
            self.details.refresh()

    def _queue(self, snapshot: QueueSnapshot) -> None:
        if self._on_screen:
            self.dashboard.show_queue(snapshot)

    def _events(self, told: Sequence[Event]) -> None:
        self.details.heard(told)
        if self._on_screen:
            self.dashboard.show_events(told)
            news = [one for one in told if one.at >= self._opened_at and not self._ours(one)]
            self.alarm.heard(news, self.clock.monotonic())

    def _ours(self, event: Event) -> bool:
        """Whether it comes of an attempt that is under way, which the operator is watching."""
        attempt = self.engine.attempt_on(SandboxId(event.source, event.subject))
        return attempt is not None and not attempt.state.ended

    def _attempt(self, attempt: Attempt) -> None:
        if self._on_screen:
            self.dashboard.show_attempt(attempt)
            if attempt.state.ended:
                self.intents.attempt_changed(attempt)

    def _bulk_pressed(self, verb: Verb, sandbox: SandboxId) -> None:
        if self._on_screen and verb is Verb.RECONNECT:
            self.dashboard.desk.reopen_lost(sandbox)

    def _bulk_moved(self) -> None:
        if self._on_screen:
            self.dashboard.show_bulk(self.bulk.progress)

    def _shell(self, shell: Shell) -> None:
        if self._on_screen:
            self.dashboard.show_shell(shell)

    def _shell_wrote(self, shell_id: str) -> None:
        if self._on_screen:
            self.dashboard.desk.mark_activity(shell_id)

    @property
    def _on_screen(self) -> bool:
        """Whether there is a screen to tell: services may speak while the panel closes."""
        return self.is_running and bool(self._screen_stack) and self.dashboard.is_mounted

    def header(self, selected: SandboxId | None) -> HeaderState:
        """What the header says now."""
        engine = self.engine
        paused, muted = engine.feeds.paused, self.alarm.muted
        return self._vitals.header(engine.board, selected, self.clock.now(), paused, muted)

    async def on_event(self, event: events.Event) -> None:
        """Any key or button says that the operator is here."""
        if isinstance(event, events.Key | events.MouseDown):
            self.alarm.seen()
        await super().on_event(event)

    def _to_terminal(self, sequence: str) -> None:
        if self._driver is not None and not self.is_web:
            self._driver.write(sequence)

    def _keep_view(self) -> None:
        self.memory.hold_timeline(self.dashboard, self.engine.journal_read)
        self.run_worker(self._kept(), group="view", exclusive=True, exit_on_error=False)

    async def _kept(self) -> None:
        await self.memory.keep(self.dashboard, self.alarm.muted)

    def open_log(self, sandbox: SandboxId) -> None:
        """Show a sandbox's log over everything, or say why there is none."""
        reason = self.intents.refusals(sandbox).get(Capability.LOGS)
        if reason is not None:
            self.say(sentence(f"No log of {sandbox.native_id}: {reason}"), "warning")
            return
        known = self.engine.board.sandboxes.get(sandbox)
        observer = self.engine.sources[sandbox.source].observer
        name = sandbox.native_id if known is None else known.name
        if isinstance(self.screen, LogScreen):
            self.switch_screen(LogScreen(observer, sandbox, name))
        else:
            self.push_screen(LogScreen(observer, sandbox, name))

    def say(self, text: str, tone: Tone = "information") -> None:
        """Answer the operator's own action."""
        self.notify(text, severity=tone, markup=False, timeout=8 if tone == "error" else 5)

    # Actions

    def action_help(self) -> None:
        """The keys that are live now."""
        live = key_sections(self, self.screen.active_bindings, PLACES)
        self.push_screen(HelpScreen((*live, shell_keys.section())))

    def action_next_theme(self) -> None:
        """The next one of our themes, or of the two with the terminal's own colours."""
        self.theme = themes.following(self.theme)
        self.say(f"Theme {self.theme}; `theme` in the configuration keeps it.")

    def action_copy_or_hint(self) -> None:
        """Copy what is selected; say how to quit where nothing is."""
        self.copying.selection()

    def action_picture(self) -> None:
        """Save the screen as SVG, secrets masked."""
        self.run_worker(self._save_picture(), exit_on_error=False)

    async def _save_picture(self) -> None:
        from tui.panel.screenshots import save

        path = await save(self, self._state / "screenshots", self.clock.now())
        self.say(f"Saved {path}" if path else "The picture could not be saved.")

    def action_mute(self) -> None:
        """Call no more, or call again; the title goes on being marked."""
        self.alarm.muted = not self.alarm.muted
        self.say("Muted: no bell and no notice." if self.alarm.muted else "Bell and notices again.")
        self.dashboard.tick()

    def action_leave(self) -> None:
        """End what is ours and go."""
        if not self._leaving:
            self._leaving = True
            self.run_worker(self._leave(), group="leave", exit_on_error=False)

    async def _leave(self) -> None:
        try:
            self.alarm.close()
            async with asyncio.timeout(CLOSE_S):
                await self._kept()
                await self.shells.close()
                self.workers.cancel_group(self, "engine")
                await self.engine.close()
        except TimeoutError:
            pass  # What is left holds only kernel locks: they go with the process.
        finally:
            self.exit(0)

    def _open_shell(self, sandbox: SandboxId, choice: ShellChoice) -> None:
        self.dashboard.desk.open(sandbox, choice)

    @on(DetailPane.CopyRequested)
    def _copy_details(self, event: DetailPane.CopyRequested) -> None:
        self.copying.text(event.text)


def bound_actions() -> list[keymap.Bound]:
    """Every action that can be given another key."""
    return rebindable(WakedeckApp.BINDINGS)


def run_panel(settings: Settings) -> int:
    """Open the panel; gives the exit code.

    Raises:
        ConfigError: a theme or a key that cannot be.
    """
    from services.clock import SystemClock
    from services.config import paths
    from services.logs import own_log
    from services.sources import open_sources
    from tui import gc_control
    from tui.panel import welcome

    clock = SystemClock()
    state = paths.private_dir(paths.state_dir())
    own_log.configure(paths.log_file())
    app = WakedeckApp(
        replace(settings, theme=themes.fitting(settings, os.environ)),
        open_sources(settings, clock),
        clock,
        state=state,
        on_first_frame=gc_control.settle,
        welcomes=welcome.wanted(state),
    )
    return app.run() or 0
