"""Stopping a sandbox on purpose: confirmed, sent once, and asleep by design afterwards.

See upstream/openshell: What start and stop accept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import RefusedError, UnavailableError
from services.models import SandboxId, Step
from services.sources.openshell import phases
from services.sources.openshell.cli import Cli
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.proposals import target_of_proposal
from services.sources.openshell.records import SandboxRow, Target
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder

STOP = "stop"
STOP_S = 90.0
_GET_S = 8.0
_MEANS = (
    "Everything that runs in it ends, shells and forwarded ports too. Its files stay.\n"
    "It is asleep by design afterwards: nothing wakes it but a key."
)


class StopProposer:
    """`sandbox stop` for one sandbox."""

    verbs = ((STOP, "Stop"),)

    def __init__(self, source: str, table: OpenShellTable, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table, clock)

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """Whether it can be stopped now, and what that means."""
        target = target_of_proposal(self._source, sandbox, verb, self.verbs)
        row = await self._row(target)
        rule = phases.stop_rule(row, await self._client.toolset())
        return Proposal(
            sandbox,
            verb,
            "Stop this sandbox?",
            target.native,
            _MEANS,
            "Stop",
            refusal=rule.refusal,
            token=f"{row.id} {row.phase}",
            act=f"to stop the sandbox {target.name}",
            typed_name=target.name,
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Stop it, if it is still the one that was shown, and look whether it stands."""
        target = target_of_proposal(self._source, proposal.sandbox, proposal.verb, self.verbs)
        tools = await self._client.toolset()
        step = StepBuilder("stop", self._clock, STOP_S)
        yield step.running(f"openshell sandbox stop {target.name}")
        row = await self._row(target)
        if f"{row.id} {row.phase}" != proposal.token or proposal.refusal:
            raise RefusedError("It is no longer what you were shown: nothing was stopped.")
        answer = await self._cli.run(
            *(*scope(target, tools), "sandbox", "stop", target.name),
            limit_s=STOP_S,
            gateway=target.gateway,
            extra={"OPENSHELL_LIFECYCLE_TIMEOUT": str(int(STOP_S - 5))},
        )
        if answer.code != 0:
            why = "no end in sight" if answer.timed_out else answer.error_text
            yield step.failed(f"The sandbox {target.name} was not stopped: {why}.")
            return
        row = await self._row(target)
        if row.phase in ("Stopped", "Stopping", "Completed"):
            yield step.ok(f"The sandbox {target.name} was stopped; wake starts it again.")
        else:
            yield step.failed(
                f"The gateway took the order, but {target.name} is {row.phase.lower()}."
            )

    async def _row(self, target: Target) -> SandboxRow:
        tools = await self._client.toolset()
        probe = await self._client.sandbox(target, tools, _GET_S)
        if probe.row is None:
            raise UnavailableError(
                f"How {target.name} stands is not known: {probe.said or 'no answer in time'}."
            )
        return probe.row
