"""What the operator has to agree to each time: a restart of a gateway, once what runs has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from services.agents.openclaw.evidence import OpenClawEvidence
from services.agents.openclaw.fields import count, table, tables, words
from services.agents.openclaw.judge import judge
from services.clock import Clock
from services.errors import NotFoundError, ProcessError, RefusedError, UnavailableError
from services.models import GatewayState, SandboxId, Step, Verb
from services.process.run import run
from services.sources.openclaw import commands
from services.sources.openclaw.gather import GatewayGatherer
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.format import plural
from services.text.sanitize import sanitize

RESTART = "restart"
_ENDS = (
    "New work is refused, what runs may finish (5 min at the most where systemd runs it, 5 s under "
    "launchd) and is then cut off; every client is dropped. Runs that are cut off mostly go on "
    "afterwards; some replies were lost. Runs “openclaw gateway restart --safe”."
)
_UNSEEN = "What runs now is not known: this panel has no connection to ask over."


class OpenClawProposer:
    """Proposes and carries out a restart."""

    verbs = ((RESTART, "Restart the gateway of"),)

    def __init__(
        self, gatherer: GatewayGatherer, command: str, environ: Mapping[str, str], clock: Clock
    ) -> None:
        self._gatherer = gatherer
        self._command = command
        self._environ = environ
        self._clock = clock

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        owner, seen = await self._seen(sandbox, verb)
        place = self._gatherer.place(owner)
        refusal = ""
        if seen.remote or place is None:
            refusal = "it runs on another machine: restart it there"
        elif not commands.program(self._command, self._environ):
            refusal = commands.missing(self._command).rstrip(".")
        elif judge(seen).gateway is not GatewayState.READY:
            refusal = f"it does not serve: {judge(seen).reason}".rstrip(".")
        return Proposal(
            sandbox,
            verb,
            "Restart this gateway?",
            f"{seen.name} (pid {seen.lock.pid})" if seen.lock.pid else seen.name,
            f"{await self._running(owner)}\n{_ENDS}",
            "Restart",
            refusal,
            _token(owner, seen),
            "restarting its gateway",
            Verb.WAKE,
            typed_name=sanitize(owner, 80),
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        step = StepBuilder("restart", self._clock, commands.RESTART_S)
        yield step.begun
        owner, seen = await self._seen(proposal.sandbox, proposal.verb)
        if proposal.refusal:
            raise RefusedError(f"It cannot be done: {proposal.refusal}.")
        if proposal.token != _token(owner, seen):
            yield step.skipped("It had been started anew since it was asked about.")
            return
        place = self._gatherer.place(owner)
        tool = commands.program(self._command, self._environ)
        if place is None or not tool:
            raise UnavailableError(commands.missing(self._command))
        try:
            done = await run(
                commands.restart_argv(tool, place),
                timeout_s=commands.RESTART_S,
                env=commands.start_environ(place, self._environ),
                cwd=place.path.parent,
            )
        except ProcessError as error:
            raise UnavailableError(error.sentence) from error
        finally:
            self._gatherer.forget_services()
        if done.timed_out:
            raise UnavailableError(f"It took longer than {commands.RESTART_S:g} s.")
        if done.code:
            raise UnavailableError(commands.read_refusal(done.code, done.stdout, done.stderr))
        yield step.ok("It was restarted.", outcome="it was restarted")

    async def _running(self, owner: str) -> str:
        """What a restart would cut off, in the gateway's own words."""
        link = self._gatherer.link(owner)
        if link is None:
            return _UNSEEN
        try:
            told = table(await link.call("gateway.restart.preflight"))
        except UnavailableError:
            return _UNSEEN
        total = count(table(told.get("counts")).get("totalActive"))
        blockers = [words(one.get("message"), 120) for one in tables(told.get("blockers"), 5)]
        said = "; ".join(filter(None, (words(told.get("summary"), 200), *blockers)))
        return f"Now {plural(total, 'piece')} of work is under way. It says: {said or 'nothing'}."

    async def _seen(self, sandbox: SandboxId, verb: str) -> tuple[str, OpenClawEvidence]:
        if verb != RESTART:
            raise NotFoundError("There is nothing of the kind here.")
        gathered = await self._gatherer.gather()
        owner = self._gatherer.owner(sandbox.native_id)
        if owner not in gathered:
            raise NotFoundError(f"There is no gateway {sanitize(sandbox.native_id, 100)!r}.")
        return owner, gathered[owner]


def _token(owner: str, seen: OpenClawEvidence) -> str:
    """What the agreement is about: this start of this gateway."""
    return f"{owner}/{seen.lock.pid}/{seen.heard.boot_id}"
