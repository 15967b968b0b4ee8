"""Approving or rejecting one network rule: shown whole beforehand, done only if it is still so."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.models import SandboxId, Step
from services.sources.openshell import rules
from services.sources.openshell.cli import Cli
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.records import Target
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.sanitize import sanitize

APPROVE, REJECT = "approve-rule", "reject-rule"
_WORDS = {APPROVE: ("Approve", "approve", "approved"), REJECT: ("Reject", "reject", "rejected")}
_MEANS = {
    APPROVE: "Every program named above may then reach what is named above, until the policy is"
    " changed.",
    REJECT: "What it asks for stays forbidden.",
}
DECIDE_S = 8.0


class RuleProposer:
    """One rule at a time, the one that has waited longest first."""

    verbs = (
        (APPROVE, "Approve the next network rule of"),
        (REJECT, "Reject the next network rule of"),
    )

    def __init__(self, source: str, table: OpenShellTable, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table)

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What would be decided now, in the whole."""
        target = self._target(sandbox, verb)
        button, act, _ = _WORDS[verb]
        title, act = f"{button} this network rule?", f"to {act} a network rule"
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
        return Proposal(
            sandbox,
            verb,
            title,
            f"{target.native}: {first.name}",
            f"{first.words}\n\n{_MEANS[verb]}{more}",
            button,
            token=first.mark,
            act=act,
        )

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
            yield step.ok(f"The rule {listed[0].name} was {done}.")

    def _target(self, sandbox: SandboxId, verb: str) -> Target:
        target = Target.parse(sandbox.native_id)
        if sandbox.source != self._source or target is None or verb not in _WORDS:
            raise NotFoundError(
                f"{sanitize(verb, 40)} cannot be done to {sanitize(str(sandbox), 120)}."
            )
        return target

    async def _listed(self, target: Target) -> tuple[rules.WaitingRule, ...] | None:
        tools = await self._client.toolset()
        answer = await self._cli.run(
            *(*scope(target, tools), "rule", "get", target.name, "--status", "pending"),
            limit_s=DECIDE_S,
            gateway=target.gateway,
        )
        if answer.code != 0 or answer.truncated:
            why = "no answer in time" if answer.timed_out else answer.error_text
            raise UnavailableError(f"The network rules of {target.name} cannot be listed: {why}.")
        return rules.waiting(answer.stdout)
