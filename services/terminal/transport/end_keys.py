"""Ends a shell by keys, where closing its connection leaves it running.

See upstream/terminal: Leaving a shell.
"""

from __future__ import annotations

import asyncio
import contextlib

from services.errors import ShellError
from services.terminal.transport.base import CloseReason, Transport

LIMIT_S = 1.5
_AGAIN_S = 0.2
_KEY_GAP_S = 0.05


async def press_end_keys(shell: Transport) -> None:
    """Interrupt what runs, then end the input, until the shell ends or 1.5 s are over."""

    async def to_the_end() -> None:
        while not isinstance(await shell.read(), CloseReason):
            pass

    reading = asyncio.ensure_future(to_the_end())
    try:
        with contextlib.suppress(TimeoutError, ShellError):
            async with asyncio.timeout(LIMIT_S):
                while not reading.done():
                    # Again and again: what comes between two commands or prompts is thrown away.
                    await shell.write(b"\x03")
                    await asyncio.wait((reading,), timeout=_KEY_GAP_S)
                    await shell.write(b"\x04")
                    await asyncio.wait((reading,), timeout=_AGAIN_S)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
