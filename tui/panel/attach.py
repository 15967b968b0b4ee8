"""Attaching to a sandbox's own agent process, after a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import App

from services.models import Capability, SandboxId
from tui.engine import Engine
from tui.panel.actions import Actions, Notify

if TYPE_CHECKING:
    from services.terminal.exec.requests import ShellChoice

NOTHING = "there is nothing to attach to, only new shells"


class AgentAttach:
    """Asks for confirmation, then calls `open_shell`."""

    def __init__(
        self,
        app: App[int],
        engine: Engine,
        actions: Actions,
        notify: Notify,
        open_shell: Callable[[SandboxId, ShellChoice], None],
    ) -> None:
        self._app = app
        self._engine = engine
        self._actions = actions
        self._notify = notify
        self._open_shell = open_shell

    def offered(self, sandbox: SandboxId) -> bool:
        """Whether the source of a sandbox has such a process."""
        return bool(self._warning(sandbox))

    def refusal(self, sandbox: SandboxId) -> str | None:
        """Why nobody can attach now; None where one can."""
        if not self.offered(sandbox):
            return NOTHING
        return self._actions.refusals(sandbox).get(Capability.SHELL)

    def ask(self, sandbox: SandboxId) -> None:
        """Show what it means; attach once the operator agrees. Never waits."""
        refused = self.refusal(sandbox)
        if refused is not None:
            self._notify(f"Attach to {self._engine.name_of(sandbox)}: {refused}.", "warning")
            return
        from services.terminal.exec.requests import AGENT, ShellChoice
        from widgets.dialogs.confirm import ConfirmDialog

        def answered(yes: bool | None) -> None:
            if yes:
                self._open_shell(sandbox, ShellChoice(shell=AGENT))

        self._app.push_screen(
            ConfirmDialog(
                "Attach to the agent?",
                self._engine.name_of(sandbox),
                self._warning(sandbox),
                verb="Attach",
            ),
            answered,
        )

    def _warning(self, sandbox: SandboxId) -> str:
        source = self._engine.sources.get(sandbox.source)
        return "" if source is None else source.attachment
