"""A terminal server as a configured source; opening touches neither disk nor network."""

from __future__ import annotations

from services.clock import Clock
from services.config.sources import TerminalTable
from services.models import Capability, Source
from services.sources.protocol.source import OpenSource
from services.sources.terminal.actor import NO_EXEC, NO_WAKE, TerminalActor
from services.sources.terminal.observer import NO_LOGS, TerminalObserver
from services.sources.terminal.server import TerminalServer


def open_terminal(key: str, table: TerminalTable, clock: Clock) -> OpenSource:
    """One server.

    Raises:
        UnavailableError: its table says no address of a terminal server.
    """
    server = TerminalServer(table)
    where = server.address
    can = {Capability.RECONNECT, Capability.SHELL}
    cannot = [
        (Capability.WAKE, NO_WAKE.rstrip(".").lower()),
        (Capability.QUEUE, "a terminal has no queues"),
        (Capability.LOGS, NO_LOGS),
    ]
    if table.exec or server.is_jupyter:
        can.add(Capability.EXEC)
    else:
        cannot.append((Capability.EXEC, NO_EXEC))
    shown = f"{where.base('ws' if where.direct else 'http')}{where.path}"
    info = Source(key, "terminal", table.label or key, shown, frozenset(can), tuple(cannot))
    return OpenSource(TerminalObserver(info, server, clock), TerminalActor(key, server, clock))
