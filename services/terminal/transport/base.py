"""Transport protocol of one shell: open, read, write, resize, close."""

from __future__ import annotations

from typing import Protocol, TypeVar

from services.errors import ShellError
from services.lazy_dataclass import dataclass
from services.models import Retry, ShellState

T = TypeVar("T")

_MEANINGS = {130: "interrupted", 137: "killed or out of memory", 143: "terminated"}


@dataclass(frozen=True, slots=True)
class CloseReason:
    """Why a shell's connection ended.

    See upstream/terminal: Session states; upstream/terminal: Why a session ends.
    """

    state: ShellState
    """`ENDED` where the peer said so, `LOST` where it did not, `FAILED` where it never began."""
    reason: str
    code: int | None = None
    """Only where a status arrived: success needs proof."""
    retry: Retry = Retry.ASK
    tries: int | None = None
    """How often trying again by itself may be repeated; None for as often as the policy says."""
    resumes: bool = False
    """Whether the next connection goes on in the same shell, where that is still there."""


def exited(code: int) -> CloseReason:
    """The end of a shell whose status arrived."""
    meaning = f": {_MEANINGS[code]}" if code in _MEANINGS else ""
    return CloseReason(ShellState.ENDED, f"exited ({code}{meaning})", code=code)


def require_open(connection: T | None) -> T:
    """The connection of a shell.

    Raises:
        ShellError: it was not opened.
    """
    if connection is None:
        raise ShellError("this shell is not open")
    return connection


class Transport(Protocol):
    """One connection to one shell. Opened once; used by one session; never shared."""

    @property
    def notice(self) -> str:
        """One line the operator should know about this shell; may be empty."""

    async def open(self, columns: int, lines: int) -> None:
        """Connect and tell the size before any other byte.

        Raises:
            ShellError: with the operator's sentence and whether a retry can help.
        """

    async def read(self) -> bytes | CloseReason:
        """The next output, or why there is no more. Not called after a `CloseReason`."""

    async def write(self, data: bytes) -> None:
        """Send input; silently nothing once the connection is gone (`read` says why)."""

    async def acknowledge(self) -> bool:
        """Wait until the peer has taken what was written (upstream/terminal: Sending).

        False where the transport cannot know; callers bound the wait.
        """

    async def ping(self) -> bool:
        """Ask for a sign of life; True where any frame came back. Callers bound the wait."""

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size; failures are swallowed and never change the session's state."""

    async def close(self) -> None:
        """Detach politely, then drop; idempotent, bounded, never raises."""
