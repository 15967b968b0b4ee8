"""A log followed for ever: batches of lines, taken up again by itself when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from services.clock import Clock
from services.errors import WakedeckError
from services.log_streams import LogLine
from services.text.redact import redact
from services.text.sanitize import plain

LONGEST_LINE = 2000
BATCH_S = 0.05
"""Lines that come within this time are handed over together, in real seconds."""
FULL = 500
REPLAY_S = 0.3
"""A source that is taken up again is heard out this long, to know what it tells twice."""
REMEMBERED = 2000
SETTLED_S = 1.0
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


def shown(line: str) -> str:
    """A line as it may be shown, whoever gave it."""
    return redact(plain(line, LONGEST_LINE))


class LogFollower:
    """Follows what `opened` gives; lines go to `deliver`, and why there are none to `lost`.

    Both are called on the loop and must not block. A flood is taken in at some ten thousand lines
    a second, so that everything else goes on.
    """

    def __init__(
        self,
        opened: Callable[[], AsyncIterator[str]],
        deliver: Callable[[Sequence[LogLine]], None],
        lost: Callable[[str, float | None], None],
        clock: Clock,
    ) -> None:
        """`lost` is given a reason and when it is tried again; an empty reason: all is well."""
        self._opened = opened
        self._deliver = deliver
        self._lost = lost
        self._clock = clock
        self._told: deque[str] = deque(maxlen=REMEMBERED)
        self._held: list[str] = []
        self._joining = False
        self._heard = False
        self._flush_at: asyncio.TimerHandle | None = None
        self._why = ""

    async def run(self) -> None:
        """Follow until cancelled; nothing is left running."""
        wait_s = FIRST_WAIT_S
        try:
            while True:
                began = self._clock.monotonic()
                self._heard, self._joining = False, bool(self._told)
                why = await self._once()
                self._flush()
                if self._heard or self._clock.monotonic() - began > LONGEST_WAIT_S:
                    wait_s = FIRST_WAIT_S
                if why != self._why:
                    self._why = why
                    self._deliver([LogLine(f"— {why}: asked again by itself", ours=True)])
                self._lost(why, self._clock.now() + wait_s)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        finally:
            if self._flush_at is not None:
                self._flush_at.cancel()

    async def _once(self) -> str:
        """Follow to the end of the stream; why it ended."""
        well = asyncio.get_running_loop().call_later(SETTLED_S, self._lost, "", None)
        stream: AsyncIterator[str] | None = None
        try:
            stream = self._opened()
            async for line in stream:
                self._take(shown(line))
                if len(self._held) >= FULL:
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

    def _take(self, line: str) -> None:
        self._held.append(line)
        loop = asyncio.get_running_loop()
        if self._joining and self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        if self._flush_at is None:
            self._flush_at = loop.call_later(REPLAY_S if self._joining else BATCH_S, self._flush)

    def _flush(self) -> None:
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        lines, self._held = self._held, []
        if self._joining and lines:
            self._joining = False
            lines = lines[overlap(list(self._told), lines) :]
        if not lines:
            return
        self._heard, self._why = True, ""
        self._told.extend(lines)
        self._lost("", None)
        self._deliver([LogLine(line) for line in lines])
