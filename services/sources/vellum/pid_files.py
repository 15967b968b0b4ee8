"""What pid files say: they explain a state and never decide that something serves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class PidState(Enum):
    """One pid file and the process it names."""

    MISSING = "no pid file"
    STARTING = "being started"
    JUNK = "its pid file holds no number"
    DEAD = "dead"
    ZOMBIE = "dead, not reaped"
    ALIVE = "running"


@dataclass(frozen=True, slots=True)
class PidFile:
    """`written_at` is seconds since the epoch, None without a file."""

    state: PidState = PidState.MISSING
    pid: int | None = None
    written_at: float | None = None

    @property
    def alive(self) -> bool:
        """Whether a process lives or is being started; a zombie does not."""
        return self.state in (PidState.ALIVE, PidState.STARTING)


def read(path: Path) -> PidFile:
    """Look at one pid file; nothing is signalled."""
    try:
        written = path.stat().st_mtime
        with path.open("rb") as file:
            text = file.read(64).decode("utf-8", "replace").strip()
    except OSError:
        return PidFile()
    if text == "starting":
        return PidFile(PidState.STARTING, None, written)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        return PidFile(PidState.JUNK, None, written)
    return PidFile(_state(int(text)), int(text), written)


def _state(pid: int) -> PidState:
    import psutil

    try:
        status = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return PidState.DEAD
    except psutil.Error:
        return PidState.ALIVE
    return PidState.ZOMBIE if status == psutil.STATUS_ZOMBIE else PidState.ALIVE
