"""The shells on the screen: opens, feeds, closes and brings them back; the pane draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual import on

from services.models import SandboxId, ShellState
from services.terminal.exec.requests import ShellChoice
from services.text.sanitize import plain
from tui.panel.layout import Pane
from tui.panel.shells import OpenShell
from widgets.dialogs.confirm import ConfirmDialog
from widgets.panes.shells import ShellPane
from widgets.terminal.messages import (
    Copied,
    LinkClicked,
    Pasted,
    PasteQuestion,
    Rang,
    Resized,
    Typed,
)

if TYPE_CHECKING:
    from tui.app import WakedeckApp
    from widgets.terminal.view import TerminalView


class ShellDesk(ShellPane):
    """The shell pane, wired to the sessions behind its tabs."""

    @property
    def _panel(self) -> WakedeckApp:
        return cast("WakedeckApp", self.app)

    def open(
        self, sandbox: SandboxId, choice: ShellChoice | None = None, *, take_keys: bool = True
    ) -> None:
        """A new shell in front, with the keyboard unless it came back by itself."""
        opened = self._panel.intents.shell(sandbox, choice or ShellChoice())
        if opened is not None:
            self.app.run_worker(self._live(opened, take_keys), group="shells", exit_on_error=False)

    async def _live(self, opened: OpenShell, take_keys: bool) -> None:
        shell = opened.session.shell
        await self.add_shell(shell, opened.view)
        if take_keys:
            self._panel.dashboard.focus_pane(Pane.SHELL)
            opened.view.focus()
        self._panel.intents.shell_ended(await self._panel.shells.run(shell.id))

    def front_view(self) -> TerminalView | None:
        """The view of the shell in front."""
        opened = self._panel.shells.find(self.active or "")
        return opened.view if opened is not None else None

    def close_one(self, shell_id: str) -> None:
        """Detach it and take its tab away."""
        self._panel.shells.forget(shell_id)
        self.remove_shell(shell_id)

    def reopen(self, shell_id: str, *, take_keys: bool = True) -> None:
        """A new shell in the place of one that is over."""
        opened = self._panel.shells.find(shell_id)
        if opened is not None and opened.session.shell.state.over:
            sandbox = opened.session.shell.sandbox
            self.close_one(shell_id)
            self.open(sandbox, opened.choice, take_keys=take_keys)

    def reopen_lost(self, sandbox: SandboxId) -> None:
        """Reconnect was pressed: shells of that sandbox that were lost come back after it."""
        lost = [
            one.session.shell.id
            for one in self._panel.shells
            if one.session.shell.sandbox == sandbox
            and one.session.shell.state in (ShellState.LOST, ShellState.FAILED)
        ]
        if lost:
            self.app.run_worker(self._after_repair(sandbox, lost), exit_on_error=False)

    async def _after_repair(self, sandbox: SandboxId, lost: Sequence[str]) -> None:
        if await self._panel.intents.repaired(sandbox):
            for shell_id in lost:
                self.reopen(shell_id, take_keys=False)

    @on(Typed)
    def _typed(self, event: Typed) -> None:
        opened = self._panel.shells.find(event.view.id or "")
        if opened is not None:
            opened.session.type(event.data)

    @on(Pasted)
    def _pasted(self, event: Pasted) -> None:
        opened = self._panel.shells.find(event.view.id or "")
        if opened is not None:
            opened.session.paste(event.data)

    @on(PasteQuestion)
    def _paste_question(self, event: PasteQuestion) -> None:
        opened = self._panel.shells.find(event.view.id or "")
        if opened is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                opened.view.paste(event.text, confirmed=True)

        lines = len(event.text.rstrip("\r\n").splitlines())
        into = f"{opened.session.shell.sandbox.native_id}, {lines} lines"
        self.app.push_screen(
            ConfirmDialog("Paste into this shell?", into, event.reason, verb="Paste"),
            answered,
        )

    @on(Resized)
    def _resized(self, event: Resized) -> None:
        self._panel.shells.resized(event.view.id or "", event.columns, event.lines)

    @on(Copied)
    def _copied(self) -> None:
        self._panel.say("Copied.")

    @on(LinkClicked)
    def _link(self, event: LinkClicked) -> None:
        address = plain(event.url, 2048)
        self.app.copy_to_clipboard(address)
        self._panel.say(f"Copied the address {plain(address, 200)}")

    @on(Rang)
    def _bell_rang(self, event: Rang) -> None:
        self.mark_bell(event.view.id or "")

    @on(ShellPane.CloseRequested)
    def _close_requested(self, event: ShellPane.CloseRequested) -> None:
        event.stop()
        self.close_one(event.id)

    @on(ShellPane.ReopenRequested)
    def _reopen_requested(self, event: ShellPane.ReopenRequested) -> None:
        event.stop()
        self.reopen(event.id)
