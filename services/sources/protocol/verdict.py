"""What a probe of a sandbox means for an attempt."""

from __future__ import annotations

from enum import Enum

from services.lazy_dataclass import dataclass


class VerdictKind(Enum):
    """What an attempt may do next, judged from one probe."""

    READY = "ready"
    SETTLING = "settling"
    REPAIRABLE = "repairable"
    TERMINAL = "terminal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one probe of one sandbox: f(gateway, sandbox, credential)."""

    kind: VerdictKind
    reason: str
    """The sentence that becomes the headline when this is the first error."""
    wakeable: bool = False  # by this source's wake
    advice: str = ""
    """What the operator should do next when nothing here can."""
    confirmable: str = ""
    """A verb that would help but needs the operator's confirmation."""
    over: bool = False
    """What a wake started has ended: waiting for it longer is of no use."""
