"""Leaving a shell: an idle one is asked to end, since closing alone may orphan it.

See upstream/pods: Processes left behind; upstream/terminal: Leaving a shell.
"""

from __future__ import annotations

import asyncio
import contextlib

from services.models import ShellState
from services.terminal.session.input_queue import INTERRUPT, Outbox
from services.terminal.session.prompts import PromptSense
from services.terminal.transport.base import Ending

LIMIT_S = 1.0
_PROMPT_LIMIT_S = 0.4
_QUIET_S = 0.03
_AGAIN_S = 0.25
_END_OF_FILE = b"\x04"


class Departure:
    """The polite detach of one session."""

    def __init__(self, outbox: Outbox, detach_keys: bytes = b"") -> None:
        """`detach_keys` leave a process that is not ours to end."""
        self.prompt = PromptSense()
        self.asked = asyncio.Event()
        self._outbox = outbox
        self._detach_keys = detach_keys
        self._output = asyncio.Event()

    def note(self, output: bytes) -> None:
        """Take in what the shell printed."""
        self.prompt.note(output)
        self._output.set()

    async def leave(self) -> Ending:
        """Once asked to, and after a second at most: how it was left.

        The end of the shell itself, which reading may find meanwhile, is the better ending.
        """
        await self.asked.wait()
        if self._detach_keys:
            self._outbox.type(self._detach_keys)
            await asyncio.sleep(LIMIT_S)
            return Ending(ShellState.DETACHED, "detached; what it was attached to runs on")
        if not self.prompt.idle:
            return Ending(ShellState.DETACHED, "detached while something ran in it")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                self._outbox.type(INTERRUPT)
                await self._prompt_again()
                self._outbox.type(_END_OF_FILE)
                while True:
                    await asyncio.sleep(_AGAIN_S)
                    if self.prompt.idle:
                        # A shell that is busy with its signals may miss the first.
                        self._outbox.type(_END_OF_FILE)
        return Ending(ShellState.DETACHED, "detached; the shell did not end by itself")

    async def _prompt_again(self) -> None:
        """Give the shell time to clear its line: what comes sooner, it may throw away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PROMPT_LIMIT_S):
                self._output.clear()
                await self._output.wait()
                while True:
                    self._output.clear()
                    await asyncio.sleep(_QUIET_S)
                    if self.prompt.idle and not self._output.is_set():
                        return
