"""What a gateway and the agents behind it are judged to be."""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.models import GatewayState, SandboxState


@dataclass(frozen=True, slots=True)
class OpenClawJudgement:
    """What a gateway is, and the agents behind it."""

    rule: str
    """Which row matched, for the details."""
    gateway: GatewayState
    agent: SandboxState
    reason: str = ""
    advice: str = ""
    startable: bool = False
    """Its own service can start it."""
    until: float | None = None
    unknown_word: str = ""
    """A word of the gateway that is not known here."""
