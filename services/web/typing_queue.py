"""What a page typed and its panel has not taken yet: bounded, in order, at a bearable pace.

A panel reads its pipe faster than it can act on keys and holds the rest in memory, so the pipe
alone holds nobody back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from services.web.panel_process import PanelProcess

MOST_HELD = 2 << 20
"""Characters that may wait: two of the largest pastes."""
BURST = 16 << 10
PER_SECOND = 2 << 10
"""Keys a panel is given at once, and from then on; fingers and a mouse stay far below."""
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_PASTE_SHARE = 256
"""A paste is one event however long it is."""
_OTHER = 64
"""What another size or a focus counts as, and each thing that waits beside its length."""


class TypingQueue:
    """Takes at once, and hands over at a pace."""

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._waiting: deque[str | tuple[int, int] | bool] = deque()
        self._held = 0
        self._some = asyncio.Event()

    def put(self, said: str | tuple[int, int] | bool) -> bool:
        """Take a text, a size, or a focus; False where more waits than may."""
        waiting = self._waiting
        if not isinstance(said, str) and waiting and type(waiting[-1]) is type(said):
            waiting[-1] = said  # the last size is the one that counts
            return True
        waiting.append(said)
        self._held += _weight(said)
        self._some.set()
        return self._held <= MOST_HELD

    async def hand_over(self, panel: PanelProcess) -> None:
        """Give the panel what comes, until cancelled."""
        loop = asyncio.get_running_loop()
        room, since = float(BURST), loop.time()
        while True:
            while not self._waiting:
                self._some.clear()
                await self._some.wait()
            said = self._waiting.popleft()
            if isinstance(said, str) and len(said) > PER_SECOND and not _is_paste(said):
                said, rest = said[:PER_SECOND], said[PER_SECOND:]
                self._waiting.appendleft(rest)
                self._held += _OTHER
            now = loop.time()
            room, since = min(BURST, room + (now - since) * PER_SECOND), now
            room -= cost_of(said)
            if room < 0:
                await self._sleep(-room / PER_SECOND)
            self._held -= _weight(said)
            match said:
                case str(text):
                    await panel.type(text)
                case (columns, lines):
                    await panel.tell("resize", width=columns, height=lines)
                case focused:
                    await panel.tell("focus" if focused else "blur")


def _weight(said: str | tuple[int, int] | bool) -> int:
    return _OTHER + (len(said) if isinstance(said, str) else 0)


def cost_of(said: str | tuple[int, int] | bool) -> int:
    """How many keys it counts as."""
    if not isinstance(said, str):
        return _OTHER
    return len(said) // _PASTE_SHARE + 1 if _is_paste(said) else len(said)


def _is_paste(text: str) -> bool:
    """One paste and nothing after it."""
    end = len(text) - len(_PASTE_ENDS)
    return text.startswith(_PASTE_BEGINS) and text.find(_PASTE_ENDS) == end
