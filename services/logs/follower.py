"""Follows a log: delivers its lines in batches and opens it again when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from services.clock import Clock
from services.errors import WakedeckError
from services.models import LogLine
from services.text.redact import redact
from services.text.sanitize import sanitize

LONGEST_LINE = 2000
BATCH_S = 0.05
"""Lines that come within this time are handed over together, in real seconds."""
BATCH_LINES = 500
REPLAY_S = 0.3
"""A source that is taken up again is heard out this long, to know what it tells twice."""
HISTORY_LINES = 2000
STABLE_S = 1.0
"""A stream that has not been lost for this long is well, though it says nothing."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
_LOG = logging.getLogger(__name__)


def overlap(before: Sequence[str], again: Sequence[str]) -> int:
    """How many of the first lines of `again` were the last of `before`."""
    for count in range(len(again), 0, -1):
        held = min(count, len(before))
        if held and again[count - held : count] == before[len(before) - held :]:
            return count
    return 0


def redact_log_line(line: str) -> str:
    """One line of a log, sanitized and redacted."""
    return redact(sanitize(line, LONGEST_LINE))


class LogFollower:
    """Follows what `open_stream` gives; lines go to `deliver`, and why there are none to `on_lost`.

    Both are called on the loop and must not block. A flood is taken in at some ten thousand lines
    a second, so that everything else goes on.
    """

    def __init__(
        self,
        open_stream: Callable[[], AsyncIterator[str]],
        deliver: Callable[[Sequence[LogLine]], None],
        on_lost: Callable[[str, float | None], None],
        clock: Clock,
    ) -> None:
        """`on_lost` is given a reason and when it is tried again; an empty reason: all is well."""
        self._open_stream = open_stream
        self._deliver = deliver
        self._on_lost = on_lost
        self._clock = clock
        self._delivered: deque[str] = deque(maxlen=HISTORY_LINES)
        self._buffer: list[str] = []
        self._resuming = False
        self._received = False
        self._flush_at: asyncio.TimerHandle | None = None
        self._last_problem = ""

    async def run(self) -> None:
        """Follow until cancelled; nothing is left running."""
        wait_s = FIRST_WAIT_S
        try:
            while True:
                began = self._clock.monotonic()
                self._received, self._resuming = False, bool(self._delivered)
                why = await self._follow_once()
                self._flush()
                if self._received or self._clock.monotonic() - began > LONGEST_WAIT_S:
                    wait_s = FIRST_WAIT_S
                if why != self._last_problem:
                    self._last_problem = why
                    self._deliver([LogLine(f"— {why}: asked again by itself", ours=True)])
                self._on_lost(why, self._clock.now() + wait_s)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        finally:
            if self._flush_at is not None:
                self._flush_at.cancel()

    async def _follow_once(self) -> str:
        """Follow to the end of the stream; why it ended."""
        well = asyncio.get_running_loop().call_later(STABLE_S, self._on_lost, "", None)
        stream: AsyncIterator[str] | None = None
        try:
            stream = self._open_stream()
            async for line in stream:
                self._add_line(redact_log_line(line))
                if len(self._buffer) >= BATCH_LINES:
                    self._flush()
                    await asyncio.sleep(BATCH_S)
            return "the log ended"
        except WakedeckError as error:
            return error.sentence.rstrip(".")
        except Exception as error:
            _LOG.exception("a log could not be followed")
            return f"the log could not be read ({type(error).__name__})"
        finally:
            well.cancel()
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()

    def _add_line(self, line: str) -> None:
        self._buffer.append(line)
        loop = asyncio.get_running_loop()
        if self._resuming and self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        if self._flush_at is None:
            self._flush_at = loop.call_later(REPLAY_S if self._resuming else BATCH_S, self._flush)

    def _flush(self) -> None:
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        lines, self._buffer = self._buffer, []
        if self._resuming and lines:
            self._resuming = False
            lines = lines[overlap(list(self._delivered), lines) :]
        if not lines:
            return
        self._received, self._last_problem = True, ""
        self._delivered.extend(lines)
        self._on_lost("", None)
        self._deliver([LogLine(line) for line in lines])
