"""Runs child processes from argv lists, with a deadline and bounded output.

A child leads its own session, so whatever it starts without leaving can be ended with it. A child
that ends by itself leaves those alone: a command may rightly put something in the background.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.errors import DeadlineError, ProcessError
from services.process.child import LINGER_S, ChildProcess, run_to_completion, start, wait_for_event
from services.text.redact import MASK, redact_line
from services.text.sanitize import sanitize

_MEBIBYTE = 1 << 20
_LONGEST_LINE = 1 << 16
_HIGH_WATER, _LOW_WATER = 1000, 500


@dataclass(frozen=True, slots=True)
class Completed:
    """What one child left behind."""

    code: int | None
    """Exit status, negative for a signal; None where we ended it: its own outcome is unknown."""
    stdout: bytes
    stderr: bytes
    timed_out: bool
    truncated: bool
    """Some output went beyond the bound and was dropped."""
    duration_s: float


class _BoundedOutput:
    """The first `limit` bytes of a stream; what follows is read and dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.truncated = False

    def add(self, data: bytes) -> None:
        room = self._limit - len(self._data)
        self._data += data[:room]
        self.truncated = self.truncated or len(data) > room

    def masked(self, secrets: Sequence[bytes]) -> bytes:
        data = bytes(self._data)
        for secret in secrets:
            data = data.replace(secret, MASK.encode())
        if self.truncated:
            # The bound may have cut a secret in two: its first part must not remain.
            for secret in secrets:
                cut = next((n for n in range(len(secret), 0, -1) if data.endswith(secret[:n])), 0)
                if cut > 3:
                    data = data[:-cut] + MASK.encode()
        return data


def _encoded(secrets: Iterable[str]) -> list[bytes]:
    return sorted({s.encode() for s in secrets if s}, key=len, reverse=True)


async def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    max_output: int = _MEBIBYTE,
    secrets: Iterable[str] = (),
) -> Completed:
    """Run a child to its end or its deadline; cancelling ends its whole group first.

    `max_output` bounds each stream in bytes; `secrets` are masked in both.

    Raises:
        ProcessError: it could not be started; the sentence names the missing binary.
    """
    started = time.monotonic()
    kept = {1: _BoundedOutput(max_output), 2: _BoundedOutput(max_output)}
    running = await start(
        argv,
        lambda fd, data: kept[fd].add(data),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    timed_out = False
    try:
        pipe = running.pipe(0)
        if input is not None and isinstance(pipe, asyncio.WriteTransport):
            pipe.write(input)
            pipe.close()  # what is buffered goes out first
        if await wait_for_event(running.child.exited, timeout_s):
            await wait_for_event(running.child.drained, LINGER_S)
        else:
            timed_out = True
            await run_to_completion(running.end())
    except asyncio.CancelledError:
        await run_to_completion(running.end())
        raise
    finally:
        await run_to_completion(running.release())
    masks = _encoded(secrets)
    return Completed(
        code=None if timed_out else running.code,
        stdout=kept[1].masked(masks),
        stderr=kept[2].masked(masks),
        timed_out=timed_out,
        truncated=kept[1].truncated or kept[2].truncated,
        duration_s=time.monotonic() - started,
    )


class _LineBuffer:
    """Splits bytes into lines of at most 64 KiB; pauses the pipe while many lines wait."""

    def __init__(self) -> None:
        self.line_ready = asyncio.Event()
        self._ready: deque[bytes] = deque()
        self._rest = bytearray()
        self._pipe: asyncio.ReadTransport | None = None

    def attach(self, pipe: asyncio.BaseTransport | None) -> None:
        assert isinstance(pipe, asyncio.ReadTransport)
        self._pipe = pipe

    def add(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._rest += first[: _LONGEST_LINE - len(self._rest)]
        for part in others:
            self._ready.append(bytes(self._rest))
            self._rest = bytearray(part[:_LONGEST_LINE])
        if others:
            self.line_ready.set()
        if len(self._ready) > _HIGH_WATER and self._pipe is not None:
            self._pipe.pause_reading()

    def take(self) -> bytes | None:
        if not self._ready:
            return None
        line = self._ready.popleft()
        if len(self._ready) < _LOW_WATER and self._pipe is not None:
            self._pipe.resume_reading()
        return line

    def finish(self) -> bool:
        """Make a line of what came without an end; False where nothing did."""
        if not self._rest:
            return False
        self._ready.append(bytes(self._rest))
        self._rest = bytearray()
        return True


def _masked_line(raw: bytes, limit: int, secrets: Sequence[bytes]) -> str:
    for secret in secrets:
        raw = raw.replace(secret, MASK.encode())
    text = raw.decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
    return redact_line(text, limit)


async def lines(
    argv: Sequence[str],
    *,
    timeout_s: float | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    limit: int = 400,
    secrets: Iterable[str] = (),
) -> AsyncGenerator[str, None]:
    """Harmless, masked lines of stdout and stderr as they come, each at most `limit` characters.

    A slow reader slows the child; closing the iterator ends its group. `timeout_s` None: for as
    long as it runs.

    Raises:
        ProcessError: it could not be started, or ended with another status than 0.
        DeadlineError: it was still running after `timeout_s`.
    """
    masks = _encoded(secrets)
    kept = _LineBuffer()
    running = await start(
        argv,
        lambda _, data: kept.add(data),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    name = sanitize(Path(argv[0]).name, 60)
    child = running.child
    child.notify = kept.line_ready.set
    loop = asyncio.get_running_loop()
    until = None if timeout_s is None else loop.time() + timeout_s
    lingering = False
    try:
        kept.attach(running.pipe(1))
        while True:
            late = until is not None and loop.time() >= until
            if late and not await wait_for_event(child.exited, 0):
                raise DeadlineError(f"{name} was ended after {timeout_s:g} s.")
            if (line := kept.take()) is not None:
                yield _masked_line(line, limit, masks)
            elif child.exited.is_set() and (child.drained.is_set() or (late and lingering)):
                if not kept.finish():
                    break
            else:
                if child.exited.is_set() and not lingering:
                    lingering, until = True, loop.time() + LINGER_S
                await wait_for_event(
                    kept.line_ready, None if until is None else until - loop.time()
                )
                kept.line_ready.clear()
        if running.code:
            raise ProcessError(f"{name} ended with status {running.code}.", code=running.code)
    finally:
        await run_to_completion(_stop(running))


async def _stop(running: ChildProcess) -> None:
    if not running.child.exited.is_set():
        await running.end()
    await running.release()
