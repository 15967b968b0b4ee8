"""One Vellum environment as a configured source."""

from __future__ import annotations

from collections.abc import Mapping

from services.clock import Clock
from services.config.sources import VellumTable
from services.models import Capability, Source
from services.sources.protocol.source import OpenSource
from services.sources.vellum.actor import VellumActor
from services.sources.vellum.confirmed_actions import VellumProposer
from services.sources.vellum.layout import Site
from services.sources.vellum.observer import VellumObserver
from services.sources.vellum.probes import AssistantProbes
from services.sources.vellum.rows import NO_LOGS, NO_QUEUE, NO_SHELL
from services.sources.vellum.runner import VellumRunner
from services.sources.vellum.tool import Tool


def open_vellum(
    key: str, table: VellumTable, clock: Clock, environ: Mapping[str, str] | None = None
) -> OpenSource:
    """Open it; touches neither disk nor network. `environ` replaces the process's variables."""
    info = Source(
        key,
        "vellum",
        table.label,
        table.environment or "the environment Vellum uses",
        frozenset((Capability.WAKE, Capability.RECONNECT)),
        (
            (Capability.QUEUE, NO_QUEUE),
            (Capability.SHELL, NO_SHELL),
            (Capability.EXEC, NO_SHELL),
            (Capability.LOGS, NO_LOGS),
        ),
    )
    site = Site(table.environment, environ)
    tool = Tool(table.command, site.environ)
    probes = AssistantProbes(site, tool, clock)
    runner = VellumRunner(site, tool)
    actor = VellumActor(key, probes, runner, clock)
    return OpenSource(
        VellumObserver(info, probes, clock),
        actor,
        proposer=VellumProposer(key, probes, runner, actor, clock),
    )
