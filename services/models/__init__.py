"""The vocabulary: frozen, slotted records and enums; no behaviour beyond derivation.

Instants are seconds since the Unix epoch (UTC, float), durations seconds. Words of another system
have passed `services.text.sanitize.plain`: a view may show them as they are, without markup.
"""

from services.models.attempts import (
    Attempt,
    AttemptState,
    Confirmed,
    Step,
    StepState,
    Verb,
)
from services.models.events import Event, Severity
from services.models.messages import (
    Direction,
    InLabel,
    Message,
    OutLabel,
    QueueSnapshot,
)
from services.models.rows import (
    BY_HAND,
    Activity,
    Capability,
    Counts,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    Known,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    Staleness,
    Unknown,
    UnknownWord,
    as_stale,
    in_state_since,
    seen_again,
)
from services.models.shells import (
    LogLine,
    LogStream,
    Retry,
    Shell,
    ShellState,
)

__all__ = [
    "BY_HAND",
    "Activity",
    "Attempt",
    "AttemptState",
    "Capability",
    "Confirmed",
    "Counts",
    "Direction",
    "Event",
    "Facts",
    "Gateway",
    "GatewayId",
    "GatewayState",
    "InLabel",
    "Known",
    "LogLine",
    "LogStream",
    "Message",
    "Observation",
    "OutLabel",
    "QueueSnapshot",
    "Retry",
    "Sandbox",
    "SandboxId",
    "SandboxState",
    "Severity",
    "Shell",
    "ShellState",
    "Source",
    "Staleness",
    "Step",
    "StepState",
    "Unknown",
    "UnknownWord",
    "Verb",
    "as_stale",
    "in_state_since",
    "seen_again",
]
