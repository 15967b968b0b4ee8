"""Opens the sources that are configured; a kind that is not configured is never imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from services.clock import Clock
from services.config import paths
from services.config.settings import Settings, SourceSettings
from services.config.sources import (
    ArgoTable,
    CentmlTable,
    ExternalTable,
    KubernetesTable,
    LocalTable,
    NanoClawTable,
    OpenClawTable,
    OpenShellTable,
    RemoteTable,
    TerminalTable,
    VellumTable,
)
from services.models import Source
from services.sources.fence import open_fenced, open_later
from services.sources.protocol.source import OpenSource

if TYPE_CHECKING:
    from services.sources.remote.gate import ConnectGate


def open_sources(settings: Settings, clock: Clock) -> tuple[OpenSource, ...]:
    """Every configured source, in order.

    Read-only settings get actors that refuse. Opening touches neither disk nor network. Each stands
    behind a fence: what goes wrong in it unforeseen is told as any failure of that source.
    """
    opener = _Opener(clock, settings.read_only)
    opened = tuple(_fenced(one, partial(_open, one, opener)) for one in settings.sources)
    if settings.read_only:
        from services.sources.protocol.actor import ReadOnlyActor

        return tuple(replace(one, actor=ReadOnlyActor(), proposer=None) for one in opened)
    return opened


def _fenced(one: SourceSettings, opening: Callable[[], OpenSource]) -> OpenSource:
    if isinstance(one.table, LocalTable):
        # What every panel without a configuration opens: its first frame needs none of it.
        from services.sources.local.info import local_info

        return open_later(local_info(one.key, one.table, _local_root(one.table)), opening)
    return open_fenced(Source(one.key, one.kind, one.key, ""), opening)


def _local_root(table: LocalTable) -> Path:
    return Path(table.root).expanduser() if table.root else paths.local_world()


class _Opener:
    """What the sources of one panel share."""

    def __init__(self, clock: Clock, read_only: bool) -> None:
        self.clock = clock
        self.read_only = read_only

    @cached_property
    def gate(self) -> ConnectGate:
        """What keeps many links from being made at once."""
        from services.sources.remote.gate import ConnectGate

        return ConnectGate()


def _open(source: SourceSettings, opener: _Opener) -> OpenSource:
    clock = opener.clock
    match source.table:
        case LocalTable() as table:
            from services.sources.local.source import open_local

            return open_local(source.key, table, clock, _local_root(table))
        case OpenShellTable() as table:
            from services.sources.openshell.source import open_openshell

            return open_openshell(source.key, table, clock)
        case KubernetesTable() as table:
            from services.sources.pods.source import open_kubernetes

            return open_kubernetes(source.key, table, clock, paths.open_shells_dir())
        case CentmlTable() as table:
            from services.sources.pods.source import open_centml

            return open_centml(source.key, table, clock)
        case ArgoTable() as table:
            from services.sources.pods.source import open_argo

            return open_argo(source.key, table, clock)
        case NanoClawTable() as table:
            from services.sources.nanoclaw.source import open_nanoclaw

            return open_nanoclaw(source.key, table, clock)
        case VellumTable() as table:
            from services.sources.vellum.source import open_vellum

            return open_vellum(source.key, table, clock)
        case OpenClawTable() as table:
            from services.sources.openclaw.source import open_openclaw

            return open_openclaw(source.key, table, clock, paths.openclaw_devices_dir())
        case TerminalTable() as table:
            from services.sources.terminal.source import open_terminal

            return open_terminal(source.key, table, clock)
        case RemoteTable() as table:
            from services.sources.remote.source import open_remote

            return open_remote(source.key, table, clock, opener.gate, opener.read_only)
        case ExternalTable() as table:
            from services.sources.remote.source import open_external

            return open_external(source.key, table, clock, opener.gate)
    assert_never(source.table)
