"""A shell that is opened again by itself where it was lost: opt-in, said aloud, never in a hurry.

What was typed is never sent again, and typing ends the waiting (upstream/terminal: Reconnecting).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.clock import Clock
from services.errors import ShellError
from services.models import Retry, ShellState
from services.terminal.transport.base import Ending, Transport
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.text.sanitize import plain

_SILENT_S = 40.0
"""A ping without an answer this long is a lost connection; below the session's own limit."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When and how often; seconds."""

    first_s: float = 0.5
    longest_s: float = 30.0
    tries: int = 6
    within_s: float = 120.0
    healthy_s: float = 60.0
    """A shell that lived this long starts the count afresh."""
    quiet_s: float = 2.0
    """Nothing may have been typed for this long: the operator is not in the middle of it."""

    def pause(self, tried: int, jitter: random.Random) -> float:
        """Full jitter over a span that doubles with each try."""
        return jitter.uniform(0, min(self.longest_s, self.first_s * 2**tried))


class Reconnecting:
    """One shell after another as one transport."""

    def __init__(
        self,
        make: Callable[[], Transport],
        clock: Clock,
        *,
        resumes: bool = False,
        policy: Policy | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        """`resumes` says that a new connection finds the old shell."""
        self._make = make
        self._clock = clock
        self._resumes = resumes
        self._policy = policy or Policy()
        self._jitter = jitter or random.Random()  # noqa: S311  no secret is made of it
        self._inner = make()
        self._size = (80, 24)
        self._lost: Ending | None = None
        self._lost_at = 0.0
        self._pause_s = 0.0
        self._tried = 0
        self._opened_at = 0.0
        self._typed_at = float("-inf")
        self._typed = asyncio.Event()
        self._writing = 0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def notice(self) -> str:
        """The shell's own."""
        return self._inner.notice

    async def open(self, columns: int, lines: int) -> None:
        """Open the first one; a failure is the operator's to judge.

        Raises:
            ShellError: as the shell's own `open`.
        """
        self._size = (columns, lines)
        await self._inner.open(columns, lines)
        self._opened_at = self._clock.monotonic()

    async def read(self) -> bytes | Ending:
        """The next output, what is being done about a loss, or the end."""
        if self._lost is None:
            got = await self._inner.read()
            if not isinstance(got, Ending):
                return got
            if self._clock.monotonic() - self._opened_at >= self._policy.healthy_s:
                self._tried = 0
            if not self._may(got):
                return got
            if not self._tried:
                self._lost_at = self._clock.monotonic()
            return self._wait_for(got)
        return await self._again(self._lost)

    async def write(self, data: bytes) -> None:
        """Send input; while there is no shell it is dropped, and ends the waiting for one."""
        if self._lost is not None:
            self._typed.set()
            return
        self._typed_at = self._clock.monotonic()
        self._writing += 1
        try:
            await self._inner.write(data)
        finally:
            self._writing -= 1

    async def acknowledge(self) -> bool:
        """Wait until the shell has taken what was written."""
        return False if self._lost is not None else await self._inner.acknowledge()

    async def ping(self) -> bool:
        """A sign of life; a shell that gives none is dropped, so that another can be opened."""
        if self._lost is not None:
            return True
        try:
            async with asyncio.timeout(_SILENT_S):
                return await self._inner.ping()
        except TimeoutError:
            self._drop(self._inner)
            return True

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size, now or with the next shell."""
        self._size = (columns, lines)
        if self._lost is None:
            await self._inner.resize(columns, lines)

    async def close(self) -> None:
        """Close what is open and wait for what was dropped."""
        await self._inner.close()
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _may(self, ending: Ending) -> bool:
        """Whether this loss is one to act on."""
        quiet = self._clock.monotonic() - self._typed_at >= self._policy.quiet_s
        most = self._policy.tries if ending.tries is None else ending.tries
        return (
            ending.state in (ShellState.LOST, ShellState.FAILED)
            and ending.retry is Retry.AUTO
            and quiet
            and not self._writing
            and self._tried < most
        )

    def _wait_for(self, ending: Ending, least_s: float = 0.0) -> bytes:
        self._lost = ending
        self._typed.clear()
        self._pause_s = max(self._policy.pause(self._tried, self._jitter), least_s)
        return _line(f"{ending.reason}; trying again in {self._pause_s:.0f} s, any key stops that")

    async def _again(self, lost: Ending) -> bytes | Ending:
        if await self._typed_within(self._pause_s):
            return replace(lost, retry=Retry.ASK)
        self._tried += 1
        self._drop(self._inner)
        self._inner = self._make()
        try:
            await self._inner.open(*self._size)
        except ShellError as error:
            return self._failed(error)
        self._opened_at = self._clock.monotonic()
        self._lost = None
        if self._resumes:
            return _line("connected again")
        return _line("new shell: the state of the previous one is gone")

    def _failed(self, error: ShellError) -> bytes | Ending:
        ending = Ending(ShellState.LOST, plain(str(error)), retry=error.retry)
        late = self._clock.monotonic() - self._lost_at >= self._policy.within_s
        if error.retry is not Retry.AUTO or late or self._tried >= self._policy.tries:
            return replace(ending, reason=f"could not connect again: {ending.reason}")
        least = error.failure.retry_after_s if isinstance(error, HandshakeRefusedError) else None
        return self._wait_for(ending, least or 0.0)

    async def _typed_within(self, seconds: float) -> bool:
        typed = asyncio.ensure_future(self._typed.wait())
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((typed, pause), return_when=asyncio.FIRST_COMPLETED)
            return typed.done()
        finally:
            for task in (typed, pause):
                task.cancel()
            await asyncio.gather(typed, pause, return_exceptions=True)

    def _drop(self, inner: Transport) -> None:
        """Close it beside what goes on."""
        task = asyncio.create_task(inner.close(), name="dropped shell")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _line(text: str) -> bytes:
    return f"\r\n\x1b[0m── {text} ──\r\n".encode()
