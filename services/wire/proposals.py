"""Proposals as they travel, and back: apart from what only looks."""

from __future__ import annotations

from typing import Any

import msgspec

from services.models import SandboxId, Verb
from services.sources.protocol.proposer import Proposal
from services.text.redact import redact_line
from services.wire.frames import WireError
from services.wire.incoming import is_id
from services.wire.messages import convert

_TEXTS = (
    *("verb", "title", "target", "consequence", "button", "refusal", "token", "act"),
    *("typed_name", "words", "container"),
)
"""Fields of a proposal that are text."""


class _WireProposal(msgspec.Struct, frozen=True):
    verb: str = ""
    title: str = ""
    target: str = ""
    consequence: str = ""
    button: str = ""
    refusal: str = ""
    token: str = ""
    act: str = ""
    typed_name: str = ""
    words: str = ""
    container: str = ""
    goal: str = ""


def proposal_value(proposal: Proposal) -> dict[str, Any]:
    """A proposal as an item or an argument."""
    said = {name: getattr(proposal, name) for name in _TEXTS}
    said["goal"] = "" if proposal.goal is None else proposal.goal.value
    return said


def proposal_as_made(sandbox: SandboxId, value: object) -> Proposal:
    """A proposal that comes back to the side that made it, as it was.

    Raises:
        WireError: it is none.
    """
    row = convert(value, _WireProposal, "a proposal")
    texts = {name: getattr(row, name) for name in _TEXTS}
    return Proposal(sandbox=sandbox, goal=_goal(row), **texts)


def proposal_shown(sandbox: SandboxId, value: object) -> Proposal:
    """A proposal of a far side, harmless; its verb and token go back as they came.

    Raises:
        WireError: it is none.
    """
    row = convert(value, _WireProposal, "a proposal")
    if not is_id(row.verb):
        raise WireError("a proposal names no verb")
    texts = {name: redact_line(getattr(row, name)) for name in _TEXTS}
    lines = [redact_line(line) for line in row.consequence.splitlines()[:20]]
    texts |= {
        "verb": row.verb,
        "token": row.token,
        "consequence": "\n".join(lines),
        "button": texts["button"] or "Confirm",
    }
    return Proposal(sandbox=sandbox, goal=_goal(row), **texts)


def _goal(row: _WireProposal) -> Verb | None:
    return {one.value: one for one in Verb}.get(row.goal)
