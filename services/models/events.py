"""Events worth remembering."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from services.lazy_dataclass import dataclass


class Severity(Enum):
    """How an event reads in a timeline."""

    INFO = "info"
    BETTER = "better"
    WORSE = "worse"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Event:
    """A transition or an operator action worth remembering."""

    at: float
    severity: Severity
    source: str
    subject: str
    """The native id of the sandbox or gateway; empty for the source itself."""
    kind: str  # sandbox, gateway, source, attempt, shell or panel
    text: str
    before: str = ""
    after: str = ""
    before_at: float | None = field(default=None, compare=False)
    """When the state before was last seen to hold; not kept."""
    told_at: float | None = field(default=None, compare=False)
    """When it happened in the system's own words, where it gives an instant."""
