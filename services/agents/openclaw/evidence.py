"""Everything that one look at a gateway learned, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from services.agents.openclaw.probes import Answers, EventLoop
from services.agents.openclaw.told import ChannelAccount, Told

DEFAULT_PORT = 18789


class LockState(Enum):
    """Whose the lock of a state directory is."""

    NONE = "none"
    HELD = "held"
    """By a process that is alive and is the one that wrote it."""
    STALE = "stale"
    """Its process has ended."""
    UNKNOWN = "unknown"
    """There is one, and whether its process lives cannot be read here."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock in a state directory (upstream/openclaw: The lock)."""

    state: LockState = LockState.NONE
    pid: int = 0
    port: int | None = None
    age_s: float | None = None
    """Seconds since it was taken."""
    suspended: bool = False
    """Its process is stopped by a signal."""
    problem: str = ""
    """Why it cannot be read, as a clause."""


@dataclass(frozen=True, slots=True)
class Config:
    """What is read of a gateway's configuration; nothing of it is secret."""

    present: bool = False
    problem: str = ""
    """Why it cannot be read, as a clause."""
    mode: str = ""
    port: int | None = None
    tls: bool = False
    """Its port speaks TLS."""
    refused: str = ""
    """Why its own command does not accept it, as far as it was asked."""
    remote: str = ""
    """Scheme, host and port of the gateway it uses instead of one here."""


class ServiceState(Enum):
    """What the service manager says of a gateway's service."""

    UNKNOWN = "not known"
    ABSENT = "not installed"
    RUNNING = "running"
    ENDED = "ended"
    """Stopped, and not started again by itself."""
    RESTARTING = "restarting"
    FAILED = "failed"
    """Given up: it failed, or was started too often."""


@dataclass(frozen=True, slots=True)
class Service:
    """The service of a gateway (upstream/openclaw: Services)."""

    state: ServiceState = ServiceState.UNKNOWN
    unit: str = ""
    exit_code: int = 0
    restarts: int = 0
    running_s: float | None = None
    """Seconds since it runs, where it does."""
    result: str = ""
    """The manager's word for how it ended, such as `success` or `start-limit-hit`."""

    @property
    def installed(self) -> bool:
        """Whether there is one."""
        return self.state not in (ServiceState.UNKNOWN, ServiceState.ABSENT)


class Owner(Enum):
    """Who listens on the gateway's port."""

    UNKNOWN = "not known"
    LOCK = "the process of the lock"
    FORMER = "the process that held the lock"
    """It is remembered, and the lock is not its own now."""
    OTHER = "another program"


class ConnectionState(Enum):
    """How our connection to a gateway stands."""

    OFF = "not made"
    """No credential is configured for it, or its probes are not good enough to show it one."""
    CONNECTING = "is being made"
    READING = "reads"
    REFUSED = "refused"
    """It runs, and does not let us read."""
    OTHER_PROTOCOL = "another protocol"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a gateway told over a connection, and how that stands."""

    connection: ConnectionState = ConnectionState.OFF
    problem: str = ""
    """Why it does not read, in a sentence."""
    advice: str = ""
    version: str = ""
    boot_id: str = ""
    told: Told = field(default_factory=Told)
    down: tuple[tuple[ChannelAccount, float], ...] = ()
    """Accounts that are wanted and do not work, each with the seconds since."""
    draining: str = ""
    """Why it goes down now, where it said that it does."""
    restart_s: float = 0.0
    """For how long yet it may be away, where it said that it comes back."""

    @property
    def reading(self) -> bool:
        """Whether what was told is kept up."""
        return self.connection is ConnectionState.READING


@dataclass(frozen=True, slots=True)
class OpenClawEvidence:
    """One gateway, at one instant."""

    now: float
    name: str
    """Its directory's name, or its address where it is remote."""
    place: str
    """Its state directory, or its address where it is remote."""
    remote: bool = False
    """It is named by its address: nothing of it is on this machine's disk."""
    config: Config = Config()
    lock: Lock = Lock()
    without_lock: tuple[int, float] | None = None
    """The process that held the lock until lately and still runs, and the seconds since."""
    was_started: bool = False
    """The process of the lock, or else the one that held it, was seen to have started."""
    port: int | None = None
    """Where it is asked; None where that is not known."""
    owner: Owner = Owner.UNKNOWN
    owner_name: str = ""
    """The program that listens, with its pid."""
    claimed_by: str = ""
    """Another state directory whose lock is held and names the same port."""
    service: Service = Service()
    answers: Answers | None = None
    """None where it was not asked."""
    slow: EventLoop | None = None
    """Its event loop, where it has been late for long enough to say so."""
    heard: Heard = field(default_factory=Heard)
    command_version: str = ""
    """Of the command on this machine, where there is one."""
