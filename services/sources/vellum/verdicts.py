"""A judgement as the attempt machine understands it."""

from __future__ import annotations

from services.models import Verdict, VerdictKind
from services.sources.vellum.judge import Judgement, Means

CREDENTIAL_ROWS = frozenset((18, 19, 21))
"""What the token file tells of a serving assistant: for the link steps to deal with."""


def of_look(judged: Judgement, tool: str) -> Verdict:
    """What an attempt may do after a look; `tool` is why no wake can be run."""
    if judged.row in CREDENTIAL_ROWS:
        return Verdict(VerdictKind.READY, judged.reason)
    return _verdict(judged, tool)


def of_link(judged: Judgement, tool: str) -> Verdict | None:
    """What a failed link step means; None where the gateway's own probes have to say."""
    return None if judged.means is Means.AGAIN else _verdict(judged, tool)


def _verdict(judged: Judgement, tool: str) -> Verdict:
    confirmable = "" if tool else judged.confirmable
    match judged.means:
        case Means.FINE | Means.REFRESH:
            return Verdict(VerdictKind.READY, judged.reason)
        case Means.SETTLING | Means.AGAIN:
            return Verdict(VerdictKind.SETTLING, judged.reason)
        case Means.REPAIRABLE if tool:
            return Verdict(
                VerdictKind.REPAIRABLE,
                judged.reason,
                advice=f"No repair was tried: vellum cannot be run, {tool}.",
            )
        case Means.REPAIRABLE:
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
