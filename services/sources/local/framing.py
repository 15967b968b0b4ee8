"""The CentML family as our own gateway speaks it: with the exit code in a frame of its own."""

from __future__ import annotations

from services.files.bounded import parse_json
from services.terminal.transport.base import exited
from services.terminal.transport.framing import Finished, FrameEvent
from services.terminal.transport.json_frames import JsonFraming

_LONGEST = 200


class EmbeddedFraming(JsonFraming):
    """Everything of the family, and `{"operation": "exit", "code": N}` before the close."""

    def decode(self, frame: str | bytes) -> tuple[FrameEvent, ...]:
        """Events in order; never raises."""
        code = _exit_code(frame)
        return super().decode(frame) if code is None else (Finished(exited(code)),)


def _exit_code(frame: str | bytes) -> int | None:
    if len(frame) > _LONGEST:
        return None
    try:
        said = parse_json(frame)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("operation") != "exit":
        return None
    code = said.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None
