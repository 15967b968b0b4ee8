"""What a gateway can be, and how each is shown (upstream/openshell: Gateway states)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from services.lazy_dataclass import dataclass
from services.models import GatewayState


class GatewayStatus(Enum):
    """NemoClaw's five states and ours (upstream/openshell: Gateway states)."""

    HEALTHY = "healthy_named"
    UNREACHABLE = "named_unreachable"
    UNHEALTHY = "named_unhealthy"
    CONNECTED_OTHER = "connected_other"
    MISSING = "missing_named"
    AUTH_FAILED = "auth_failed"
    IDENTITY_CHANGED = "identity_changed"
    EXPIRED = "certificate_expired"
    NOT_YET_VALID = "certificate_not_yet_valid"
    VERSION_SKEW = "version_skew"
    NOT_A_GATEWAY = "not_a_gateway"
    PROBE_TIMEOUT = "probe_timeout"
    CLI_MISSING = "cli_missing"

    @property
    def startable(self) -> bool:
        """Whether starting the gateway is what helps: only for positive evidence that none runs."""
        return self in (
            GatewayStatus.UNREACHABLE,
            GatewayStatus.CONNECTED_OTHER,
            GatewayStatus.MISSING,
        )


STATES: Mapping[GatewayStatus, GatewayState] = {
    GatewayStatus.HEALTHY: GatewayState.READY,
    GatewayStatus.UNREACHABLE: GatewayState.DOWN,
    GatewayStatus.UNHEALTHY: GatewayState.WRONG,
    GatewayStatus.CONNECTED_OTHER: GatewayState.WRONG,
    GatewayStatus.MISSING: GatewayState.ABSENT,
    GatewayStatus.AUTH_FAILED: GatewayState.WRONG,
    GatewayStatus.IDENTITY_CHANGED: GatewayState.WRONG,
    GatewayStatus.EXPIRED: GatewayState.WRONG,
    GatewayStatus.NOT_YET_VALID: GatewayState.WRONG,
    GatewayStatus.VERSION_SKEW: GatewayState.WRONG,
    GatewayStatus.NOT_A_GATEWAY: GatewayState.WRONG,
    GatewayStatus.PROBE_TIMEOUT: GatewayState.HUNG,
    GatewayStatus.CLI_MISSING: GatewayState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class GatewayJudgement:
    """What a gateway is and what the operator should know of it."""

    status: GatewayStatus
    reason: str = ""
    advice: str = ""
    version: str = ""
    auth: str = ""
    said: str = ""
    """Everything the command said of a gateway that is not well, as one line."""
    notice: str = ""
    """What the command said before its answer."""

    @property
    def state(self) -> GatewayState:
        """As the panel shows it."""
        return STATES[self.status]
