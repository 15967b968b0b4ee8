"""The agent inside a sandbox, on request: one question of ours, and NemoClaw's own verbs.

See upstream/openshell: Agent inside; upstream/openshell: NemoClaw recover.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import ProcessError, RefusedError
from services.files.bounded import UnfitError
from services.models import SandboxId, Step, StepState
from services.sources.openshell import nemoclaw_cli
from services.sources.openshell.agent_question import AGENT_S, AgentAnswers, ask_agent
from services.sources.openshell.cli import Cli
from services.sources.openshell.cli_text import json_of
from services.sources.openshell.client import OpenShellClient
from services.sources.openshell.nemoclaw_cli import NemoclawAnswer, NemoclawTool
from services.sources.openshell.nemoclaw_registry import NemoclawEntry
from services.sources.openshell.nemoclaw_reports import NemoclawReport
from services.sources.openshell.nemoclaw_verbs import NEMOCLAW_VERBS, NemoclawVerb
from services.sources.openshell.proposals import target_of_proposal
from services.sources.openshell.records import Target
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.format import sentence

ASK = "ask-agent"
_OF_NEMOCLAW = {one.verb: one for one in NEMOCLAW_VERBS}


class AgentProposer:
    """Asks the agent, or lets NemoClaw act; never one thing twice within its limit."""

    verbs = ((ASK, "Ask the agent in"), *((one.verb, one.label) for one in NEMOCLAW_VERBS))

    def __init__(
        self, source: str, table: OpenShellTable, clock: Clock, answers: AgentAnswers
    ) -> None:
        self._source = source
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table, clock)
        self._answers = answers
        self._given: dict[tuple[Target, str], float] = {}
        """When each was last given to NemoClaw, by the monotonic clock."""

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What would be asked or done, and what that may do."""
        target = target_of_proposal(self._source, sandbox, verb, self.verbs)
        entry = (await self._client.registry()).entry(target.gateway, target.name)
        theirs = _OF_NEMOCLAW.get(verb)
        if theirs is None:
            return Proposal(
                sandbox,
                verb,
                "Ask its agent whether it serves?",
                target.native,
                "Asked by `curl` in the sandbox; nothing is changed.",
                "Ask",
                refusal=_no_agent(entry),
                act="to ask its agent",
            )
        refusal = _no_agent(entry) if theirs.gateway_only else _not_listed(entry)
        tool = None if refusal else await nemoclaw_cli.detect()
        return Proposal(
            sandbox,
            verb,
            theirs.title,
            target.native,
            "" if tool is None else theirs.consequence(target.name, tool),
            theirs.button,
            refusal=refusal or self._not_offered(target, theirs, tool),
            token="" if tool is None else f"{tool.path} {tool.version}",
            act=f"to let NemoClaw {theirs.act}",
            typed_name=target.name if theirs.typed else "",
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Ask, or let NemoClaw act and then ask: its own word is no proof."""
        target = target_of_proposal(self._source, proposal.sandbox, proposal.verb, self.verbs)
        theirs = _OF_NEMOCLAW.get(proposal.verb)
        if theirs is not None:
            step = StepBuilder("nemoclaw", self._clock, theirs.limit_s)
            yield step.running(" ".join(("nemoclaw", target.name, *theirs.words, *theirs.flags)))
            ended = await self._let(proposal, target, theirs, step)
            yield ended
            entry = (await self._client.registry()).entry(target.gateway, target.name)
            if ended.state is not StepState.OK or not theirs.proves or _no_agent(entry):
                return
        async for one in self._ask(target):
            yield one

    async def _let(
        self, proposal: Proposal, target: Target, theirs: NemoclawVerb, step: StepBuilder
    ) -> Step:
        """Let NemoClaw do what was confirmed, if it is still that."""
        now = await self.propose(proposal.sandbox, proposal.verb)
        if now.refusal or now.token != proposal.token:
            raise RefusedError(f"Nothing was done: {now.refusal or 'NemoClaw is another one now'}.")
        tool = await nemoclaw_cli.detect()
        if tool is None:
            raise RefusedError("Nothing was done: nemoclaw is not there any more.")
        self._given[target, theirs.verb] = self._clock.monotonic()
        try:
            answer = await nemoclaw_cli.call(
                tool, target, (*theirs.words, *theirs.flags), theirs.limit_s
            )
        except ProcessError as error:
            return step.failed(error.sentence)
        report = None if theirs.report is None else _read(answer, theirs)
        if report is not None:
            self._answers.note_report(target, theirs.verb, report.facts, self._clock.now())
            return step.ok(report.said) if report.well else step.failed(report.said)
        if answer.code == 0 and theirs.report is None:
            return step.ok(theirs.done)
        if answer.code == 0:
            return step.failed("NemoClaw's answer cannot be understood.")
        return step.failed(nemoclaw_cli.why_not(answer, theirs.act, theirs.limit_s))

    async def _ask(self, target: Target) -> AsyncIterator[Step]:
        step = StepBuilder("agent", self._clock, AGENT_S)
        yield step.begun
        entry = (await self._client.registry()).entry(target.gateway, target.name)
        if entry is None:
            yield step.failed("NemoClaw lists it no more.")
            return
        tools = await self._client.toolset()
        answer = await ask_agent(self._cli, target, tools, entry, self._clock.now())
        self._answers.note(target, answer)
        said = sentence(answer.said)
        yield step.ok(said) if answer.serves else step.failed(said)

    def _not_offered(self, target: Target, theirs: NemoclawVerb, tool: NemoclawTool | None) -> str:
        if tool is None:
            return "nemoclaw is not installed here, or does not answer"
        if not tool.offers(theirs.words):
            return f"this nemoclaw has no `{' '.join(theirs.words)}`"
        last = self._given.get((target, theirs.verb))
        if last is not None and self._clock.monotonic() - last < theirs.limit_s:
            return "NemoClaw was at work on it only just now"
        return ""


def _read(answer: NemoclawAnswer, theirs: NemoclawVerb) -> NemoclawReport | None:
    """What its JSON says, whatever it ended with; None where there is none to understand."""
    try:
        told, _ = json_of(answer.stdout)
    except UnfitError:
        return None
    if theirs.report is None or not isinstance(told, Mapping):
        return None
    return theirs.report(told)


def _not_listed(entry: NemoclawEntry | None) -> str:
    return "" if entry is not None else "NemoClaw does not list it"


def _no_agent(entry: NemoclawEntry | None) -> str:
    if entry is None:
        return "NemoClaw does not list it, so nothing is known of an agent in it"
    if not entry.has_agent_gateway:
        return f"its agent ({entry.agent}) has no gateway of its own"
    return "" if entry.agent_port is not None else "the port of its agent is not known"
