"""Acts that need the operator's word: a dialog says what will happen, then an attempt does it."""

from __future__ import annotations

from textual.app import App

from services.errors import WakedeckError
from services.models import Attempt, SandboxId
from services.sources import Proposal, Proposer
from tui.engine import Engine
from tui.panel.actions import Intents, Say
from widgets.dialogs.confirm import ConfirmDialog
from widgets.dialogs.edit_text import WordedConfirm, WordsDialog


class Proposing:
    """Asks, and hands on what was agreed to. One question at a time."""

    def __init__(self, app: App[int], engine: Engine, intents: Intents, say: Say) -> None:
        self._app = app
        self._engine = engine
        self._intents = intents
        self._say = say
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
        known = self._engine.board.sandboxes.get(attempt.sandbox)
        return f"{words} {attempt.sandbox.native_id if known is None else known.name}…"

    def ask(self, sandbox: SandboxId, verb: str) -> None:
        """Find out what the verb would do, and ask; never waits."""
        if self._asking:
            self._say("Another question is still open.", "warning")
            return
        self._asking = True
        self._app.run_worker(self._ask(sandbox, verb), group="proposals", exit_on_error=False)

    async def _ask(self, sandbox: SandboxId, verb: str) -> None:
        try:
            proposer = self._proposer(sandbox)
            if proposer is None:
                self._say("Its source can do nothing of the kind.", "warning")
                return
            proposal: Proposal | None = await proposer.propose(sandbox, verb)
            while proposal is not None and (proposal.words or not proposal.refusal):
                agreed = False if proposal.refusal else await self._agreed(proposal)
                if agreed:
                    self._intents.carry_out(proposal)
                if agreed is not None and not proposal.refusal:
                    return
                proposal = await self._reworded(proposer, proposal)
            if proposal is not None:
                self._say(f"Not possible: {proposal.refusal}.", "warning")
        except WakedeckError as error:
            self._say(f"{error.sentence} {error.advice}".strip(), "error")
        finally:
            self._asking = False

    async def _agreed(self, proposal: Proposal) -> bool | None:
        """Yes, no, or None: in other words."""
        kind = WordedConfirm if proposal.words else ConfirmDialog
        dialog = kind(
            proposal.title,
            proposal.target,
            proposal.consequence,
            verb=proposal.button,
            type_to_confirm=proposal.typed_name or None,
        )
        agreed: bool | None = await self._app.push_screen_wait(dialog)
        if isinstance(dialog, WordedConfirm) and dialog.rewording:
            return None
        return bool(agreed)

    async def _reworded(self, proposer: Proposer, proposal: Proposal) -> Proposal | None:
        """The same in the operator's own words; None where there are to be none."""
        dialog = WordsDialog(proposal.target, proposal.words, problem=proposal.refusal)
        words: str | None = await self._app.push_screen_wait(dialog)
        if not words:
            return None
        return await proposer.propose(proposal.sandbox, proposal.verb, words)

    def _proposer(self, sandbox: SandboxId) -> Proposer | None:
        source = self._engine.sources.get(sandbox.source)
        return None if source is None else source.proposer
