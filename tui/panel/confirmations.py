"""Actions that need a confirmation: a dialog, then an attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import App

from services.errors import WakedeckError
from services.models import Attempt, Capability, SandboxId
from tui.engine import Engine
from tui.panel.actions import Actions, Notify
from widgets.workers import run_worker

if TYPE_CHECKING:
    from services.sources.protocol.proposer import Proposal, Proposer
    from services.terminal.exec.requests import ShellChoice

_LOOKS, _LOOK_S = 25, 0.2
"""How long a shell that follows an action waits for the board to allow it."""


class Confirmations:
    """Asks for confirmation and starts what was confirmed; one question at a time."""

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
        self._asking = False

    def verbs(self, sandbox: SandboxId) -> tuple[tuple[str, str], ...]:
        """(verb, what it is called) of everything that can be proposed for a sandbox."""
        proposer = self._proposer(sandbox)
        return () if proposer is None else proposer.verbs

    def offer(self, attempt: Attempt | None) -> str:
        """What an attempt that ended could be followed by, as it is called; empty for nothing."""
        if attempt is None or not attempt.state.ended:
            return ""
        words = dict(self.verbs(attempt.sandbox)).get(attempt.confirmable)
        if words is None:
            return ""
        return f"{words} {self._engine.name_of(attempt.sandbox)}…"

    def ask(self, sandbox: SandboxId, verb: str) -> None:
        """Find out what the verb would do, and ask; never waits."""
        if self._asking:
            self._notify("Another question is still open.", "warning")
            return
        self._asking = True
        run_worker(self._app, self._ask, sandbox, verb, group="proposals")

    async def _ask(self, sandbox: SandboxId, verb: str) -> None:
        try:
            proposer = self._proposer(sandbox)
            if proposer is None:
                self._notify("Its source can do nothing of the kind.", "warning")
                return
            proposal: Proposal | None = await proposer.propose(sandbox, verb)
            while proposal is not None and (proposal.words or not proposal.refusal):
                confirmed = False if proposal.refusal else await self._confirmed(proposal)
                if confirmed:
                    self._actions.carry_out(proposal)
                    if proposal.container:
                        run_worker(self._app, self._enter, proposal)
                if confirmed is not None and not proposal.refusal:
                    return
                proposal = await self._edit_text(proposer, proposal)
            if proposal is not None:
                self._notify(f"{self._place(proposal)}Not possible: {proposal.refusal}.", "warning")
        except WakedeckError as error:
            self._notify(f"{error.sentence} {error.advice}".strip(), "error")
        finally:
            self._asking = False

    async def _enter(self, proposal: Proposal) -> None:
        """Open a shell in the container it made, once the board knows of it."""
        sandbox = proposal.sandbox
        if not await self._actions.wait_repaired(sandbox):
            return
        for _ in range(_LOOKS):
            if Capability.SHELL not in self._actions.refusals(sandbox):
                break
            await self._engine.clock.sleep(_LOOK_S)
        from services.terminal.exec.requests import ShellChoice

        self._open_shell(sandbox, ShellChoice(container=proposal.container))

    async def _confirmed(self, proposal: Proposal) -> bool | None:
        """Yes, no, or None: in other words."""
        from widgets.dialogs.confirm import ConfirmDialog
        from widgets.dialogs.edit_text import EditableConfirm

        kind = EditableConfirm if proposal.words else ConfirmDialog
        dialog = kind(
            proposal.title,
            f"{self._place(proposal)}{proposal.target}",
            proposal.consequence,
            verb=proposal.button,
            type_to_confirm=proposal.typed_name or None,
        )
        confirmed: bool | None = await self._app.push_screen_wait(dialog)
        if isinstance(dialog, EditableConfirm) and dialog.edit_requested:
            return None
        return bool(confirmed)

    async def _edit_text(self, proposer: Proposer, proposal: Proposal) -> Proposal | None:
        """The same in the operator's own words; None where there are to be none."""
        from widgets.dialogs.edit_text import EditTextDialog

        dialog = EditTextDialog(
            f"{self._place(proposal)}{proposal.target}", proposal.words, problem=proposal.refusal
        )
        words: str | None = await self._app.push_screen_wait(dialog)
        if not words:
            return None
        return await proposer.propose(proposal.sandbox, proposal.verb, words)

    def _place(self, proposal: Proposal) -> str:
        """What stands before its target where the name there could mean another sandbox here."""
        known = self._engine.board.sandboxes.get(proposal.sandbox)
        if known is not None and self._engine.board.told_apart(known) == known.name:
            return ""
        return f"{self._engine.name_of(proposal.sandbox)}: "

    def _proposer(self, sandbox: SandboxId) -> Proposer | None:
        source = self._engine.sources.get(sandbox.source)
        return None if source is None else source.proposer
