"""What one probe of an assistant gathers, not judged yet."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from services.lazy_dataclass import dataclass
from services.sources.vellum.credential import Credential
from services.sources.vellum.http_probe import HttpReply
from services.sources.vellum.ownership import Listener
from services.sources.vellum.pid_files import PidFile


class ActionKind(Enum):
    """What an attempt did before it asks what the outcome means."""

    REFRESH = "refresh"
    MINT = "mint"
    WAKE = "wake"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """How something we did ended."""

    kind: ActionKind
    status: int = 0
    """HTTP status of a refresh or a mint; 0 where none is known."""
    word: str = ""
    """The error's own name for itself."""
    retry_after: str = ""
    young: bool = False
    """The gateway started less than a minute ago, and may still refuse what it will accept."""
    problem: str = ""
    """Why the command could not be run."""
    code: int | None = None
    """Exit status of a command; None where we ended it."""
    said: str = ""
    """Its last lines, harmless."""
    timed_out: bool = False
    """It was over its limit."""
    unnamed: bool = False
    """The command named no reason; the status follows from a look at the gateway."""


@dataclass(frozen=True, slots=True)
class AssistantEvidence:
    """Everything known of one assistant at `now`, seconds since the epoch."""

    now: float
    environment: str = "production"
    registry: str = ""
    """Path of the lockfile."""
    registry_problem: str = ""
    registered: bool = True
    elsewhere: tuple[str, ...] = ()
    """Other environments that hold entries."""
    cloud: str = "local"
    port: int | None = None
    daemon_port: int | None = None
    health: HttpReply | None = None
    ready: HttpReply | None = None
    daemon: HttpReply | None = None
    gateway: PidFile = field(default_factory=PidFile)
    assistant: PidFile = field(default_factory=PidFile)
    credential: Credential = field(default_factory=Credential)
    unready_s: float = 0.0
    """How long the gateway has been saying that its assistant is not ready."""
    draining_s: float = 0.0
    """How long it has been saying that it shuts down."""
    tool: str = ""
    """Why the vellum command cannot be run; empty where it can."""
    listener: Listener = field(default_factory=Listener)
    """Who holds the gateway's port."""
    shared: tuple[str, ...] = ()
    """Names of other assistants with the same gateway port."""
    moved: tuple[int, ...] = ()
    """Other ports on which its recorded gateway listens, where not on the one that is recorded."""
    gateway_s: float | None = None
    """How long its recorded gateway process has been running."""
    starter: int | None = None
    """The pid of a vellum command that is starting it now."""
    lived: bool = True
    """Whether its instance folder holds a workspace: it has run before."""
    early_deaths: int = 0
    """How many of its last starts ended soon."""
    last_line: str = ""
    """What its gateway said last, harmless."""
    over: bool = False
    """What a wake of ours started has ended."""
    key_files: tuple[float | None, ...] = ()
    """When the registry and the file of the signing key were written; None where there is none."""
    key_refusal: str = ""
    """What vellum said when it refused a wake over that key; those files have not changed since."""
    watched_s: float | None = None
    """Since a wake of ours it has answered this long, and is still watched."""
    action: ActionResult | None = None
