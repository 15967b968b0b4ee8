"""What a gateway tells of itself over its connection, as values: what is shown and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from services.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ChannelAccount:
    """One account of one channel."""

    name: str
    wanted: bool = False
    """Enabled and configured."""
    running: bool | None = None
    connected: bool | None = None
    lifecycle: str = ""
    error: str = ""
    starting_s: float | None = None
    """For how long it has been coming up without ever being connected, by the gateway's clock."""

    @property
    def down(self) -> bool:
        """Whether it is wanted and does not work; what is not told is no trouble."""
        return self.wanted and (self.connected is False or self.running is False)


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """One agent of a gateway."""

    id: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session; nothing of what is said in it."""

    key: str
    agent: str
    name: str
    kind: str = ""
    working: bool = False
    """It has a run now, whatever its status says."""
    status: str = ""
    error: str = ""
    """Why its last run failed."""
    model: str = ""
    tokens: int | None = None
    cost: float | None = None
    updated_at: float | None = None
    seen_at: float = 0.0
    """When the gateway made this row, by its clock."""

    @property
    def failed(self) -> bool:
        """Whether its last run ended badly and nothing runs now."""
        return not self.working and (bool(self.error) or self.status in ("failed", "timeout"))


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task: a run in the background."""

    id: str
    agent: str
    title: str
    status: str
    runtime: str = ""
    error: str = ""
    delivery: str = ""
    created_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    session: str = ""

    def is_of(self, session: SessionInfo) -> bool:
        """Whether it ran in a session, or in a run of its own below it."""
        return self.session == session.key or self.session.startswith(f"{session.key}:run:")


@dataclass(frozen=True, slots=True)
class CronJob:
    """One scheduled job."""

    id: str
    name: str
    agent: str
    enabled: bool = True
    own: bool = False
    """The gateway's own, there on a fresh install."""
    next_at: float | None = None
    last_at: float | None = None
    status: str = ""
    error: str = ""
    delivery: str = ""
    delivery_error: str = ""

    @property
    def failed(self) -> bool:
        """Whether its last run ended badly."""
        return self.status in ("error", "failed", "timed_out")

    @property
    def undelivered(self) -> bool:
        """Whether what its last run made did not arrive."""
        return self.delivery in ("failed", "error", "not-delivered", "undelivered")


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of work."""

    name: str
    queued: int = 0
    active: int = 0
    most: int = 0
    blocked_by: str = ""


@dataclass(frozen=True, slots=True)
class GatewaySummary:
    """What `status` says."""

    audit: tuple[tuple[str, int], ...] = ()
    """Troubles of tasks that it found itself, each with how often."""
    degraded: tuple[str, ...] = ()
    """Plugins and owners of secrets that do not work."""
    model_degraded: bool = False
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What models cost, as far as the gateway knows."""

    total: float
    days: int
    today: float | None = None
    missing: int = 0
    """Entries without a price."""


@dataclass(frozen=True, slots=True)
class SavedConfig:
    """What a gateway says of the configuration that is on its disk now."""

    valid: bool
    issues: tuple[str, ...] = ()
    in_force: bool = True
    """Whether it serves by it; what is not accepted, or needs a restart, is not in force."""


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """What `health` says beside its probes."""

    broken_plugins: tuple[str, ...] = ()
    reloads: str = ""
    """Its word for whether it follows its configuration while it runs."""


@dataclass(frozen=True, slots=True)
class Told:
    """Everything told lately; None for what was not."""

    channels: tuple[ChannelAccount, ...] | None = None
    issues: tuple[str, ...] = ()
    agents: tuple[AgentInfo, ...] | None = None
    default_agent: str = ""
    sessions: tuple[SessionInfo, ...] | None = None
    more_sessions: bool = False
    tasks: tuple[TaskInfo, ...] | None = None
    jobs: tuple[CronJob, ...] | None = None
    lanes: tuple[Lane, ...] | None = None
    summary: GatewaySummary | None = None
    health: GatewayHealth | None = None
    saved: SavedConfig | None = None
    cost: Cost | None = None
    device: str = ""
    at: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """When each method was answered last, by this machine's clock."""
