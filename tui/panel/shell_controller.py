"""The shells on the screen: opened, fed, closed and reopened; the pane draws them.

While none is open the pane says how the selected sandbox is now.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.worker import Worker

from services.logs.follower import LogFollower
from services.models import Capability, Sandbox, SandboxId, ShellState
from services.text.sanitize import end_sentence, sanitize
from tui.context import Context
from tui.panel.layout import Pane
from tui.panel.pane_focus import PaneScreen
from tui.panel.shells import OpenShell
from widgets.panes.sandbox_now import NowState, SandboxNow
from widgets.panes.shells import ShellPane
from widgets.terminal.messages import (
    BellRang,
    Copied,
    LinkClicked,
    Pasted,
    PasteQuestion,
    Refused,
    Resized,
    Typed,
)
from widgets.workers import run_worker

if TYPE_CHECKING:
    from services.logs.reader import LogRecord
    from services.terminal.exec.requests import ShellChoice
    from widgets.terminal.view import TerminalView

REST_S = 0.6
"""A sandbox is selected for so long before its log is opened: the cursor may only be passing."""


class ShellController(ShellPane):
    """The shell pane joined to the sessions behind its tabs."""

    def __init__(
        self,
        context: Context,
        *,
        chord: str,
        number: str,
        open_key: str,
        reopen_key: str,
        id: str | None = None,
    ) -> None:
        super().__init__(
            chord=chord, number=number, open_key=open_key, reopen_key=reopen_key, id=id
        )
        self.context = context
        self._now: NowFeed | None = None
        self._came_from: Pane | None = None
        """The pane from which the operator last came to open a shell."""

    def show_now(self, selected: SandboxId | None, empty: str) -> None:
        """While no shell is open: the selected sandbox; `empty` says how to open one."""
        self._now = self._now or NowFeed(self.context, self.now_view)
        name = "" if selected is None else self.context.engine.name_of(selected)
        self.set_subject(name)
        seen = self.active is None and self.screen.is_current and bool(self.region)
        self._now.update(selected, empty, shown=seen)

    def stop_following(self) -> None:
        """Follow no log that nobody sees."""
        if self._now is not None:
            self._now.stop()

    def open(
        self, sandbox: SandboxId, choice: ShellChoice | None = None, *, take_keys: bool = True
    ) -> None:
        """A new shell in front, with the keyboard unless it came back by itself."""
        from services.terminal.exec.requests import ShellChoice

        opened = self.context.actions.shell(sandbox, choice or ShellChoice())
        if opened is not None:
            pane = self._panes.focused_pane
            if take_keys and pane is not Pane.SHELL:
                self._came_from = pane
            run_worker(self.app, self._run_shell, opened, take_keys, group="shells")

    def ask(self, source: SandboxId) -> None:
        """The one tab in which a source asks the operator, in front; run anew where it is over."""
        for one in self.context.shells:
            shell = one.session.shell
            if shell.sandbox == source and not shell.state.over:
                self.activate(shell.id)
                self._panes.focus_pane(Pane.SHELL)
                one.view.focus()
                return
            if shell.sandbox == source:
                self._remove(shell.id)
        self.open(source)

    async def _run_shell(self, opened: OpenShell, take_keys: bool) -> None:
        shell = opened.session.shell
        await self.add_shell(shell, opened.view, self.context.engine.name_of(shell.sandbox))
        if take_keys:
            self._panes.focus_pane(Pane.SHELL)
            opened.view.focus()
        self.context.actions.shell_ended(await self.context.shells.run(shell.id))

    @property
    def _panes(self) -> PaneScreen:
        screen = self.screen
        assert isinstance(screen, PaneScreen)
        return screen

    def front_view(self) -> TerminalView | None:
        """The view of the shell in front."""
        opened = self.context.shells.find(self.active or "")
        return opened.view if opened is not None else None

    def ask_to_close(self, shell_id: str) -> None:
        """Close it, after a question where a program runs in it."""
        opened = self.context.shells.find(shell_id)
        if opened is not None:
            self.context.quitting.ask_to_close(opened, lambda: self.close_one(shell_id))

    def close_one(self, shell_id: str) -> None:
        """Detach it and take its tab away; after the last, the keyboard goes where it came from."""
        held = self.has_focus_within
        self._remove(shell_id)
        if held and self.active is None and self._came_from is not None:
            self._panes.focus_pane(self._came_from)

    def _remove(self, shell_id: str) -> None:
        self.context.shells.forget(shell_id)
        self.remove_shell(shell_id)

    def reopen(self, shell_id: str, *, take_keys: bool = True) -> None:
        """A new shell in the place of one that is over."""
        opened = self.context.shells.find(shell_id)
        if opened is not None and opened.session.shell.state.over:
            sandbox = opened.session.shell.sandbox
            self._remove(shell_id)
            self.open(sandbox, opened.choice, take_keys=take_keys)

    def reopen_lost(self, sandbox: SandboxId) -> None:
        """After a reconnect succeeds, reopen that sandbox's lost shells."""
        lost = [
            one.session.shell.id
            for one in self.context.shells
            if one.session.shell.sandbox == sandbox
            and one.session.shell.state in (ShellState.LOST, ShellState.FAILED)
        ]
        if lost:
            run_worker(self.app, self._after_repair, sandbox, lost)

    async def _after_repair(self, sandbox: SandboxId, lost: Sequence[str]) -> None:
        if await self.context.actions.wait_repaired(sandbox):
            for shell_id in lost:
                self.reopen(shell_id, take_keys=False)

    @on(Typed)
    def _typed(self, event: Typed) -> None:
        opened = self.context.shells.find(event.view.id or "")
        if opened is not None:
            opened.session.type(event.data)

    @on(Pasted)
    def _pasted(self, event: Pasted) -> None:
        opened = self.context.shells.find(event.view.id or "")
        if opened is not None:
            opened.session.paste(event.data)

    @on(PasteQuestion)
    def _paste_question(self, event: PasteQuestion) -> None:
        opened = self.context.shells.find(event.view.id or "")
        if opened is None:
            return

        from widgets.dialogs.confirm import ConfirmDialog

        def answered(yes: bool | None) -> None:
            if yes:
                opened.view.paste(event.text, confirmed=True)

        lines = len(event.text.rstrip("\r\n").splitlines())
        into = f"{self.context.engine.name_of(opened.session.shell.sandbox)}, {lines} lines"
        self.app.push_screen(
            ConfirmDialog("Paste into this shell?", into, event.reason, verb="Paste"),
            answered,
        )

    @on(Resized)
    def _resized(self, event: Resized) -> None:
        self.context.shells.resized(event.view.id or "", event.columns, event.lines)

    @on(Copied)
    def _copied(self) -> None:
        self.context.notify("Copied.", "information")

    @on(Refused)
    def _refused(self, event: Refused) -> None:
        self.context.notify(event.words, "warning")

    @on(LinkClicked)
    def _link(self, event: LinkClicked) -> None:
        address = sanitize(event.url, 2048)
        self.app.copy_to_clipboard(address)
        self.context.notify(f"Copied the address {sanitize(address, 200)}", "information")

    @on(BellRang)
    def _bell_rang(self, event: BellRang) -> None:
        self.mark_bell(event.view.id or "")

    @on(ShellPane.CloseRequested)
    def _close_requested(self, event: ShellPane.CloseRequested) -> None:
        event.stop()
        self.ask_to_close(event.id)

    @on(ShellPane.ReopenRequested)
    def _reopen_requested(self, event: ShellPane.ReopenRequested) -> None:
        event.stop()
        self.reopen(event.id)


class NowFeed:
    """Shows the board's rows at once, and follows the log of a selection that rests."""

    def __init__(self, context: Context, view: SandboxNow) -> None:
        self._context, self._view = context, view
        self._followed: SandboxId | None = None
        self._worker: Worker[None] | None = None

    def update(self, selected: SandboxId | None, empty: str, *, shown: bool) -> None:
        """Say how it is now; where nobody sees it (`shown`), no log is followed.

        `empty` says why there is no shell, and how to open one.
        """
        board = self._context.engine.board
        sandbox = None if selected is None else board.sandboxes.get(selected)
        self._follow(selected if shown and sandbox is not None else None)
        self._view.show(None if sandbox is None else self._state(sandbox, empty), empty)

    def stop(self) -> None:
        """Follow no log until the next update."""
        self._follow(None)

    def _state(self, sandbox: Sandbox, shell: str) -> NowState:
        gateways = self._context.engine.board.gateways
        wanted = sandbox.needs or ((sandbox.gateway,) if sandbox.gateway else ())
        ways = tuple(way for one in wanted if (way := gateways.get(one)) is not None)
        events = self._context.details.about(sandbox)
        told_apart = self._context.engine.told_apart(sandbox)
        return NowState(told_apart, ways, events, " ".join(shell.split()))

    def _follow(self, sandbox: SandboxId | None) -> None:
        if sandbox == self._followed:
            return
        self._followed = sandbox
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
        if sandbox is None:
            return
        refused = self._context.actions.refusals(sandbox).get(Capability.LOGS, "")
        self._view.clear_log(end_sentence(f"No log: {refused}") if refused else "")
        if not refused:
            self._worker = run_worker(self._view, self._run, sandbox)

    async def _run(self, sandbox: SandboxId) -> None:
        await self._context.clock.sleep(REST_S)
        observer = self._context.engine.sources[sandbox.source].observer

        def opened(since: float | None) -> AsyncIterator[LogRecord]:
            return observer.logs(sandbox, "", since)

        def lost(_: str, __: float | None) -> None:
            """A line among the others says so already."""

        await LogFollower(opened, self._view.extend, lost, self._context.clock).run()
