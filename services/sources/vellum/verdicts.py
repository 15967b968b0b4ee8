"""A judgement as the attempt machine understands it."""

from __future__ import annotations

from dataclasses import replace

from services.sources.protocol.verdict import Verdict, VerdictKind
from services.sources.vellum.judge import AssistantJudgement, Remedy

CREDENTIAL_ROWS = frozenset((18, 19, 21, 37))
"""What the token file tells of a serving assistant: for the link steps to deal with."""

CRASHING = 34


def from_probe(judged: AssistantJudgement, tool: str, gone: str = "") -> Verdict:
    """What an attempt may do after a look.

    `tool` is why no wake can be run, `gone` why waiting for what one started is of no use.
    """
    if judged.row in CREDENTIAL_ROWS:
        return Verdict(VerdictKind.READY, judged.reason)
    verdict = _verdict(judged, tool)
    if gone and verdict.kind is VerdictKind.REPAIRABLE:
        reason = judged.reason if judged.row == CRASHING else gone
        return replace(verdict, reason=reason, over=True)
    return verdict


def from_link(judged: AssistantJudgement, tool: str) -> Verdict | None:
    """What a failed link step means; None where the gateway's own probes have to say."""
    return None if judged.remedy is Remedy.PROBE_AGAIN else _verdict(judged, tool)


def _verdict(judged: AssistantJudgement, tool: str) -> Verdict:
    confirmable = "" if tool else judged.confirmable
    match judged.remedy:
        case Remedy.FINE | Remedy.REFRESH:
            return Verdict(VerdictKind.READY, judged.reason)
        case Remedy.SETTLING | Remedy.PROBE_AGAIN:
            return Verdict(VerdictKind.SETTLING, judged.reason)
        case Remedy.REPAIRABLE if tool:
            return Verdict(
                VerdictKind.REPAIRABLE,
                judged.reason,
                advice=f"No repair was tried: vellum cannot be run, {tool}.",
            )
        case Remedy.REPAIRABLE:
            return Verdict(
                VerdictKind.REPAIRABLE,
                judged.reason,
                wakeable=True,
                advice=judged.advice,
                confirmable=confirmable,
            )
    advice = judged.advice
    if tool and judged.confirmable:
        advice = f"Nothing can be offered: vellum cannot be run, {tool}."
    return Verdict(VerdictKind.TERMINAL, judged.reason, advice=advice, confirmable=confirmable)
