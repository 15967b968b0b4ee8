"""What the operator has to agree to each time: a restart of a gateway, once what runs has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from services.agents.openclaw.evidence import OpenClawEvidence
from services.agents.openclaw.fields import count, table, tables, words
from services.agents.openclaw.judge import judge
from services.clock import Clock
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.models import GatewayState, SandboxId, Step, Verb
from services.sources.openclaw import commands
from services.sources.openclaw.gather import GatewayGatherer
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.format import plural
from services.text.sanitize import sanitize

RESTART = "restart"
SERVES_S = 300.0
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
        elif seen.heard.told.saved is not None and not seen.heard.told.saved.valid:
            why = "; ".join(seen.heard.told.saved.issues)
            refusal = f"its saved configuration is not accepted: {why}".rstrip(".: ")
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
        step = StepBuilder("restart", self._clock, commands.VALIDATE_S + commands.RESTART_S)
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
        refused = await commands.find_invalid(tool, place, self._environ)
        if refused:
            raise RefusedError(
                f"It was not restarted: its saved configuration is not accepted: {refused}."
            )
        argv = commands.restart_argv(tool, place)
        try:
            problem, _ = await commands.run_service(argv, commands.RESTART_S, place, self._environ)
        finally:
            self._gatherer.forget_services()
        if problem:
            raise UnavailableError(problem)
        yield step.ok("it was told to restart")
        back = StepBuilder("serve", self._clock, SERVES_S)
        yield back.begun
        began = self._clock.monotonic()
        while not _is_new(seen, owner, gathered := await self._gatherer.gather()):
            if self._clock.monotonic() - began > SERVES_S:
                why = judge(gathered[owner]).reason if owner in gathered else "It is gone."
                raise UnavailableError(f"It was restarted and does not serve. {why}".strip())
            await self._clock.sleep(1.0)
        yield back.ok("It was restarted and serves again.")

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


def _is_new(before: OpenClawEvidence, owner: str, now: Mapping[str, OpenClawEvidence]) -> bool:
    """Whether it serves, and by another start than before; the process may be the same."""
    after = now.get(owner)
    if after is None or judge(after).gateway is not GatewayState.READY:
        return False
    if before.heard.boot_id and after.heard.boot_id:
        return before.heard.boot_id != after.heard.boot_id
    return _started_at(after) > _started_at(before) + 1.0


def _started_at(seen: OpenClawEvidence) -> float:
    startup = None if seen.answers is None else seen.answers.startup
    up = None if startup is None else startup.uptime_s
    return seen.now - up if up is not None else 0.0


def _token(owner: str, seen: OpenClawEvidence) -> str:
    """What the agreement is about: this start of this gateway."""
    return f"{owner}/{seen.lock.pid}/{seen.heard.boot_id}"
