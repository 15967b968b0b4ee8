"""What an exit code says to an operator."""

from __future__ import annotations

from services.models import ShellState
from services.terminal.transport.base import CloseReason

_MEANINGS = {130: "interrupted", 137: "killed or out of memory", 143: "terminated"}


def exited(code: int) -> CloseReason:
    """The end of a shell whose status arrived."""
    meaning = f": {_MEANINGS[code]}" if code in _MEANINGS else ""
    return CloseReason(ShellState.ENDED, f"exited ({code}{meaning})", code=code)
