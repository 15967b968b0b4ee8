"""Opens a remote source, or a program of the operator's own that speaks the same protocol."""

from __future__ import annotations

from services.clock import Clock
from services.config.sources import ExternalTable, RemoteTable
from services.models import Capability, GatewayId, Source
from services.sources.protocol.source import OpenSource
from services.sources.remote.actor import RemoteActor
from services.sources.remote.command import FarCommand, external_command, remote_command
from services.sources.remote.gate import ConnectGate
from services.sources.remote.link import Link
from services.sources.remote.mirror import Mirror
from services.sources.remote.observer import RemoteObserver
from services.sources.remote.proposer import RemoteProposer

_RENEW_SHARE = 0.8
"""Ages are renewed when they are this share of the interval old."""


def open_remote(
    key: str, table: RemoteTable, clock: Clock, gate: ConnectGate, read_only: bool
) -> OpenSource:
    """The Wakedeck on another machine; nothing is started before it is asked.

    Raises:
        ConfigError: the table names no way to reach it, or two.
    """
    command = remote_command(key, table, read_only)
    return _opened(key, "remote", table, command, clock, gate)


def open_external(key: str, table: ExternalTable, clock: Clock, gate: ConnectGate) -> OpenSource:
    """A program that speaks the source protocol; nothing is started before it is asked.

    Raises:
        ConfigError: the table names no program.
    """
    return _opened(key, "external", table, external_command(key, table), clock, gate)


def _opened(
    key: str,
    kind: str,
    table: RemoteTable | ExternalTable,
    command: FarCommand,
    clock: Clock,
    gate: ConnectGate,
) -> OpenSource:
    label = table.label or key
    info = Source(key, kind, label, command.place, frozenset(Capability))
    mirror = Mirror(key, GatewayId(key, key), clock, table.only)
    link = Link(key, label, command, clock, gate, mirror)
    return OpenSource(
        RemoteObserver(info, link, clock, _RENEW_SHARE * table.interval_s),
        RemoteActor(link),
        proposer=RemoteProposer(link),
    )
