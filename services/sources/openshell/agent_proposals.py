"""The agent inside a sandbox, on request: one question, and NemoClaw's own repair.

See upstream/openshell: Agent inside; upstream/openshell: NemoClaw recover.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import ProcessError, RefusedError
from services.models import SandboxId, Step
from services.sources.openshell import nemoclaw_cli
from services.sources.openshell.agent_question import AGENT_S, AgentAnswers, ask_agent
from services.sources.openshell.cli import Cli
from services.sources.openshell.client import OpenShellClient
from services.sources.openshell.nemoclaw_cli import RECOVER_S, NemoclawTool
from services.sources.openshell.nemoclaw_registry import NemoclawEntry
from services.sources.openshell.proposals import target_of_proposal
from services.sources.openshell.records import Target
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.format import sentence

ASK, RECOVER = "ask-agent", "repair-agent"
_RECOVER_MEANS = (
    "`nemoclaw {name} recover` may start the sandbox, wait for its agent or start that again,"
    " which cuts what it is doing, and put forwards of NemoClaw's own in place of ours.\n"
    "It may take {minutes:.0f} minutes. Nothing else is done to this sandbox meanwhile."
)
_RECREATES = (
    "\nThis NemoClaw ({version}) is older than 0.0.126: it MAY MAKE THE CONTAINER ANEW, with a"
    " backup. Data was lost that way once."
)


class AgentProposer:
    """Asks the agent, or lets NemoClaw repair it; never more than one repair at a time."""

    verbs = ((ASK, "Ask the agent in"), (RECOVER, "Repair the agent (NemoClaw) in"))

    def __init__(
        self, source: str, table: OpenShellTable, clock: Clock, answers: AgentAnswers
    ) -> None:
        self._source = source
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table, clock)
        self._answers = answers
        self._recovered: dict[Target, float] = {}
        """When each was last given to NemoClaw, by the monotonic clock."""

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What would be asked or repaired, and what that may do."""
        target = target_of_proposal(self._source, sandbox, verb, self.verbs)
        entry = (await self._client.registry()).entry(target.gateway, target.name)
        refusal = _no_agent(entry)
        if verb == ASK:
            return Proposal(
                sandbox,
                verb,
                "Ask its agent whether it lives?",
                target.native,
                "One `curl` runs in the sandbox; nothing is changed.",
                "Ask",
                refusal=refusal,
                act="to ask its agent",
            )
        tool = None if refusal else await nemoclaw_cli.detect()
        return Proposal(
            sandbox,
            verb,
            "Let NemoClaw repair the agent?",
            target.native,
            "" if tool is None else _consequence(target, tool),
            "Repair",
            refusal=refusal or self._no_recover(target, tool),
            token="" if tool is None else f"{tool.path} {tool.version}",
            act="to repair the agent with NemoClaw",
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Ask, or repair and then ask: NemoClaw's own word is no proof."""
        target = target_of_proposal(self._source, proposal.sandbox, proposal.verb, self.verbs)
        if proposal.verb == RECOVER:
            step = StepBuilder("repair", self._clock, RECOVER_S)
            yield step.begun
            now = await self.propose(proposal.sandbox, RECOVER)
            if now.refusal or now.token != proposal.token:
                why = now.refusal or "NemoClaw is another one now"
                raise RefusedError(f"Nothing was done: {why}.")
            tool = await nemoclaw_cli.detect()
            if tool is None:
                raise RefusedError("Nothing was done: nemoclaw is not there any more.")
            self._recovered[target] = self._clock.monotonic()
            try:
                problem = await nemoclaw_cli.recover(tool, target)
            except ProcessError as error:
                problem = error.sentence
            if problem:
                yield step.failed(problem)
                return
            yield step.ok("NemoClaw says that it is well")
        async for one in self._ask(target):
            yield one

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
        yield step.ok(said) if answer.alive else step.failed(said)

    def _no_recover(self, target: Target, tool: NemoclawTool | None) -> str:
        if tool is None:
            return "nemoclaw is not installed here, or does not answer"
        if not tool.recovers:
            return "this nemoclaw has no `recover`"
        last = self._recovered.get(target)
        if last is not None and self._clock.monotonic() - last < RECOVER_S:
            return "NemoClaw was at work on it only just now"
        return ""


def _no_agent(entry: NemoclawEntry | None) -> str:
    if entry is None:
        return "NemoClaw does not list it, so nothing is known of an agent in it"
    if not entry.has_agent_gateway:
        return f"its agent ({entry.agent}) has no gateway of its own"
    return "" if entry.agent_port is not None else "the port of its agent is not known"


def _consequence(target: Target, tool: NemoclawTool) -> str:
    said = _RECOVER_MEANS.format(name=target.name, minutes=RECOVER_S / 60)
    if not tool.may_recreate:
        return said
    version = ".".join(map(str, tool.version)) if tool.version else "of an unknown version"
    return said + _RECREATES.format(version=version)
