"""Acts that need the operator's word: a dialog says what will happen, then it is done."""

from __future__ import annotations

from textual.app import App

from services.errors import WakedeckError
from services.models import SandboxId
from services.sources import Proposal, Proposer
from services.timeline import action_event
from tui.engine import Engine
from tui.intents import Say
from widgets.confirm_dialog import ConfirmDialog


class Proposing:
    """Asks, and carries out what was agreed to. One question at a time."""

    def __init__(self, app: App[int], engine: Engine, say: Say) -> None:
        self._app = app
        self._engine = engine
        self._say = say
        self._asking = False

    def verbs(self, sandbox: SandboxId) -> tuple[tuple[str, str], ...]:
        """(verb, what it is called) of everything that can be proposed for a sandbox."""
        proposer = self._proposer(sandbox)
        return () if proposer is None else proposer.verbs

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
            proposal = await proposer.propose(sandbox, verb)
            if proposal.refusal:
                self._say(f"Not possible: {proposal.refusal}.", "warning")
            elif await self._agreed(proposal):
                await self._carry_out(proposer, proposal)
        except WakedeckError as error:
            self._say(f"{error.sentence} {error.advice}".strip(), "error")
        finally:
            self._asking = False

    async def _agreed(self, proposal: Proposal) -> bool:
        dialog = ConfirmDialog(
            proposal.title,
            proposal.target,
            proposal.consequence,
            verb=proposal.button,
            type_to_confirm=proposal.typed_name or None,
        )
        agreed: bool | None = await self._app.push_screen_wait(dialog)
        return bool(agreed)

    async def _carry_out(self, proposer: Proposer, proposal: Proposal) -> None:
        sandbox = proposal.sandbox
        now = self._engine.clock.now
        self._engine.tell(action_event(sandbox, f"{proposal.verb}: agreed to", now()))
        try:
            done = await proposer.carry_out(proposal)
        except WakedeckError as error:
            said = f"{error.sentence} {error.advice}".strip()
            self._engine.tell(action_event(sandbox, f"{proposal.verb}: {said}", now()))
            self._say(said, "error")
            return
        self._engine.tell(action_event(sandbox, f"{proposal.verb}: {done}", now()))
        self._say(done, "information")
        self._engine.feeds.refresh()

    def _proposer(self, sandbox: SandboxId) -> Proposer | None:
        source = self._engine.sources.get(sandbox.source)
        return None if source is None else source.proposer
