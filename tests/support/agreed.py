"""Carries out a confirmed action without the attempt machine."""

from __future__ import annotations

from services.models import StepState
from services.sources.protocol.proposer import Proposal, Proposer


async def carried_out(proposer: Proposer, proposal: Proposal) -> str:
    """The sentence of the last step; a failed one is an error."""
    said = ""
    async for step in proposer.carry_out(proposal):
        assert step.state is not StepState.FAILED, step
        said = step.detail
    return said
