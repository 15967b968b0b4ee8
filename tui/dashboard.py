"""The one screen: composes the panes, binds the keys, routes what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType

from services.board.deltas import BoardDelta
from services.models import (
    Attempt,
    Capability,
    Event,
    GatewayId,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    Shell,
    Verb,
)
from tui import gc_control
from tui.context import Context
from tui.listeners import tell_each
from tui.panel import shell_keys, welcome
from tui.panel.keymap import DASHBOARD
from tui.panel.layout import Pane, PaneGrid
from tui.panel.pane_focus import PaneScreen
from tui.panel.repair_controller import RepairController
from tui.panel.shell_controller import ShellController
from widgets.panes.events import EventPane
from widgets.panes.footer import KeyFooter
from widgets.panes.gateways import GatewayPane
from widgets.panes.header import HealthHeader
from widgets.panes.queues import QueuePane
from widgets.panes.repair_bar import RepairKeys
from widgets.panes.sandboxes import SandboxPane
from widgets.panes.table_pane import TablePane
from widgets.terminal.messages import ZoomRequested
from widgets.workers import run_worker

CHORD = "ctrl+]"
TICK_S = 1.0
LOOK_GRACE_S = 0.15
"""How much longer than a second ages wait for a look, which renews them in the same paint."""
RELEASE_EVERY_S = 30.0


class Dashboard(PaneScreen):
    """Sandboxes, their repair, gateways, queues, shells and events, always in sight."""

    BINDINGS: ClassVar[list[BindingType]] = DASHBOARD

    def __init__(self, context: Context) -> None:
        super().__init__(id="dashboard")
        self.context = context
        self.selected: SandboxId | None = None
        self._next_tick: asyncio.TimerHandle | None = None

    @property
    def shell_controller(self) -> ShellController:
        """The shells."""
        return self.query_one(ShellController)

    def compose(self) -> ComposeResult:
        key = self.context.key
        verbs = (key(f"repair.{verb}") for verb in ("wake", "reconnect", "cancel", "offer"))
        yield HealthHeader()
        with PaneGrid(id="grid"):
            yield SandboxPane(id=Pane.SANDBOXES.value)
            yield RepairController(self.context, id=Pane.REPAIR.value, keys=RepairKeys(*verbs))
            yield GatewayPane(id=Pane.GATEWAYS.value)
            yield QueuePane(id=Pane.QUEUES.value)
            yield ShellController(
                self.context,
                id=Pane.SHELL.value,
                number=key("panel.shells"),
                chord=CHORD,
                open_key=key("panel.shell"),
                reopen_key=key("shell.reopen"),
            )
            yield EventPane(id=Pane.EVENTS.value, name_of=self.context.engine.name_of)
        pinned = ("app.help", "app.palette", "app.quit")
        yield KeyFooter(pinned=pinned, instead=lambda: shell_keys.footer_rows(self.focused))

    def on_mount(self) -> None:
        self.set_class(self.context.settings.production, "-production")
        self.focus_pane(Pane.SANDBOXES)
        self.context.view_state.restore(self)
        self.set_interval(RELEASE_EVERY_S, gc_control.clear_styles_cache)
        self.tick()
        if self.context.first_start:
            self.call_after_refresh(welcome.show_welcome, self, self.context, CHORD)

    def on_key(self, event: events.Key) -> None:
        """Escape also closes the hint of the first start."""
        if event.key == "escape":
            self._close_hint()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """So does a shell that takes the keys: the hint would lie over its prompt."""
        if self.focused_pane is Pane.SHELL:
            self._close_hint()

    def _close_hint(self) -> None:
        from widgets.panes.first_steps import FirstSteps

        for hint in self.query(FirstSteps):
            hint.close()

    def on_screen_suspend(self) -> None:
        """Something lies over the panes."""
        self.shell_controller.stop_following()

    def disabled_reason(self, action: str) -> str:
        """Why an action of this screen would do nothing now; empty where it would do something."""
        if action in ("wake", "reconnect"):
            if self.query_one(SandboxPane).marked:
                return ""
            return self.query_one(RepairController).refusal(Verb(action))
        if action in ("shell", "logs"):
            if self.selected is None:
                return "no sandbox is selected"
            needed = Capability.SHELL if action == "shell" else Capability.LOGS
            return self.context.actions.refusals(self.selected).get(needed, "")
        if action in ("close_shell", "shell_tab(1)", "shell_tab(-1)"):
            return "" if self.shell_controller.active is not None else "no shell is open"
        return ""

    def apply_delta(self, delta: BoardDelta) -> None:
        """Another look came in."""
        board, now = self.context.engine.board, self.context.clock.now()
        tell_each(
            lambda: self.context.actions.note_removed(delta, now),
            lambda: self.query_one(SandboxPane).apply(
                delta.sandboxes,
                delta.sandboxes_removed,
                delta.touched_sandboxes,
                staleness=board.staleness,
                at=now,
            ),
            lambda: self.query_one(GatewayPane).apply(
                (*delta.gateways, *delta.touched_gateways.values()),
                delta.gateways_removed,
                at=now,
            ),
            self._show_counts,
            self._draw_repair,
            lambda: self.tick(TICK_S + LOOK_GRACE_S),
        )

    def _show_counts(self) -> None:
        sandboxes, gateways = self.query_one(SandboxPane), self.query_one(GatewayPane)
        self.query_one(PaneGrid).show_counts(sandboxes.table.total, gateways.table.total)

    def show_queue(self, snapshot: QueueSnapshot) -> None:
        """The queue of the selected sandbox."""
        if snapshot.sandbox == self.selected:
            pane = self.query_one(QueuePane)
            pane.show(snapshot, name=self.context.engine.name_of(snapshot.sandbox))
            if not pane.table.total:
                self._update_empty_states()

    def show_events(self, told: Sequence[Event]) -> None:
        """More for the timeline."""
        self.query_one(EventPane).apply(told)

    def show_attempt(self, attempt: Attempt) -> None:
        """A step of an attempt."""
        if attempt.sandbox == self.selected:
            self._draw_repair()

    def show_bulk(self, progress: str) -> None:
        """How far a verb is with what was marked."""
        self.query_one(SandboxPane).progress = progress

    def show_shell(self, shell: Shell) -> None:
        """A shell's new state."""
        self.shell_controller.update_shell(shell)

    def tick(self, within_s: float = TICK_S) -> None:
        """Another second: only ages are repainted, and again after `within_s`."""
        now = self.context.clock.now()
        self._schedule_tick(within_s)
        panes = (SandboxPane, GatewayPane, QueuePane, EventPane, RepairController)
        tell_each(
            *(lambda pane=pane: self.query_one(pane).tick(now) for pane in panes),
            self._draw_header,
            lambda: self.context.terminal_bell.tick(self.context.clock.monotonic()),
            self._update_empty_states,
        )

    def _schedule_tick(self, within_s: float) -> None:
        self.on_unmount()
        self._next_tick = asyncio.get_running_loop().call_later(within_s, self.tick)

    def on_unmount(self) -> None:
        """No more ticks."""
        if self._next_tick is not None:
            self._next_tick.cancel()

    def _update_empty_states(self) -> None:
        """Say in every empty pane why it is so."""
        words = self.context.empty_states.all(self.selected, self.context.key)
        for pane in self.query_one(PaneGrid).query_children(TablePane):
            pane.hint = words.get(Pane(pane.id), "")
        self.shell_controller.show_now(self.selected, words[Pane.SHELL])

    def _draw_header(self) -> None:
        self.query_one(HealthHeader).show(self.context.header())

    def _draw_repair(self) -> None:
        seen = None if self.selected is None else self._seen(self.selected)
        self.query_one(RepairController).show_sandbox(seen)

    def _seen(self, sandbox: SandboxId) -> Sandbox | None:
        """A sandbox as it is, or what its row still says of it where it is gone."""
        known = self.context.engine.board.sandboxes.get(sandbox)
        seen = known or self.query_one(SandboxPane).record(sandbox)
        return None if seen is None else self.context.engine.told_apart(seen)

    @on(SandboxPane.Highlighted)
    def _selected(self, event: SandboxPane.Highlighted) -> None:
        self._select(event.sandbox)

    def _select(self, sandbox: SandboxId | None) -> None:
        if sandbox == self.selected:
            return
        self.selected = sandbox
        self.query_one(QueuePane).show(None)
        self.context.engine.pollers.watch_queue(sandbox)
        self._update_empty_states()
        self._draw_repair()
        self._draw_header()

    def _under_cursor(self) -> SandboxId | None:
        """What a verb acts on: the row the cursor is on now, though its message be on the way."""
        self._select(self.query_one(SandboxPane).current)
        return self.selected

    @on(SandboxPane.Opened)
    def _open_sandbox(self, event: SandboxPane.Opened) -> None:
        sandbox = self._seen(event.sandbox)
        if sandbox is not None:
            self.context.details.open(sandbox)

    @on(GatewayPane.Opened)
    def _open_gateway(self, event: GatewayPane.Opened) -> None:
        known = self.context.engine.board.gateways.get(event.gateway)
        gateway = known or self.query_one(GatewayPane).record(event.gateway)
        if gateway is not None:
            self.context.details.open(gateway)

    @on(QueuePane.Opened)
    def _open_message(self, event: QueuePane.Opened) -> None:
        self.context.details.open(event.message, event.sandbox)

    @on(EventPane.Opened)
    def _open_event(self, event: EventPane.Opened) -> None:
        self.context.details.open(event.event)

    @on(EventPane.SearchRequested)
    def _search_history(self, event: EventPane.SearchRequested) -> None:
        events = self.query_one(EventPane)
        run_worker(
            self, self.context.history.fill, events, event.words, group="recall", exclusive=True
        )

    @on(RepairController.ReconnectRequested)
    def _reopen_shells(self, event: RepairController.ReconnectRequested) -> None:
        self.shell_controller.reopen_lost(event.sandbox)

    @on(ZoomRequested)
    def _zoom_requested(self) -> None:
        self.action_zoom()

    def action_wake(self) -> None:
        """Wake what is marked, or else the sandbox under the cursor."""
        if not self._start_bulk(Verb.WAKE):
            self._under_cursor()
            self.query_one(RepairController).action_wake()

    def action_reconnect(self) -> None:
        """Reconnect what is marked, or else what the cursor is on; a gateway is signed in to."""
        gateway = self._gateway_in_focus()
        if gateway is not None and self.context.actions.can_sign_in(gateway.source):
            self._sign_in(gateway.source)
        elif not self._start_bulk(Verb.RECONNECT):
            signed_out = self.context.actions.sources_without_list()
            if self._under_cursor() is None and signed_out:
                self._sign_in(*signed_out)
            else:
                self.query_one(RepairController).action_reconnect()

    def _gateway_in_focus(self) -> GatewayId | None:
        pane = self.query_one(GatewayPane)
        return pane.current if pane.has_focus_within else None

    def _sign_in(self, *sources: str) -> None:
        for source in sources:
            if (asking := self.context.actions.asking_shell(source)) is not None:
                self.shell_controller.ask(asking)
                continue
            run_worker(self, self.context.actions.sign_in, source, group="sign-in")

    def _start_bulk(self, verb: Verb) -> bool:
        """Begin with what is marked now; False where nothing is. The marks have done their work."""
        pane = self.query_one(SandboxPane)
        frozen = pane.marked
        if frozen and self.context.bulk.start(verb, frozen):
            pane.table.clear_marks()
        return bool(frozen)

    def action_cancel(self) -> None:
        """Cancel what runs on the marked ones, or else the attempt the repair bar shows."""
        if not self.context.bulk.cancel():
            self.query_one(RepairController).action_cancel()

    def action_offer(self) -> None:
        """Ask about what the attempt on the sandbox under the cursor needs confirmed."""
        self._under_cursor()
        self.query_one(RepairController).action_offer()

    def action_shell(self) -> None:
        """Open a shell in the sandbox under the cursor."""
        sandbox = self._under_cursor()
        if sandbox is not None:
            self.shell_controller.open(sandbox)

    def action_attach(self) -> None:
        """Attach to the agent of the sandbox under the cursor, after a warning."""
        sandbox = self._under_cursor()
        if sandbox is not None:
            self.context.agent_attach.ask(sandbox)

    def action_logs(self) -> None:
        """Open the log of the sandbox under the cursor."""
        sandbox = self._under_cursor()
        if sandbox is not None:
            self.context.open_log(sandbox)

    def action_shell_tab(self, step: int) -> None:
        """Bring the next or previous shell to the front."""
        self.shell_controller.cycle_tab(step)

    def action_close_shell(self) -> None:
        """Close the shell in front."""
        active = self.shell_controller.active
        if active is not None:
            self.shell_controller.ask_to_close(active)

    def action_refresh_now(self) -> None:
        """Look everywhere now."""
        self.context.engine.pollers.refresh()

    def action_pause(self) -> None:
        """Stop or go on looking."""
        pollers = self.context.engine.pollers
        pollers.pause(not pollers.paused)
        self._draw_header()

    def action_next_needing(self) -> None:
        """Go to the next sandbox that needs somebody, the most urgent first."""
        self.focus_pane(Pane.SANDBOXES)
        if not self.query_one(SandboxPane).select_next_needing():
            self.context.notify("No sandbox needs you now.", "information")

    def action_only_needing(self) -> None:
        """Show the sandboxes that need somebody alone, the most urgent first, or all again."""
        self.query_one(SandboxPane).toggle_only_needing()

    def action_copy_record(self) -> None:
        """Copy what the cursor is on as JSON."""
        self.context.copier.record(self.query_one(f"#{self.focused_pane.value}"))

    def action_copy_name(self) -> None:
        """Copy the name, or the text, of what the cursor is on."""
        self.context.copier.name(self.query_one(f"#{self.focused_pane.value}"))

    def action_copy_cell(self) -> None:
        """Copy one cell of the row the cursor is on."""
        self.context.copier.cell(self.query_one(f"#{self.focused_pane.value}"))
