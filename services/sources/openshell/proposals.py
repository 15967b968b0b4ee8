"""Everything of OpenShell that is asked for each time: rules, stopping, the agent inside."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.errors import NotFoundError
from services.models import SandboxId, Step
from services.sources.openshell.records import Target
from services.sources.protocol.proposer import Proposal, Proposer
from services.text.sanitize import sanitize


def target_of_proposal(
    source: str, sandbox: SandboxId, verb: str, verbs: tuple[tuple[str, str], ...]
) -> Target:
    """Which sandbox a verb is meant for.

    Raises:
        NotFoundError: it is no verb of these, or no sandbox of this source.
    """
    target = Target.parse(sandbox.native_id)
    if sandbox.source != source or target is None or verb not in dict(verbs):
        raise NotFoundError(
            f"{sanitize(verb, 40)} cannot be done to {sanitize(str(sandbox), 120)}."
        )
    return target


class OpenShellProposer:
    """Several proposers as one: each verb belongs to one of them."""

    def __init__(self, *parts: Proposer) -> None:
        self._parts = parts

    @property
    def verbs(self) -> tuple[tuple[str, str], ...]:
        """Of every part, in order."""
        return tuple(one for part in self._parts for one in part.verbs)

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What the verb would do now."""
        return await self._part(verb).propose(sandbox, verb, words)

    def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Do what was agreed to."""
        return self._part(proposal.verb).carry_out(proposal)

    def _part(self, verb: str) -> Proposer:
        part = next((one for one in self._parts if verb in dict(one.verbs)), None)
        if part is None:
            raise NotFoundError(f"OpenShell has no action {sanitize(verb, 40)}.")
        return part
