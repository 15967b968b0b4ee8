"""A terminal emulator: bytes in, a screen to draw and replies out."""

from services.terminal.emulator.emulator import Emulator

__all__ = ("Emulator",)
