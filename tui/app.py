"""The panel's app: builds the services and the dashboard, and closes both."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.screen import Screen
from textual.widgets import Input

from services.board.deltas import BoardDelta
from services.clock import Clock
from services.config.settings import Settings
from services.models import Attempt, Event, QueueSnapshot, SandboxId, Shell, Verb
from services.sources.protocol.source import OpenSource
from tui.context import Context
from tui.dashboard import Dashboard
from tui.engine import Engine
from tui.listeners import tell_each
from tui.panel import drivers, keymap, shell_keys, themes
from tui.panel.actions import Actions, Tone
from tui.panel.attach import AgentAttach
from tui.panel.bell import TerminalBell
from tui.panel.bulk import Bulk
from tui.panel.compositor import cropped
from tui.panel.confirmations import Confirmations
from tui.panel.copy import Copier
from tui.panel.details import Details
from tui.panel.empty_states import EmptyStates
from tui.panel.header_state import HeaderBuilder
from tui.panel.history import EventHistory
from tui.panel.key_labels import PLACES, KeyLabels, on_dashboard, rebindable
from tui.panel.leaving import leave_on_signals
from tui.panel.quitting import Quitting
from tui.panel.shells import Shells, preload
from tui.panel.stylesheet import KeptStylesheet
from tui.panel.view_state import WRITE_S, ViewStateStore
from widgets.panes.binding_rows import key_sections
from widgets.panes.header import HeaderState
from widgets.workers import run_worker

if TYPE_CHECKING:
    from services.terminal.exec.requests import ShellChoice
    from widgets.panes.details import DetailPane

CLOSE_S = 8.0


def _panel_commands() -> type[Provider]:
    from tui.panel.palette import PanelCommands

    return PanelCommands


class WakedeckApp(App[int], inherit_bindings=False):
    """The Textual app of the panel: composes, binds and routes."""

    TITLE = "Wakedeck"
    CSS_PATH = "styles/panel.tcss"
    COMMANDS: ClassVar = {_panel_commands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", id="app.help", key_display="?"),
        Binding("ctrl+p", "command_palette", "Palette", id="app.palette", show=True),
        Binding("t", "next_theme", "Dark, light, contrast", id="app.theme", show=False),
        Binding("ctrl+s", "picture", "Save screenshot", id="app.picture", show=False),
        Binding(
            "ctrl+z", "suspend_process", "Suspend; fg comes back", id="app.suspend", show=False
        ),
        Binding("M", "mute", "Mute bell and notices", id="panel.mute", show=False),
        Binding("q,ctrl+q", "quit_or_ask", "Quit", id="app.quit"),
        Binding("ctrl+c", "copy_or_hint", "Copy selection", id="app.copy", show=False),
    ]

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[OpenSource],
        clock: Clock,
        *,
        state: Path,
        views: Path | None = None,
        jitter: random.Random | None = None,
        on_first_frame: Callable[[], None] = lambda: None,
        welcomes: bool = False,
    ) -> None:
        """`state` is the folder of the journal, the locks, the pictures and the transcripts.

        `views` is that of the view, where it is another. `welcomes` begins with the hint of the
        first start.

        Raises:
            ConfigError: the settings name a theme or a key that cannot be.
        """
        # Without colours the styles for a terminal of few colours tell things apart.
        super().__init__(ansi_color=True if themes.no_color(os.environ) else None)
        self.stylesheet = KeptStylesheet(variables=self.theme_variables)
        self.settings = settings
        self.clock = clock
        self._state = state
        self._leaving = self._begun = False
        self._opened_at, self._on_first_frame = clock.now(), on_first_frame
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
        self.actions = Actions(self.engine, self.shells, self.notify_user)
        self.bulk = Bulk(
            self,
            self.engine,
            self.actions,
            self.notify_user,
            self._bulk_started,
            self._bulk_progressed,
        )
        self.confirmations = Confirmations(
            self, self.engine, self.actions, self.notify_user, self._open_shell
        )
        self.agent_attach = AgentAttach(
            self, self.engine, self.actions, self.notify_user, self._open_shell
        )
        self.details = Details(self, self.engine)
        self.quitting = Quitting(
            self, settings.confirm_quit, self.shells, self.engine, self.action_leave
        )
        self.terminal_bell = TerminalBell(
            settings.attention, settings.profile, os.environ, self._to_terminal
        )
        self.view_state = ViewStateStore(
            views or state, settings.profile, settings.remember, keeps_row=views is not None
        )
        self.terminal_bell.muted = self.view_state.loaded.muted
        self.copier = Copier(self, self.notify_user)
        self.history = EventHistory(self.engine)
        self.empty_states = EmptyStates(self.engine, self.actions)
        for theme in themes.THEMES:
            self.register_theme(theme)
        themes.check(settings, self.available_themes)
        if settings.keys:
            self.set_keymap(keymap.resolve(bound_actions(), settings.keys, settings.key_location))
        self.key_labels = KeyLabels(self, on_dashboard(self.BINDINGS), settings.keys)
        self._header_builder = HeaderBuilder(settings, self.key_labels.of("panel.refresh"))
        if not settings.animation:
            self.animation_level = "none"
        self.context = Context(
            settings=settings,
            clock=clock,
            engine=self.engine,
            shells=self.shells,
            actions=self.actions,
            bulk=self.bulk,
            confirmations=self.confirmations,
            agent_attach=self.agent_attach,
            details=self.details,
            quitting=self.quitting,
            history=self.history,
            empty_states=self.empty_states,
            copier=self.copier,
            terminal_bell=self.terminal_bell,
            view_state=self.view_state,
            key=self.key_labels.of,
            header=self.header,
            open_log=self.open_log,
            notify=self.notify_user,
            first_start=welcomes,
        )

    def get_driver_class(self) -> type[Driver]:
        """Textual's choice, made to outlive what it draws on."""
        return drivers.adapt(super().get_driver_class())

    def get_default_screen(self) -> Screen[int]:
        return Dashboard(self.context)

    @property
    def dashboard(self) -> Dashboard:
        """The one screen under everything."""
        screen = self.screen_stack[0]
        assert isinstance(screen, Dashboard)
        return screen

    def on_load(self) -> None:
        leave_on_signals(self.action_leave)

    def on_mount(self) -> None:
        self.theme = self.settings.theme or themes.DEFAULT
        self.theme_changed_signal.subscribe(self, lambda _: self.shells.recolour())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Start polling once the first frame is painted."""
        if self._leaving:
            self.dashboard.call_after_refresh(self.exit, 0)  # once it has mounted what it began
            return
        self._begun = True
        self._on_first_frame()
        self.terminal_bell.open()
        if notice := drivers.charset_notice():
            self.notify_user(notice, "warning")
        self.set_interval(WRITE_S, self._save_view)
        run_worker(self, self.engine.run, group="engine")
        run_worker(self, asyncio.to_thread, preload, group="engine")
        leave_on_signals(self.action_leave)  # again: some drivers take signals for themselves

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Stop the cursor of inputs from blinking where animation is off."""
        if isinstance(event.widget, Input) and self.animation_level == "none":
            event.widget.cursor_blink = False

    # Heard from the services

    def _delta(self, delta: BoardDelta) -> None:
        tell_each(lambda: self._header_builder.add_samples(delta))
        if self._on_screen:
            tell_each(
                lambda: self.dashboard.apply_delta(delta),
                lambda: self.view_state.restore_row(self.dashboard),
                self.details.refresh,
            )

    def _queue(self, snapshot: QueueSnapshot) -> None:
        if self._on_screen:
            self.dashboard.show_queue(snapshot)

    def _events(self, told: Sequence[Event]) -> None:
        tell_each(lambda: self.details.on_events(told))
        if self._on_screen:
            news = [one for one in told if one.at >= self._opened_at and not self._ours(one)]
            ring = partial(self.terminal_bell.on_events, news, self.clock.monotonic())
            tell_each(lambda: self.dashboard.show_events(told), ring)

    def _ours(self, event: Event) -> bool:
        """Whether it comes of an attempt that is under way, which the operator is watching."""
        attempt = self.engine.latest_attempt(SandboxId(event.source, event.subject))
        return attempt is not None and not attempt.state.ended

    def _attempt(self, attempt: Attempt) -> None:
        if self._on_screen:
            tell_each(lambda: self.dashboard.show_attempt(attempt))
            if attempt.state.ended:
                self.actions.attempt_changed(attempt)

    def _bulk_started(self, verb: Verb, sandbox: SandboxId) -> None:
        if self._on_screen and verb is Verb.RECONNECT:
            self.dashboard.shell_controller.reopen_lost(sandbox)

    def _bulk_progressed(self) -> None:
        if self._on_screen:
            self.dashboard.show_bulk(self.bulk.progress)

    def _shell(self, shell: Shell) -> None:
        if self._on_screen:
            self.dashboard.show_shell(shell)

    def _shell_wrote(self, shell_id: str) -> None:
        if self._on_screen:
            self.dashboard.shell_controller.mark_activity(shell_id)

    @property
    def _on_screen(self) -> bool:
        """Whether there is a screen to tell: services may speak while the panel closes."""
        return self.is_running and bool(self._screen_stack) and self.dashboard.is_mounted

    def header(self) -> HeaderState:
        """What the header says now."""
        engine = self.engine
        paused, muted = engine.pollers.paused, self.terminal_bell.muted
        return self._header_builder.header(engine.board, self.clock.now(), paused, muted)

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, cropped(renderable))

    async def on_event(self, event: events.Event) -> None:
        """A key or a mouse button marks the operator as present."""
        if isinstance(event, events.Key | events.MouseDown):
            self.terminal_bell.on_input()
            self.view_state.on_input()
        await super().on_event(event)

    def _to_terminal(self, sequence: str) -> None:
        if self._driver is not None and not self.is_web:
            self._driver.write(sequence)

    def _save_view(self) -> None:
        self.view_state.pause_timeline(self.dashboard, self.engine.journal_loaded)
        run_worker(self, self._write_view, group="view", exclusive=True)

    async def _write_view(self) -> None:
        await self.view_state.save(self.dashboard, self.terminal_bell.muted)

    def open_log(self, sandbox: SandboxId) -> None:
        """Show a sandbox's log over everything, or say why there is none."""
        from tui.panel import log_screen

        log_screen.open_log(self, self.context, sandbox)

    def notify_user(self, text: str, tone: Tone = "information") -> None:
        """Show a notification about the operator's own action."""
        self.notify(text, severity=tone, markup=False, timeout=8 if tone == "error" else 5)

    # Actions

    def action_help(self) -> None:
        """The keys that are live now."""
        from widgets.dialogs.help import HelpScreen

        live = key_sections(self, self.screen.active_bindings, PLACES)
        self.push_screen(HelpScreen((*live, shell_keys.help_section())))

    def action_next_theme(self) -> None:
        """The next one of our themes, or of the two with the terminal's own colours."""
        self.theme = themes.next_theme(self.theme)
        self.notify_user(f"Theme {self.theme}; `theme` in the configuration keeps it.")

    def action_copy_or_hint(self) -> None:
        """Copy what is selected; say how to quit where nothing is."""
        self.copier.selection()

    def action_picture(self) -> None:
        """Save a screenshot as SVG, secrets masked."""
        if self.is_web:
            self.notify_user("A page writes nothing on its server: your browser can save it.")
            return
        run_worker(self, self._save_screenshot)

    async def _save_screenshot(self) -> None:
        from tui.panel.screenshots import save

        path = await save(self, self._state / "screenshots", self.clock.now())
        self.notify_user(f"Saved {path}" if path else "The screenshot could not be saved.")

    def action_mute(self) -> None:
        """Mute or unmute bell and desktop notices; the terminal's title is still marked."""
        self.terminal_bell.muted = not self.terminal_bell.muted
        muted = "Muted: no bell and no notice."
        self.notify_user(muted if self.terminal_bell.muted else "Bell and notices again.")
        self.dashboard.tick()

    def action_quit_or_ask(self) -> None:
        """Leave, after a question where something would be lost."""
        self.quitting.ask()

    def action_leave(self) -> None:
        """Close shells, attempts and sources, then exit."""
        if not self._leaving:
            self._leaving = True
            if self._begun:  # else it leaves where it would begin
                run_worker(self, self._leave, group="leave")

    async def _leave(self) -> None:
        try:
            self.terminal_bell.close()
            async with asyncio.timeout(CLOSE_S):
                await self._write_view()
                await self.shells.close()
                await self.engine.close()
        except TimeoutError:
            pass  # What is left holds only kernel locks: they go with the process.
        finally:
            self.exit(0)

    def _open_shell(self, sandbox: SandboxId, choice: ShellChoice) -> None:
        self.dashboard.shell_controller.open(sandbox, choice)

    def on_detail_pane_copy_requested(self, event: DetailPane.CopyRequested) -> None:
        self.copier.text(event.text)


def bound_actions() -> list[keymap.Bound]:
    """Every action that can be given another key."""
    return rebindable(WakedeckApp.BINDINGS)
