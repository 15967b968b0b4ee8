"""A transport that reconnects by itself after a connection loss; opt-in.

What was typed is never sent again, and typing ends the waiting (upstream/terminal: Reconnecting).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from services.clock import Clock
from services.errors import ShellError
from services.lazy_dataclass import dataclass
from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason, Transport
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.text.sanitize import sanitize

_PING_LIMIT_S = 40.0
"""A ping without an answer this long is a lost connection; below the session's own limit."""


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """Backoff and limits of reconnecting, in seconds."""

    initial_delay_s: float = 0.5
    max_delay_s: float = 30.0
    tries: int = 6
    total_limit_s: float = 120.0
    healthy_s: float = 60.0
    """A shell that lived this long starts the count afresh."""
    quiet_s: float = 2.0
    """Nothing may have been typed for this long: the operator is not in the middle of it."""

    def pause(self, tried: int, jitter: random.Random) -> float:
        """Full jitter over a span that doubles with each try."""
        return jitter.uniform(0, min(self.max_delay_s, self.initial_delay_s * 2**tried))


class ReconnectingTransport:
    """A transport that replaces its lost inner transport by a new one."""

    def __init__(
        self,
        make: Callable[[], Transport],
        clock: Clock,
        *,
        resumes: bool = False,
        policy: ReconnectPolicy | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        """`resumes` says that a new connection finds the old shell."""
        self._make = make
        self._clock = clock
        self._resumes = resumes
        self._policy = policy or ReconnectPolicy()
        self._jitter = jitter or random.Random()  # noqa: S311  no secret is made of it
        self._inner = make()
        self._size = (80, 24)
        self._lost: CloseReason | None = None
        self._lost_at = 0.0
        self._retry_delay_s = 0.0
        self._attempts = 0
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

    async def read(self) -> bytes | CloseReason:
        """The next output, what is being done about a loss, or the end."""
        if self._lost is None:
            got = await self._inner.read()
            if not isinstance(got, CloseReason):
                return got
            if self._clock.monotonic() - self._opened_at >= self._policy.healthy_s:
                self._attempts = 0
            if not self._may_retry(got):
                return got
            if not self._attempts:
                self._lost_at = self._clock.monotonic()
            return self._schedule_retry(got)
        return await self._reconnect(self._lost)

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
            async with asyncio.timeout(_PING_LIMIT_S):
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

    def _may_retry(self, ending: CloseReason) -> bool:
        """Whether the policy allows to reconnect after this close reason."""
        quiet = self._clock.monotonic() - self._typed_at >= self._policy.quiet_s
        most = self._policy.tries if ending.tries is None else ending.tries
        return (
            ending.state in (ShellState.LOST, ShellState.FAILED)
            and ending.retry is Retry.AUTO
            and quiet
            and not self._writing
            and self._attempts < most
        )

    def _schedule_retry(self, ending: CloseReason, least_s: float = 0.0) -> bytes:
        self._lost = ending
        self._typed.clear()
        self._retry_delay_s = max(self._policy.pause(self._attempts, self._jitter), least_s)
        return _line(
            f"{ending.reason}; trying again in {self._retry_delay_s:.0f} s, any key stops that"
        )

    async def _reconnect(self, lost: CloseReason) -> bytes | CloseReason:
        if await self._wait_for_typing(self._retry_delay_s):
            return replace(lost, retry=Retry.ASK)
        self._attempts += 1
        self._drop(self._inner)
        self._inner = self._make()
        try:
            await self._inner.open(*self._size)
        except ShellError as error:
            return self._failed(error, lost)
        self._opened_at = self._clock.monotonic()
        self._lost = None
        if self._resumes:
            return _line("connected again")
        return _line("new shell: the state of the previous one is gone")

    def _failed(self, error: ShellError, lost: CloseReason) -> bytes | CloseReason:
        ending = replace(
            lost, state=ShellState.LOST, reason=sanitize(str(error)), retry=error.retry, tries=None
        )
        late = self._clock.monotonic() - self._lost_at >= self._policy.total_limit_s
        if error.retry is not Retry.AUTO or late or self._attempts >= self._policy.tries:
            return replace(ending, reason=f"could not connect again: {ending.reason}")
        least = error.failure.retry_after_s if isinstance(error, HandshakeRefusedError) else None
        return self._schedule_retry(ending, least or 0.0)

    async def _wait_for_typing(self, seconds: float) -> bool:
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
