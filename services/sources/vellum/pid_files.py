"""What pid files say: they explain a state and never decide that something serves."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from services.files.bounded import open_regular
from services.lazy_dataclass import dataclass
from services.process.identity import ProcessId


class PidState(Enum):
    """One pid file and the process it names."""

    MISSING = "no pid file"
    STARTING = "being started"
    JUNK = "its pid file holds no number"
    UNREADABLE = "its pid file cannot be read"
    RECORDED = "a number, not looked up"
    DEAD = "dead"
    ZOMBIE = "dead, not reaped"
    STRANGER = "that number is another program's"
    ALIVE = "running"

    @property
    def over(self) -> bool:
        """Whether a process was recorded and is no more."""
        return self in (PidState.DEAD, PidState.ZOMBIE, PidState.STRANGER)


@dataclass(frozen=True, slots=True)
class PidFile:
    """`written_at` is seconds since the epoch, None without a file."""

    state: PidState = PidState.MISSING
    pid: int | None = None
    written_at: float | None = None
    process: ProcessId | None = None
    """The process itself, where it lives and is the one that was recorded."""
    name: str = ""
    """What runs under that number."""

    @property
    def alive(self) -> bool:
        """Whether the recorded process lives; a zombie and a stranger do not."""
        return self.state is PidState.ALIVE


def read(path: Path) -> PidFile:
    """Read one pid file; whose number it is has to be looked up."""
    try:
        written = path.stat().st_mtime
        with open_regular(path) as file:
            text = file.read(64).decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return PidFile()
    except OSError:
        return PidFile(PidState.UNREADABLE)
    if text == "starting":
        return PidFile(PidState.STARTING, None, written)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        return PidFile(PidState.JUNK, None, written)
    return PidFile(PidState.RECORDED, int(text), written)
