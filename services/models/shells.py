"""Terminal sessions and log streams."""

from __future__ import annotations

from enum import Enum

from services.lazy_dataclass import dataclass
from services.models.rows import SandboxId


class ShellState(Enum):
    """States of one terminal session (upstream/terminal: Session states)."""

    RESOLVING = "resolving"
    CONNECTING = "connecting"
    OPEN = "open"
    ENDED = "ended"
    LOST = "lost"
    FAILED = "failed"
    DETACHED = "detached"

    @property
    def over(self) -> bool:
        """Whether the session has reached its one terminal state."""
        return self.value in ("ended", "lost", "failed", "detached")


class Retry(Enum):
    """Whether opening again can help (upstream/terminal: Why a session ends)."""

    AUTO = "auto"
    ASK = "ask"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Shell:
    """One terminal session, as it stands."""

    id: str
    sandbox: SandboxId
    state: ShellState
    started_at: float
    code: int | None = None
    """The exit code, only where a status arrived: never invented."""
    reason: str = ""
    retry: Retry = Retry.ASK
    resumes: bool = False
    """Whether opening it again goes on in the same shell, where that is still there."""
    title: str = ""
    folder: str = ""
    """The working folder, where the shell says so (OSC 7); harmless."""
    skipping: bool = False
    skipped_bytes: int = 0
    input_blocked: bool = False  # the remote is not reading what was sent
    notice: str = ""
    """One line above the grid, such as whose machine this shell runs on."""


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream of one sandbox's log; the first a source names is the one shown unasked."""

    name: str
    """What `Observer.logs` and `wakedeck logs --stream` are given."""
    title: str  # harmless


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log, harmless and without secrets."""

    text: str
    ours: bool = False  # said by the panel about the log, not by the log
