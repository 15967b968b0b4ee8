"""Approving or rejecting one network rule: shown whole beforehand, done only if it is still so.

See upstream/openshell: Network rules. The reasons in a list of rules are an agent's own words: a
list in which they could pass for another rule, or hide part of one, is not understood.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import RefusedError, UnavailableError
from services.lazy_dataclass import dataclass
from services.models import SandboxId, Step
from services.sources.openshell.cli import Cli
from services.sources.openshell.cli_text import strip_colours
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.policy import DecidedRules, PolicyReader
from services.sources.openshell.proposals import target_of_proposal
from services.sources.openshell.records import Target, safe_name
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.sanitize import sanitize

_HEADER = re.compile(r"^Network Rules:.*\b(\d+) chunks?\)$")
_FIELD = re.compile(r"^([A-Z][A-Za-z ]{1,30}):(?: (.*))?$")
_HOST = re.compile(r"[A-Za-z0-9*][A-Za-z0-9.*-]*\.[A-Za-z0-9-]+")
_FIRST = "Chunk"
_LONGEST = 400
_MOST_FIELDS = 20
APPROVE, REJECT = "approve-rule", "reject-rule"
_WORDS = {APPROVE: ("Approve", "approve", "approved"), REJECT: ("Reject", "reject", "rejected")}
_MEANS = {
    APPROVE: "Every program named above may then reach what is named above, until the policy is"
    " changed.",
    REJECT: "What it asks for stays forbidden.",
}
DECIDE_S = 8.0


@dataclass(frozen=True, slots=True)
class WaitingRule:
    """One of them, whole."""

    chunk: str
    fields: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return dict(self.fields).get("Rule") or self.chunk

    @property
    def words(self) -> str:
        """All of it, a line for each field."""
        return "\n".join(f"{name}: {said}" for name, said in self.fields if said)

    @property
    def mark(self) -> str:
        """The same only for the very same rule."""
        return f"{self.chunk} {hashlib.sha256(self.words.encode()).hexdigest()}"


def waiting(text: str) -> tuple[WaitingRule, ...] | None:
    """Every rule of a list of pending ones; None where it cannot be read beyond doubt."""
    lines = [line.strip() for line in strip_colours(text).splitlines() if line.strip()]
    if not lines or lines[0].startswith("No network rules"):
        return ()
    header = _HEADER.match(lines[0])
    if header is None:
        return None
    blocks: list[dict[str, str]] = []
    for line in lines[1:]:
        field = _FIELD.match(line)
        if field is None or len(line) > _LONGEST:
            return None
        if field[1] == _FIRST:
            blocks.append({})
        if not blocks or field[1] in blocks[-1] or len(blocks[-1]) >= _MOST_FIELDS:
            return None
        blocks[-1][field[1]] = sanitize(field[2] or "", _LONGEST)
    if len(blocks) != int(header[1]) or not all(safe_name(one[_FIRST]) for one in blocks):
        return None
    return tuple(WaitingRule(one[_FIRST], tuple(one.items())) for one in blocks)


class RuleProposer:
    """One rule at a time, the one that has waited longest first."""

    verbs = (
        (APPROVE, "Approve the next network rule of"),
        (REJECT, "Reject the next network rule of"),
    )

    def __init__(
        self, source: str, table: OpenShellTable, clock: Clock, decided: DecidedRules
    ) -> None:
        self._decided = decided
        self._source = source
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table, clock)

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What would be decided now, in the whole."""
        target = self._target(sandbox, verb)
        button, verb_word, _ = _WORDS[verb]
        title, act = f"{button} this network rule?", f"to {verb_word} a network rule"
        listed = await self._listed(target)
        if not listed:
            why = (
                "no network rule of it waits for a decision"
                if listed is not None
                else "its rules cannot be read beyond doubt; look with `openshell rule get"
                f" {target.name} --status pending`"
            )
            return Proposal(sandbox, verb, title, target.native, refusal=why, act=act)
        first, *others = listed
        more = f"\n{len(others)} more wait after it." if others else ""
        change = await self._change(target, first)
        return Proposal(
            sandbox,
            verb,
            title,
            f"{target.native}: {first.name}",
            f"{first.words}\n\n{_MEANS[verb]}\n{change}{more}",
            button,
            token=first.mark,
            act=f"to {verb_word} the network rule {first.name}",
        )

    async def _change(self, target: Target, rule: WaitingRule) -> str:
        """What of the places it names the policy of now names already."""
        try:
            revision, lines = await PolicyReader(self._cli).policy(
                target, await self._client.toolset()
            )
        except UnavailableError as error:
            return error.sentence
        if not lines:
            return "This openshell does not show its policy."
        hosts = _HOST.findall(dict(rule.fields).get("Endpoints", ""))
        there = [line.strip() for line in lines if any(host in line for host in hosts)]
        now = f"The policy of now{f' (revision {revision})' if revision else ''}"
        if not there:
            return f"{now} names none of these places."
        return f"{now} names them already: {'; '.join(there[:3])}."

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Decide, if the same rule still waits first."""
        target = self._target(proposal.sandbox, proposal.verb)
        _, act, done = _WORDS[proposal.verb]
        step = StepBuilder(act, self._clock, DECIDE_S)
        yield step.begun
        listed = await self._listed(target)
        if not listed or listed[0].mark != proposal.token:
            raise RefusedError("The rule is no longer what you were shown: nothing was decided.")
        tools = await self._client.toolset()
        answer = await self._cli.run(
            *(*scope(target, tools), "rule", act, "--chunk-id", listed[0].chunk, target.name),
            limit_s=DECIDE_S,
            gateway=target.gateway,
        )
        if answer.code != 0:
            why = "no answer in time" if answer.timed_out else answer.error_text
            yield step.failed(f"The rule was not {done}: {why}.")
        else:
            self._decided.note(target, f"{listed[0].name} {done}", self._clock.now())
            yield step.ok(f"The rule {listed[0].name} was {done}.")

    def _target(self, sandbox: SandboxId, verb: str) -> Target:
        return target_of_proposal(self._source, sandbox, verb, self.verbs)

    async def _listed(self, target: Target) -> tuple[WaitingRule, ...] | None:
        tools = await self._client.toolset()
        answer = await self._cli.run(
            *(*scope(target, tools), "rule", "get", target.name, "--status", "pending"),
            limit_s=DECIDE_S,
            gateway=target.gateway,
        )
        if answer.code != 0 or answer.truncated:
            why = "no answer in time" if answer.timed_out else answer.error_text
            raise UnavailableError(f"The network rules of {target.name} cannot be listed: {why}.")
        return waiting(answer.stdout)
