"""Mouse events as the bytes of modes 1000, 1002 and 1003, in SGR (1006) or legacy form."""

from __future__ import annotations

from enum import Enum

from services.lazy_dataclass import dataclass
from services.terminal.cells import MouseMode, TerminalModes

MOTION, WHEEL, SHIFT, ALT, CTRL = 32, 64, 4, 8, 16
LEGACY_LIMIT = 223
"""The furthest 1-based column or line the one-byte form can tell."""


class MouseAction(Enum):
    """What the mouse did."""

    PRESS = "press"
    RELEASE = "release"
    MOVE = "move"
    WHEEL_UP = "wheel up"
    WHEEL_DOWN = "wheel down"
    WHEEL_LEFT = "wheel left"
    WHEEL_RIGHT = "wheel right"


WHEELS = {
    MouseAction.WHEEL_UP: WHEEL,
    MouseAction.WHEEL_DOWN: WHEEL + 1,
    MouseAction.WHEEL_LEFT: WHEEL + 2,
    MouseAction.WHEEL_RIGHT: WHEEL + 3,
}


@dataclass(frozen=True, slots=True)
class MouseInput:
    """One mouse event at a cell, counted from 0 at the top left of the screen."""

    action: MouseAction
    column: int
    line: int
    button: int = 0
    """1 left, 2 middle, 3 right; 0 none (a move with nothing pressed)."""
    shift: bool = False
    alt: bool = False
    ctrl: bool = False


def wanted(event: MouseInput, mode: MouseMode) -> bool:
    """Whether the program asked for such an event."""
    if mode is MouseMode.OFF:
        return False
    if event.action is not MouseAction.MOVE:
        return True
    return mode is MouseMode.MOTION or (mode is MouseMode.DRAG and event.button > 0)


def encode_mouse(event: MouseInput, modes: TerminalModes) -> bytes | None:
    """The report, or None where the program did not ask for it or the form cannot tell the place.

    Positions are 1-based; a release keeps its button in SGR form and ends in `m`
    (upstream/terminal: Keys mouse and paste).
    """
    if not wanted(event, modes.mouse):
        return None
    released = event.action is MouseAction.RELEASE
    code = WHEELS.get(event.action, (event.button - 1) & 3)
    if released and not modes.mouse_sgr:
        code = 3
    if event.action is MouseAction.MOVE:
        code += MOTION
    code += SHIFT * event.shift + ALT * event.alt + CTRL * event.ctrl
    column, line = max(event.column, 0) + 1, max(event.line, 0) + 1
    if modes.mouse_sgr:
        return f"\x1b[<{code};{column};{line}{'m' if released else 'M'}".encode()
    if column > LEGACY_LIMIT or line > LEGACY_LIMIT:
        return None
    return b"\x1b[M" + bytes([32 + code, 32 + column, 32 + line])
