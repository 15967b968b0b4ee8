"""Framing protocol of a WebSocket shell and the events a frame decodes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from services.lazy_dataclass import dataclass
from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason

MAX_MALFORMED_FRAMES = 3
"""So many frames that are not of the family end a session (upstream/pods: JSON frames)."""
NOT_A_TERMINAL = CloseReason(
    ShellState.FAILED,
    "protocol: the server sent something that is not a terminal message",
    retry=Retry.NO,
)


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes for the emulator."""

    data: bytes
    stderr: bool = False
    """Whether they came apart from the rest, as error output."""


@dataclass(frozen=True, slots=True)
class RemoteError:
    """A sentence the peer sent as an error; harmless text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer said how the session ended, before it closes the connection."""

    ending: CloseReason


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame that is not of this family; dropped and counted."""

    reason: str


FrameEvent: TypeAlias = Output | RemoteError | Finished | Malformed


class Framing(Protocol):
    """One connection's framing: remembers no bytes but those of a split character."""

    @property
    def subprotocols(self) -> Sequence[str]:
        """What to offer in the handshake, preferred first; empty for none."""

    @property
    def repeats_size(self) -> bool:
        """Whether the first size may be lost, so that it is sent again after the first output."""

    @property
    def silent_end(self) -> bool:
        """Whether this family ends a session by dropping the connection without a close frame."""

    def on_subprotocol(self, subprotocol: str | None) -> None:
        """Told what the handshake settled on: one of `subprotocols`, None where there are none."""

    def encode_resize(self, columns: int, lines: int) -> str | bytes:
        """One frame that tells the size; empty where there is no terminal to tell it to."""

    def encode_input(self, data: bytes) -> Sequence[str | bytes]:
        """The frames that carry input; bytes of an unfinished character wait for the rest."""

    def decode(self, frame: str | bytes) -> Sequence[FrameEvent]:
        """What one frame says; never raises."""
