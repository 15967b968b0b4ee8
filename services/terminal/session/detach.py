"""Detaching from a shell: an idle one is asked to exit.

See upstream/pods: Processes left behind; upstream/terminal: Leaving a shell.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

from services.models import ShellState
from services.terminal.session.input_queue import INTERRUPT, InputQueue
from services.terminal.transport.base import CloseReason

LIMIT_S = 1.0
_PROMPT_LIMIT_S = 0.4
_QUIET_S = 0.03
_RETRY_S = 0.25
_END_OF_FILE = b"\x04"
_TAIL_BYTES = 512
_LONGEST_MARK = 8
_PASTE_ON, _PASTE_OFF = b"\x1b[?2004h", b"\x1b[?2004l"
_ALTERNATE_ON, _ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


class PromptDetector:
    """Reports a shell as busy where its output is ambiguous."""

    def __init__(self) -> None:
        self._tail = b""
        self._paste: bool | None = None
        self._alternate = False

    def feed(self, data: bytes) -> None:
        """Take output in."""
        seam = self._tail[-_LONGEST_MARK:] + data
        self._paste = _latest(seam, _PASTE_ON, _PASTE_OFF, self._paste)
        self._alternate = bool(_latest(seam, _ALTERNATE_ON, _ALTERNATE_OFF, self._alternate))
        self._tail = (
            data[-_TAIL_BYTES:] if len(data) >= _TAIL_BYTES else (self._tail + data)[-_TAIL_BYTES:]
        )

    @property
    def idle(self) -> bool:
        """Whether it looks idle.

        A line editor asks for bracketed paste before it prints a prompt and takes it back before
        it runs a command. A shell without one is idle where the last line ends as prompts do.
        """
        if self._alternate:
            return False
        if self._paste is not None:
            prompt = _SEQUENCE.sub(b"", self._tail.rpartition(_PASTE_ON)[2])
            return self._paste and bool(prompt.strip())
        line = _SEQUENCE.sub(b"", self._tail).rpartition(b"\n")[2].rpartition(b"\r")[2]
        return line.endswith((b"$ ", b"# ", b"% ", b"> "))


class Detacher:
    """Detaches from one shell; `requested` starts it."""

    def __init__(self, input_queue: InputQueue, detach_keys: bytes = b"") -> None:
        """`detach_keys` leave a process that is not ours to end."""
        self.prompt = PromptDetector()
        self.requested = asyncio.Event()
        self._input_queue = input_queue
        self._detach_keys = detach_keys
        self._output = asyncio.Event()

    def feed(self, output: bytes) -> None:
        """Take in what the shell printed."""
        self.prompt.feed(output)
        self._output.set()

    async def run(self) -> CloseReason:
        """Wait for `requested`, detach within `LIMIT_S`, return the close reason.

        The end of the shell itself, which reading may find meanwhile, is the better ending.
        """
        await self.requested.wait()
        if self._detach_keys:
            self._input_queue.type(self._detach_keys)
            await asyncio.sleep(LIMIT_S)
            return CloseReason(ShellState.DETACHED, "detached; what it was attached to runs on")
        if not self.prompt.idle:
            return CloseReason(ShellState.DETACHED, "detached while something ran in it")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                self._input_queue.type(INTERRUPT)
                await self._wait_for_prompt()
                self._input_queue.type(_END_OF_FILE)
                while True:
                    await asyncio.sleep(_RETRY_S)
                    if self.prompt.idle:
                        # A shell that is busy with its signals may miss the first.
                        self._input_queue.type(_END_OF_FILE)
        return CloseReason(ShellState.DETACHED, "detached; the shell did not end by itself")

    async def _wait_for_prompt(self) -> None:
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


def _latest(data: bytes, on: bytes, off: bytes, before: bool | None) -> bool | None:
    set_at, reset_at = data.rfind(on), data.rfind(off)
    return before if set_at == reset_at else set_at > reset_at
