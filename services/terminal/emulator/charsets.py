"""Character sets: designating them, and shifting between them."""

from __future__ import annotations

from services.terminal.emulator.screen import Screen
from services.terminal.emulator.state import Charset


def define_charset(screen: Screen, chosen: Charset, slot: int) -> None:
    """Designate a character set."""
    screen.charsets.designated[slot] = chosen
    screen.update_flags()


def shift_in(screen: Screen) -> None:
    """SI."""
    _lock(screen, 0)


def shift_out(screen: Screen) -> None:
    """SO."""
    _lock(screen, 1)


def lock_shift_2(screen: Screen) -> None:
    """LS2."""
    _lock(screen, 2)


def lock_shift_3(screen: Screen) -> None:
    """LS3."""
    _lock(screen, 3)


def _lock(screen: Screen, slot: int) -> None:
    screen.charsets.gl = slot
    screen.update_flags()


def single_shift_2(screen: Screen) -> None:
    """SS2."""
    screen.charsets.shift = 2
    screen.update_flags()


def single_shift_3(screen: Screen) -> None:
    """SS3."""
    screen.charsets.shift = 3
    screen.update_flags()
