"""A fleet that is only observed: real Observations of invented sandboxes, some of them changing.

Like a watched cluster it says every row again at every look, and gives way to keys between a few
hundred of them; of its rows one in a hundred changes each second: one change in five is of state,
the others of the tool at work and of queue counts.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from services.clock import Clock
from services.errors import UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Activity,
    Capability,
    Direction,
    Gateway,
    GatewayId,
    GatewayState,
    LogStream,
    Observation,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    seen_again,
)
from services.sources.protocol.actor import ReadOnlyActor
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import Verdict, VerdictKind

CHANGING = 0.01
"""Share of the rows that change each second."""
SOURCES = 5
AT_ONCE = 250
"""Rows made before giving way, as in a cluster's source."""
GATEWAYS = 4
"""Of each source."""
_STATES = (
    (SandboxState.READY, ""),
    (SandboxState.ASLEEP, "Nothing to do."),
    (SandboxState.STUCK, "Claims a message for 912 s and gives no sign of life."),
    (SandboxState.BROKEN, "Crashes at every start (3 times): no such image."),
)
_TOOLS = ("", "Bash", "Read", "WebFetch", "Edit")


def name_of(number: int) -> str:
    """The name of the n-th sandbox of the fleet."""
    return f"box-{number:05d}"


class Fleet:
    """One source of it: an observer that invents, from a seed of its own."""

    def __init__(self, key: str, numbers: range, clock: Clock) -> None:
        self.info = Source(key, "fleet", key, "nowhere", frozenset({Capability.QUEUE}))
        self._clock = clock
        self._chance = random.Random(key)
        self._seen_at = clock.monotonic()
        self._owed = 0.0
        self._gateways = [
            Gateway(
                GatewayId(key, f"gateway-{number}"),
                f"gateway-{number}",
                GatewayState.READY,
                "",
                clock.now(),
                address=f"10.0.0.{number}:443",
            )
            for number in range(GATEWAYS)
        ]
        self._rows = [self._invented(number) for number in numbers]

    async def observe(self) -> Observation:
        """Every row, made anew."""
        now, elapsed = self._clock.now(), self._clock.monotonic() - self._seen_at
        self._seen_at += elapsed
        self._owed += len(self._rows) * CHANGING * elapsed
        while self._owed >= 1:
            self._owed -= 1
            at = self._chance.randrange(len(self._rows))
            self._rows[at] = self._changed(self._rows[at])
        gateways = tuple(
            replace(one, observed_at=now, latency_s=self._chance.uniform(0.002, 0.04))
            for one in self._gateways
        )
        rows: list[Sandbox] = []
        for start in range(0, len(self._rows), AT_ONCE):
            rows += [seen_again(row, now) for row in self._rows[start : start + AT_ONCE]]
            await asyncio.sleep(0)
        return Observation(self.info.key, now, gateways, tuple(rows))

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        """Nothing on its way."""
        return QueueSnapshot(sandbox, self._clock.now(), (), (), ())

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        """There are no messages."""
        raise UnavailableError("A fleet has no messages.")

    async def probe(self, sandbox: SandboxId) -> Verdict:
        """All is well."""
        return Verdict(VerdictKind.READY, "")

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        """The one there is."""
        return ()

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        """One line."""
        yield LogRecord(sandbox.native_id)

    async def close(self) -> None:
        """Nothing is held."""

    def _invented(self, number: int) -> Sandbox:
        key = self.info.key
        name = name_of(number)
        row = Sandbox(
            SandboxId(key, name),
            name,
            SandboxState.READY,
            "",
            self._clock.now(),
            GatewayId(key, f"gateway-{number % GATEWAYS}"),
            Activity.IDLE,
            evidence=(("phase", "ready"), ("restarts", "0")),
            inbound=(("completed", number % 50),),
            outbound=(("delivered", number % 50),),
        )
        return self._changed(row) if number % 3 == 0 else row

    def _changed(self, row: Sandbox) -> Sandbox:
        if self._chance.random() < 0.2:
            others = [one for one in _STATES if one[0] is not row.state]
            state, reason = self._chance.choice(others)
            facts = (("phase", state.value), ("restarts", "0"))
            row = replace(row, activity=Activity.NONE, tool="", evidence=facts)
            return replace(row, state=state, reason=reason)
        if row.state is SandboxState.READY:
            tool = self._chance.choice([one for one in _TOOLS if one != row.tool])
            activity = Activity.WORKING if tool else Activity.IDLE
            row = replace(row, tool=tool, activity=activity)
        done = row.inbound[-1][1] + 1
        return replace(row, inbound=(("due", done % 7 + 1), ("completed", done)))


def fleets(size: int, clock: Clock) -> Sequence[Fleet]:
    """`size` sandboxes over `SOURCES` sources, equally."""
    each = size // SOURCES
    return [Fleet(f"site-{at}", range(at * each, (at + 1) * each), clock) for at in range(SOURCES)]


def open_fleets(size: int, clock: Clock) -> tuple[OpenSource, ...]:
    """The fleet as sources a panel can open; nothing in it can be acted on."""
    return tuple(OpenSource(one, ReadOnlyActor()) for one in fleets(size, clock))
