"""One wake or reconnect without a screen, and what was agreed to beforehand after it."""

from __future__ import annotations

import asyncio
import json
import shlex

import click

from services.config import paths
from services.config.settings import Settings
from services.journal.events import action_event, attempt_event
from services.journal.store import Journal
from services.models import Attempt, AttemptState, Event, Sandbox, Step, StepState, Verb
from services.repair.attempts import Attempts, Handle
from services.sources import Proposal
from tui.cli import tables
from tui.cli.query_report import Look, looking
from widgets.text import formats


def run(settings: Settings, verb: Verb, typed: str | None, as_json: bool, agreed: str) -> int:
    """One attempt to its end: 0 done, 1 failed, 3 refused or needs confirmation.

    `agreed` is the one repair the operator agreed to beforehand; it runs only where the attempt
    ends by asking for exactly that.
    """

    async def go() -> int:
        async with looking(settings) as look:
            target = await look.meant() if typed is None else look.sandbox(typed)
            once = _Once(look, settings, target)
            try:
                ended = await once.press(verb)
                proposal = await once.proposal(ended)
                if proposal is not None and not proposal.refusal and wanted(proposal) == agreed:
                    ended = await once.carry_out(proposal)
                    proposal = await once.proposal(ended)
            finally:
                await once.close()
            _tell(ended, proposal, as_json)
            if ended.state is AttemptState.DONE:
                return 0
            return 3 if ended.confirmable else 1

    return asyncio.run(go())


def wanted(proposal: Proposal) -> str:
    """What `--confirm` has to say to agree to this: also the name that a dialog has typed."""
    return f"{proposal.verb} {proposal.typed_name}".rstrip()


def _tell(ended: Attempt, proposal: Proposal | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(tables.attempt_json(ended), indent=2))
    else:
        click.echo(ended.summary)
    if ended.state is AttemptState.DONE:
        return
    if ended.advice:
        _prose(f"  {ended.advice}")
    if proposal is None:
        return
    _prose(f"wakedeck: {proposal.title} {proposal.target}")
    if proposal.refusal:
        _prose(f"  Not possible: {proposal.refusal}.")
        return
    for line in proposal.consequence.splitlines():
        _prose(f"  {line}")
    _prose(f"  To agree to this, run it again with --confirm {shlex.quote(wanted(proposal))}")


def _prose(text: str) -> None:
    click.echo(text, err=True)


class _Once:
    """The attempts of one command, on one sandbox; every end is journalled."""

    def __init__(self, look: Look, settings: Settings, target: Sandbox) -> None:
        self._look = look
        self._target = target
        self._teller = _Teller()
        self._attempts = Attempts(
            look.sources,
            look.clock,
            paths.private_dir(paths.locks_dir()),
            self._teller,
            read_only=settings.read_only,
        )
        self._happened: list[Event] = []

    async def press(self, verb: Verb) -> Attempt:
        """The plain attempt."""
        return await self._ended(self._attempts.press(verb, self._target.id))

    async def proposal(self, ended: Attempt) -> Proposal | None:
        """What would follow it, if the operator agreed."""
        proposer = self._look.sources[self._target.id.source].proposer
        if proposer is None or ended.confirmable not in dict(proposer.verbs):
            return None
        return await proposer.propose(self._target.id, ended.confirmable)

    async def carry_out(self, proposal: Proposal) -> Attempt:
        """What was agreed to beforehand."""
        _prose(f"wakedeck: {proposal.act}, as agreed to with --confirm")
        self._teller.begin_anew()
        handle = self._attempts.carry_out(proposal)
        now = self._look.clock.now()
        said = f"agreed to {proposal.act}, with --confirm"
        self._happened.append(action_event(proposal.sandbox, said, now))
        return await self._ended(handle)

    async def close(self) -> None:
        """End what runs and write down what happened."""
        await self._attempts.close()
        journal = Journal(paths.journal_file(), self._look.clock)
        await journal.open()
        journal.record(*self._happened)
        await journal.close()

    async def _ended(self, handle: Handle) -> Attempt:
        try:
            ended = await handle.wait()
        except asyncio.CancelledError:
            _prose("wakedeck: cancelled")
            raise
        self._happened.append(attempt_event(ended, self._look.clock.now()))
        return ended


class _Teller:
    """Says each step of an attempt once, as it changes; `begin_anew` before another attempt."""

    def __init__(self) -> None:
        self._said: set[tuple[str, StepState]] = set()

    def begin_anew(self) -> None:
        """Every step may be said again."""
        self._said.clear()

    def __call__(self, attempt: Attempt) -> None:
        for step in attempt.steps:
            key = (step.name, step.state)
            if step.state is not StepState.PENDING and key not in self._said:
                self._said.add(key)
                _prose(_words(step))


def _words(step: Step) -> str:
    took = ""
    if step.started_at is not None and step.ended_at is not None:
        took = f" {formats.duration(step.ended_at - step.started_at)}"
    detail = f"  {step.detail}" if step.detail else ""
    return f"  {step.name:<12}{step.state.value}{took}{detail}"
