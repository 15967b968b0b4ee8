"""Looks at one terminal server; starts no shell."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError, WakedeckError
from services.logs.reader import LogRecord
from services.models import (
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    LogStream,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
)
from services.net.http import KeptHttp
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.sources.terminal.health import Health, check
from services.sources.terminal.server import TerminalServer
from services.text.sanitize import sanitize

NO_LOGS = "a terminal server tells no log"
ADVICE = "It is started and set up where it runs; nothing here can."


def check_id(sandbox: SandboxId) -> None:
    """Whether that is the one sandbox of a terminal server, which bears its source's name.

    Raises:
        NotFoundError: it is not.
    """
    if sandbox.native_id != sandbox.source:
        raise NotFoundError(f"There is no terminal {sanitize(sandbox.native_id, 100)!r}.")


class TerminalObserver(NoQueues):
    """One server as a source: its row, and one of the terminal behind it."""

    def __init__(self, info: Source, server: TerminalServer, clock: Clock) -> None:
        super().__init__("A terminal has no queues.")
        self.info = info
        self._server = server
        self._clock = clock
        self._http = KeptHttp(server.http)

    async def observe(self) -> Observation:
        began = time.monotonic()
        health = await check(self._server, self._http.opened())
        latency = time.monotonic() - began
        now = self._clock.now()
        closed = health.server is not GatewayState.READY
        gateway = Gateway(
            GatewayId(self.info.key, "server"),
            f"{self.info.label} server",
            health.server,
            health.server_reason,
            now,
            address=self._server.address.place,
            latency_s=None if closed else latency,
            evidence=self._evidence(health),
        )
        terminal = Sandbox(
            SandboxId(self.info.key, self.info.key),
            self.info.label,
            health.terminal,
            health.reason,
            now,
            gateway=gateway.id,
            needs=(gateway.id,),
            evidence=self._evidence(health),
        )
        return Observation(self.info.key, now, (gateway,), (terminal,))

    def _evidence(self, health: Health) -> Facts:
        rows = [("address", self.info.address), ("family", self._server.table.family)]
        if health.seen:
            rows.append(("answer", health.seen))
        if health.terminals is not None:
            rows.append(("terminals there", str(health.terminals)))
        return tuple(rows)

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            check_id(sandbox)
            health = await check(self._server, self._http.opened())
        except NotFoundError as error:
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice="Look at the list anew.")
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        return verdict(health)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return ()

    def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        raise UnavailableError(f"There is no log: {NO_LOGS}.")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()


def verdict(health: Health) -> Verdict:
    """What an attempt may do with it."""
    if health.server is GatewayState.HUNG:
        return Verdict(VerdictKind.UNKNOWN, health.server_reason, advice=ADVICE)
    if health.server is not GatewayState.READY:
        return Verdict(VerdictKind.TERMINAL, health.server_reason, advice=ADVICE)
    if health.terminal is not SandboxState.BROKEN:
        return Verdict(VerdictKind.READY, health.reason)
    return Verdict(VerdictKind.TERMINAL, health.reason, advice=ADVICE)
