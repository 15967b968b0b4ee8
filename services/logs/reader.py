"""What a source reads of a log: records as they come, before they are made safe to show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from services.errors import WakedeckError
from services.lazy_dataclass import dataclass


class LogEndedError(WakedeckError):
    """All of a log was told and no more can come: it is not asked for again."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of a log as its source has it."""

    text: str
    at: float | None = None
    """Seconds since the epoch, where the log says so."""
    key: str = ""
    """Tells it from every other line, where it can be told."""
    note: bool = False
    """Said about the log, not by it."""


LogReader: TypeAlias = Callable[[float | None], AsyncIterator[LogRecord]]
"""One attempt to read, from an instant on where it is given; it knows nothing of trying again."""
