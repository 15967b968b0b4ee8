"""A program under test of the conformance suite: what is said to it, and all it says."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.process.child import ChildProcess, run_to_completion, start
from services.text.redact import redact_line
from services.wire.frames import FrameReader, WireError
from services.wire.messages import (
    WINDOW,
    Call,
    Delta,
    Done,
    Failed,
    Hello,
    Message,
    ShellData,
    ShellEnded,
    ShellWindow,
    decode,
    encode,
)

ANSWER_S = 10.0
_LAST = (Done, Failed, ShellEnded)


class UnmetError(Exception):
    """A requirement that is not met; the text says which and how."""


@dataclass
class CheckedProgram:
    """The program under test and all it has said."""

    child: ChildProcess
    frames: FrameReader = field(default_factory=FrameReader)
    heard: deque[Message] = field(default_factory=deque)
    times: list[tuple[float, Delta]] = field(default_factory=list)
    error: str = ""
    hello: Hello | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stderr: bytes = b""
    next_id: int = 1

    def received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            self.stderr = (self.stderr + data)[-4096:]
            return
        try:
            for payload in self.frames.feed(data):
                message = decode(payload)
                if isinstance(message, str):
                    raise WireError(f"a message of the unknown type {message!r}")
                if isinstance(message, Hello) and self.hello is None:
                    self.hello = message
                elif isinstance(message, Delta):
                    self.times.append((time.monotonic(), message))
                else:
                    self.heard.append(message)
        except WireError as error:
            self.error = self.error or str(error)
        self.changed.set()

    def say(self, data: bytes) -> None:
        pipe = self.child.pipe(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(data)

    async def until(self, holds: Callable[[], Any], what: str, seconds: float = ANSWER_S) -> Any:
        """Wait until something holds; `what` is missing otherwise."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := holds()):
                    if self.error:
                        raise UnmetError(self.error)
                    if self.child.child.exited.is_set() and self.child.child.drained.is_set():
                        said = redact_line(self.stderr.decode("utf-8", "replace"), 200)
                        raise UnmetError(f"it ended (status {self.child.code}) {said}".strip())
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise UnmetError(f"{what} within {seconds:g} s") from None
        return found

    def call(self, method: str, **args: Any) -> int:
        id, self.next_id = self.next_id, self.next_id + 1
        self.say(encode(Call(id, method, args)))
        return id

    def of(self, id: int) -> list[Message]:
        """What came for one call or shell."""
        return [one for one in self.heard if getattr(one, "id", None) == id]

    async def answer(self, id: int, what: str) -> list[Message]:
        """All of a call up to its last message, its window kept open."""
        granted = 0

        def whole() -> bool:
            nonlocal granted
            told = self.of(id)
            for one in told[granted:]:
                size = len(one.data) if isinstance(one, ShellData) else WINDOW // 64
                self.say(encode(ShellWindow(id, size)))
            granted = len(told)
            return any(isinstance(one, _LAST) for one in told)

        await self.until(whole, f"no done or failed for {what}")
        return self.of(id)


@asynccontextmanager
async def started(argv: Sequence[str]) -> AsyncIterator[CheckedProgram]:
    heard: list[CheckedProgram] = []

    def received(fd: int, data: bytes) -> None:
        heard[0].received(fd, data)

    child = await start(
        argv, received, cwd=None, env=None, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    peer = CheckedProgram(child)
    heard.append(peer)
    child.child.notify = peer.changed.set
    try:
        yield peer
    finally:
        if not child.child.exited.is_set():
            await run_to_completion(child.end())
        await run_to_completion(child.release())
