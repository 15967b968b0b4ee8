"""The operator's actions on a sandbox: wake, reconnect, confirm, cancel, shell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from services.board.deltas import BoardDelta
from services.board.refusals import refusals
from services.errors import RefusedError, WakedeckError
from services.journal.events import action_event, shell_event
from services.models import (
    Attempt,
    AttemptState,
    Capability,
    SandboxId,
    Shell,
    ShellState,
    Verb,
)
from services.repair.claims import Later, overtaken_by
from services.sources.protocol.actor import SIGN_IN_S, AsksInTerminal, SignsIn
from services.sources.protocol.observer import AsksToSignIn
from services.text.sanitize import end_sentence, sanitize
from tui.engine import Engine
from tui.panel.shells import OpenShell, Shells
from widgets.text.instants import format_instant

if TYPE_CHECKING:
    from services.repair.attempts import AttemptHandle
    from services.sources.protocol.proposer import Proposal
    from services.terminal.exec.requests import ShellChoice

Tone = Literal["information", "warning", "error"]
Notify = Callable[[str, Tone], None]
MAX_GONE = 1000
"""Sandboxes remembered that went away: the last ones."""


class Actions:
    """The verbs; none of them blocks: each starts something or notifies why it cannot."""

    def __init__(self, engine: Engine, shells: Shells, notify: Notify) -> None:
        self._engine = engine
        self._shells = shells
        self._notify = notify
        self._handles: dict[SandboxId, AttemptHandle] = {}
        self._silent: set[str] = set()
        self._gone: dict[SandboxId, str] = {}
        self._signing_in: set[str] = set()
        self._asking: set[SandboxId] = set()

    def note_removed(self, delta: BoardDelta, at: float) -> None:
        """Remember what is gone since `at`: a verb for it is refused with that sentence."""
        since = f"gone since {format_instant(at, at)}"
        for sandbox in delta.sandboxes:
            self._gone.pop(sandbox.id, None)
        self._gone.update(dict.fromkeys(delta.sandboxes_removed, since))
        for sandbox_id in list(self._gone)[:-MAX_GONE]:
            del self._gone[sandbox_id]

    def refusals(self, sandbox: SandboxId) -> dict[Capability, str]:
        """What cannot be done to a sandbox now, each with its reason."""
        source = self._engine.sources.get(sandbox.source)
        if source is None:
            return dict.fromkeys(Capability, "its source is gone")
        refused = refusals(source.info, self._engine.board.sandboxes.get(sandbox))
        if self._engine.read_only:
            acts = (Capability.WAKE, Capability.RECONNECT, Capability.SHELL, Capability.EXEC)
            refused.update(dict.fromkeys(acts, "this panel is read-only"))
        if (since := self._gone.get(sandbox)) is not None:
            refused.update(dict.fromkeys(Capability, since))
        return refused

    def overtaken_by(self, attempt: Attempt | None) -> Later | None:
        """What takes the place of an attempt's result; None while it holds."""
        if attempt is None:
            return None
        board = self._engine.board
        sandbox = board.sandboxes.get(attempt.sandbox)
        ids = () if sandbox is None else dict.fromkeys((*sandbox.needs, sandbox.gateway))
        ways = [way for one in ids if one and (way := board.gateways.get(one)) is not None]
        return overtaken_by(attempt, sandbox, ways, board.links.get(attempt.sandbox.source))

    def repair(self, verb: Verb, sandbox: SandboxId) -> None:
        """Wake or reconnect; pressing again joins what is under way."""
        try:
            self.press(verb, sandbox)
        except WakedeckError as error:
            self._refuse(error)

    def press(self, verb: Verb, sandbox: SandboxId, *, silent: bool = False) -> AttemptHandle:
        """Begin or join an attempt; one begun `silent` does not notify how it ended.

        Raises:
            WakedeckError: it cannot be, as `services.repair.attempts.Attempts.press` says.
        """
        self._check_there(sandbox)
        handle = self._engine.attempts.request(verb, sandbox)
        known, self._handles[sandbox] = self._handles.get(sandbox), handle
        if known is None or known.attempt.id != handle.attempt.id:
            now = self._engine.clock.now()
            self._engine.record_events(action_event(sandbox, f"{verb.value} asked for", now))
            if silent:
                self._silent.add(handle.attempt.id)
        elif not silent:
            self._silent.discard(handle.attempt.id)
        return handle

    def can_sign_in(self, source: str) -> bool:
        """Whether a source as a whole can be signed in to."""
        known = self._engine.sources.get(source)
        return known is not None and isinstance(known.actor, SignsIn)

    def sources_without_list(self) -> tuple[str, ...]:
        """Sources that fail as a whole, or ask for it, and can be signed in to."""
        links = self._engine.board.links
        return tuple(
            key
            for key, one in links.items()
            if (one.failures or self._is_signed_out(key)) and self.can_sign_in(key)
        )

    def _is_signed_out(self, source: str) -> bool:
        known = self._engine.sources.get(source)
        observer: object = known and known.observer
        return isinstance(observer, AsksToSignIn) and observer.signed_out

    def asking_shell(self, source: str) -> SandboxId | None:
        """What a shell is opened on where signing in has to ask; None: it need not."""
        actor = self._engine.sources[source].actor
        asking = actor.asking_shell() if isinstance(actor, AsksInTerminal) else None
        if asking is not None:
            self._asking.add(asking)
        return asking

    async def sign_in(self, source: str) -> None:
        """Sign in to a source, then look again; pressing again joins what is under way."""
        actor = self._engine.sources[source].actor
        if source in self._signing_in or not isinstance(actor, SignsIn):
            return
        self._signing_in.add(source)
        self._notify(f"{source}: signing in", "information")
        try:
            async with asyncio.timeout(SIGN_IN_S):
                said = await actor.sign_in()
        except TimeoutError:
            self._notify(f"{source}: signing in took over {SIGN_IN_S:.0f} s.", "error")
        except WakedeckError as error:
            self._refuse(error)
        else:
            self._notify(f"{source}: signed in, {said}", "information")
            self._engine.pollers.refresh()
        finally:
            self._signing_in.discard(source)

    def carry_out(self, proposal: Proposal) -> None:
        """Do what the operator agreed to."""
        sandbox = proposal.sandbox
        try:
            self._check_there(sandbox)
            self._handles[sandbox] = self._engine.attempts.carry_out(proposal)
        except WakedeckError as error:
            self._refuse(error)
            return
        now = self._engine.clock.now()
        self._engine.record_events(action_event(sandbox, f"agreed to {proposal.act}", now))

    def cancel(self, attempt_id: str) -> None:
        """Stop an attempt as soon as that is safe."""
        for handle in self._handles.values():
            if handle.attempt.id == attempt_id:
                handle.cancel()

    async def wait_repaired(self, sandbox: SandboxId) -> bool:
        """Wait for the attempt under way; whether it did what was asked."""
        handle = self._handles.get(sandbox)
        return handle is not None and (await handle.wait()).state is AttemptState.DONE

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> OpenShell | None:
        """Open a shell; None where there can be none, and why was said."""
        reason = self.refusals(sandbox).get(Capability.SHELL)
        if reason is not None:
            self._notify(
                end_sentence(f"No shell in {self._engine.name_of(sandbox)}: {reason}"), "warning"
            )
            return None
        try:
            transport = self._engine.sources[sandbox.source].actor.shell(sandbox, choice)
        except WakedeckError as error:
            self._refuse(error)
            return None
        return self._shells.open(sandbox, transport, choice)

    def attempt_changed(self, attempt: Attempt) -> None:
        """Notify how the operator's own attempt ended, unless it is part of a bulk run."""
        if attempt.id in self._silent:
            self._silent.discard(attempt.id)
            return
        if attempt.state is AttemptState.DONE:
            self._notify(attempt.summary, "information")
        elif attempt.state is AttemptState.FAILED:
            self._notify(f"{attempt.summary} {attempt.advice}".strip(), "error")
        elif attempt.state is AttemptState.CANCELLED:
            self._notify(attempt.summary, "warning")

    def shell_ended(self, shell: Shell) -> None:
        """Record in the journal how a shell ended; one that signed in has its list asked for."""
        self._engine.record_events(shell_event(shell, self._engine.clock.now()))
        if shell.sandbox in self._asking and shell.state is ShellState.ENDED:
            self._engine.pollers.refresh()

    def _check_there(self, sandbox: SandboxId) -> None:
        if (since := self._gone.get(sandbox)) is not None:
            raise RefusedError(f"{sanitize(self._engine.name_of(sandbox), 60)} is {since}.")

    def _refuse(self, error: WakedeckError) -> None:
        self._notify(f"{error.sentence} {error.advice}".strip(), "warning")
