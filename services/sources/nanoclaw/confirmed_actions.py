"""Confirmed actions: nudge, restart and stop; checked again before they are done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

from services.clock import Clock
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.models import SandboxId, Step, StepState
from services.sources.nanoclaw import commands
from services.sources.nanoclaw.containers import Listing, SessionKey
from services.sources.nanoclaw.install import Install
from services.sources.nanoclaw.observer import NanoClawObserver
from services.sources.nanoclaw.verdicts import NUDGE, STOP
from services.sources.protocol.proposer import Proposal
from services.text.format import plural
from services.text.sanitize import sanitize

RESTART = "restart its group"
STOP_GROUP = "stop its group"
_STEPS = {NUDGE: "nudge", STOP: "stop", RESTART: "restart", STOP_GROUP: "stop"}
_ACTS = {
    NUDGE: "the nudge",
    STOP: "stopping its container",
    RESTART: "restarting its group",
    STOP_GROUP: "stopping its group",
}
ARRIVAL_S = 10.0
_POLL_S = 0.5
RESTART_TEXT = "You were restarted by the operator. Go on with what was left."


class NanoClawProposer:
    """What needs the operator's word each time."""

    verbs = (
        (NUDGE, "Nudge"),
        (STOP, "Stop the container of"),
        (RESTART, "Restart the group of"),
        (STOP_GROUP, "Stop the group of"),
    )

    def __init__(self, source: str, observer: NanoClawObserver, clock: Clock) -> None:
        self._source = source
        self._observer = observer
        self._clock = clock

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What the verb would do to this session now."""
        if sandbox.source != self._source or verb not in dict(self.verbs):
            raise NotFoundError(
                f"{sanitize(verb, 40)} cannot be done to {sanitize(str(sandbox), 120)}."
            )
        await self._observer.probe(sandbox)
        _, session_key, listing = await self._observer.locate(sandbox)
        if verb == NUDGE:
            return self._nudge(sandbox, session_key, listing, words)
        ends = (
            self._stop(sandbox, session_key, listing)
            if verb == STOP
            else self._group(sandbox, session_key, listing, verb)
        )
        return replace(ends, typed_name=ends.target)

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Do it, if it is still what was agreed to."""
        step = Step(_STEPS.get(proposal.verb, "act"), StepState.RUNNING, self._clock.now())
        yield step
        said = await self._done(proposal)
        yield replace(step, state=StepState.OK, ended_at=self._clock.now(), detail=said)

    async def _done(self, proposal: Proposal) -> str:
        if proposal.refusal:
            raise RefusedError(f"It cannot be done: {proposal.refusal}.")
        now = await self.propose(proposal.sandbox, proposal.verb, proposal.words)
        if now.refusal:
            raise RefusedError(f"It can no longer be done: {now.refusal}.")
        if now.token != proposal.token:
            raise RefusedError("Things have changed since you agreed: nothing was done. Ask again.")
        install, session_key, _ = await self._observer.locate(proposal.sandbox)
        if proposal.verb == NUDGE:
            return await self._send(proposal, install)
        if proposal.verb == STOP:
            await commands.stop(proposal.token)
            return f"{proposal.token} was stopped; the host starts another for what is due."
        message = RESTART_TEXT if proposal.verb == RESTART else None
        return _restarted(await commands.restart(install, session_key[0], message), message)

    def _nudge(
        self, sandbox: SandboxId, session_key: SessionKey, listing: Listing, words: str
    ) -> Proposal:
        plan = self._observer.nudge_plan(sandbox, words or None)
        refusal = plan.refusal
        reword = plan.reword or not refusal
        if not refusal and session_key in listing.by_session:
            refusal, reword = "its container runs already", False
        token = "" if refusal else commands.routed_line(plan).decode()
        return Proposal(
            sandbox,
            NUDGE,
            "Post this message?",
            f"{sanitize(sandbox.native_id, 80)} in {plan.place}"
            if plan.place
            else sandbox.native_id,
            "" if refusal else plan.consequence,
            "Post",
            refusal,
            token,
            act=_ACTS[NUDGE],
            words=plan.text if reword else "",
        )

    def _stop(self, sandbox: SandboxId, session_key: SessionKey, listing: Listing) -> Proposal:
        found = listing.by_session.get(session_key)
        refusal = f"container state unknown: {listing.problem}" if listing.problem else ""
        if not refusal and found is None:
            refusal = "no container of it runs"
        return Proposal(
            sandbox,
            STOP,
            "Stop this container?",
            found.name if found is not None else sandbox.native_id,
            "What the agent does now is lost. A message it has claimed is tried again later and "
            "counts as one try of six. The host starts a new container for what is due.",
            "Stop",
            refusal,
            found.name if found is not None else "",
            act=_ACTS[STOP],
        )

    def _group(
        self, sandbox: SandboxId, session_key: SessionKey, listing: Listing, verb: str
    ) -> Proposal:
        running = sorted(
            one.name for key, one in listing.by_session.items() if key[0] == session_key[0]
        )
        refusal = f"container state unknown: {listing.problem}" if listing.problem else ""
        if not refusal and not running:
            refusal = "nothing of its group runs, so there is nothing to restart"
        many = plural(len(running), "container")
        what = (
            f"{many} of this group stop and start again at once, and each agent is told:\n"
            f"    {RESTART_TEXT}\nIt acts on that text. What they do now is lost."
            if verb == RESTART
            else f"{many} of this group stop and come back with their next message. What they do "
            "now is lost."
        )
        return Proposal(
            sandbox,
            verb,
            "Restart this group?" if verb == RESTART else "Stop this group?",
            sanitize(session_key[0], 120),
            what,
            "Restart" if verb == RESTART else "Stop",
            refusal,
            json.dumps([session_key[0], running]),
            act=_ACTS[verb],
        )

    async def _send(self, proposal: Proposal, install: Install) -> str:
        sandbox = proposal.sandbox
        plan = self._observer.nudge_plan(sandbox, proposal.words or None)
        await commands.nudge(install, plan)
        deadline = self._clock.monotonic() + ARRIVAL_S
        while self._clock.monotonic() < deadline:
            try:
                _, session_key, listing = await self._observer.locate(sandbox)
            except UnavailableError:
                break
            if session_key in listing.by_session:
                return f"The message was posted in {plan.place}, and the host started a container."
            await self._clock.sleep(_POLL_S)
        return (
            f"The message was handed to the host for {plan.place}; no container was seen within "
            f"{ARRIVAL_S:g} s. If none comes, the host's log says what became of it."
        )


def _restarted(count: int, message: str | None) -> str:
    if count == 0:
        return "The host found nothing running: nothing was restarted."
    many = "The group's containers" if count < 0 else plural(count, "container")
    return f"{many} stopped, and {'start again now' if message else 'come back when due'}."
