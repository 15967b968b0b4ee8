"""What tells, between two polls, that a gateway of this machine is another one than it was.

Files, processes and ports alone: nothing is asked of a gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from services.agents.openclaw.evidence import OpenClawEvidence
from services.agents.openclaw.judgement import OpenClawJudgement
from services.clock import Clock
from services.models import GatewayState
from services.process.identity import listening_inodes
from services.sources.openclaw.files import config_version, read_lock
from services.sources.openclaw.layout import StateDirectory, state_directories

LISTEN_S = 0.5
SETTLING_S = 1.0
"""What is starting is looked at again after so long."""
_Signs = tuple[object, object, frozenset[int]]


class StateWatch:
    """Compares the state directories with how they were when the last poll began."""

    def __init__(self, state_dir: str, environ: Mapping[str, str], clock: Clock) -> None:
        self._state_dir = state_dir
        self._environ = environ
        self._clock = clock
        self._before: dict[str, _Signs] = {}
        self._ports: dict[str, int] = {}
        """Of those that do not serve, the port that somebody may take."""
        self._settling = False

    async def begin(self) -> None:
        """A poll begins: what changes from now on is news after it."""
        self._before = await asyncio.to_thread(self._read)

    def end(
        self, seen: Mapping[str, OpenClawEvidence], judged: Mapping[str, OpenClawJudgement]
    ) -> None:
        """What the poll came to."""
        self._ports = {
            key: one.port
            for key, one in seen.items()
            if one.port is not None and judged[key].gateway is not GatewayState.READY
        }
        self._settling = any(one.gateway is GatewayState.SETTLING for one in judged.values())

    async def changed(self) -> None:
        """Return when there is something to look at."""
        began = self._clock.monotonic()
        while True:
            await self._clock.sleep(LISTEN_S)
            if self._settling and self._clock.monotonic() - began >= SETTLING_S:
                return
            if await asyncio.to_thread(self._read) != self._before:
                return

    def _read(self) -> dict[str, _Signs]:
        places = state_directories(self._state_dir, self._environ)
        return {one.id: self._signs(one) for one in places}

    def _signs(self, place: StateDirectory) -> _Signs:
        held = read_lock(place, 0.0)
        lock = held.lock
        port = self._ports.get(place.id)
        return (
            (lock.state, lock.pid, held.process, lock.suspended, lock.problem),
            config_version(place),
            frozenset() if port is None else listening_inodes(port),
        )
