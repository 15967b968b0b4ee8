"""One wake or reconnect on the command line, and the repair confirmed in advance."""

from __future__ import annotations

import asyncio
import json
import shlex

import click

from services.board.lag import LagMeter
from services.config import paths
from services.config.settings import Settings
from services.journal.events import action_event
from services.journal.store import Journal
from services.models import Attempt, AttemptState, Sandbox, Step, StepState, Verb
from services.repair.attempts import AttemptHandle, Attempts
from services.sources.protocol.proposer import Proposal
from services.text.format import duration
from tui.cli import tables
from tui.cli.event_loop import run_command
from tui.cli.query_report import ProbedSources, probed_sources


def run(settings: Settings, verb: Verb, typed: str | None, as_json: bool, confirmed: str) -> int:
    """One attempt to its end: 0 done, 1 failed, 3 refused or needs confirmation.

    `confirmed` is the one repair the operator confirmed in advance; it runs only where the attempt
    ends by asking for exactly that.
    """

    async def go() -> int:
        async with probed_sources(settings) as probed:
            if verb is Verb.RECONNECT and typed and typed.endswith("/"):
                return await probed.reconnect_source(typed[:-1])
            target = (
                await probed.default_sandbox()
                if typed is None
                else await probed.sandbox(typed, acting=True)
            )
            once = _SingleAttempt(probed, settings, target)
            try:
                ended = await once.press(verb)
                proposal = await once.proposal(ended)
                if (
                    proposal is not None
                    and not proposal.refusal
                    and confirm_argument(proposal) == confirmed
                ):
                    ended = await once.carry_out(proposal)
                    proposal = await once.proposal(ended)
            finally:
                await once.close()
            _print_result(ended, proposal, as_json)
            if ended.state is AttemptState.DONE:
                return 0
            return 3 if ended.confirmable else 1

    return run_command(go())


def confirm_argument(proposal: Proposal) -> str:
    """The argument `--confirm` needs to confirm this proposal."""
    return f"{proposal.verb} {proposal.typed_name}".rstrip()


def _print_result(ended: Attempt, proposal: Proposal | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(tables.attempt_json(ended), indent=2))
    else:
        click.echo(ended.summary)
    if ended.state is AttemptState.DONE:
        return
    if ended.advice:
        _print_stderr(f"  {ended.advice}")
    if proposal is None:
        return
    _print_stderr(f"wakedeck: {proposal.title} {proposal.target}")
    if proposal.refusal:
        _print_stderr(f"  Not possible: {proposal.refusal}.")
        return
    for line in proposal.consequence.splitlines():
        _print_stderr(f"  {line}")
    _print_stderr(
        f"  To agree to this, run it again with --confirm {shlex.quote(confirm_argument(proposal))}"
    )


def _print_stderr(text: str) -> None:
    click.echo(text, err=True)


class _SingleAttempt:
    """The attempts of one command on one sandbox; each result is journalled."""

    def __init__(self, probed: ProbedSources, settings: Settings, target: Sandbox) -> None:
        self._probed = probed
        self._target = target
        self._printer = _StepPrinter()
        self._attempts = Attempts(
            probed.sources,
            probed.clock,
            paths.locks_dir(),
            self._printer,
            read_only=settings.read_only,
            lag=LagMeter(),
        )
        self._journal = Journal(paths.journal_file(), probed.clock)
        self._running: AttemptHandle | None = None

    async def press(self, verb: Verb) -> Attempt:
        """The plain attempt."""
        await self._journal.open()
        return await self._ended(self._attempts.request(verb, self._target.id))

    async def proposal(self, ended: Attempt) -> Proposal | None:
        """What would follow it, if the operator agreed."""
        proposer = self._probed.sources[self._target.id.source].proposer
        if proposer is None or ended.confirmable not in dict(proposer.verbs):
            return None
        return await proposer.propose(self._target.id, ended.confirmable)

    async def carry_out(self, proposal: Proposal) -> Attempt:
        """What was agreed to beforehand."""
        _print_stderr(f"wakedeck: {proposal.act}, as agreed to with --confirm")
        self._printer.reset()
        handle = self._attempts.carry_out(proposal)
        now = self._probed.clock.now()
        said = f"agreed to {proposal.act}, with --confirm"
        self._journal.record(action_event(proposal.sandbox, said, now))
        return await self._ended(handle)

    async def close(self) -> None:
        """End what runs and write down what happened."""
        await self._attempts.close()
        if self._running is not None and self._running.attempt.state.ended:
            self._journal.end_attempt(self._running.attempt, self._probed.clock.now())
        await self._journal.close()
        if self._journal.problem:
            _print_stderr(f"wakedeck: {self._journal.problem}")

    async def _ended(self, handle: AttemptHandle) -> Attempt:
        self._journal.begin_attempt(handle.attempt)
        self._running = handle
        try:
            ended = await handle.wait()
        except asyncio.CancelledError:
            _print_stderr("wakedeck: cancelled")
            raise
        self._running = None
        self._journal.end_attempt(ended, self._probed.clock.now())
        return ended


class _StepPrinter:
    """Prints each step of an attempt once per state; `reset` before another attempt."""

    def __init__(self) -> None:
        self._printed: set[tuple[str, StepState]] = set()

    def reset(self) -> None:
        """Every step may be said again."""
        self._printed.clear()

    def __call__(self, attempt: Attempt) -> None:
        for step in attempt.steps:
            key = (step.name, step.state)
            if step.state is not StepState.PENDING and key not in self._printed:
                self._printed.add(key)
                _print_stderr(_words(step))


def _words(step: Step) -> str:
    took = ""
    if step.started_at is not None and step.ended_at is not None:
        took = f" {duration(step.ended_at - step.started_at)}"
    detail = f"  {step.detail}" if step.detail else ""
    return f"  {step.name:<12}{step.state.value}{took}{detail}"
