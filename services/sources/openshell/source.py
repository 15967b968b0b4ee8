"""OpenShell as a configured source."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.models import Capability, SandboxId, Source
from services.sources.openshell import nemoclaw_registry
from services.sources.openshell.actor import OpenShellActor
from services.sources.openshell.agent_proposals import AgentProposer
from services.sources.openshell.agent_question import AgentAnswers
from services.sources.openshell.cli import config_folder
from services.sources.openshell.observer import OpenShellObserver
from services.sources.openshell.policy import DecidedRules
from services.sources.openshell.proposals import OpenShellProposer
from services.sources.openshell.records import Target
from services.sources.openshell.rule_approval import RuleProposer
from services.sources.openshell.shells import ATTACHMENT
from services.sources.openshell.stopping import StopProposer
from services.sources.protocol.source import OpenSource

_CAN = frozenset(Capability) - {Capability.QUEUE}
_CANNOT = ((Capability.QUEUE, "OpenShell sandboxes have no message queues"),)


def open_openshell(key: str, table: OpenShellTable, clock: Clock) -> OpenSource:
    """Open it; touches neither disk nor network."""
    info = Source(key, "openshell", table.label, str(config_folder()), _CAN, _CANNOT)
    decided, answers = DecidedRules(), AgentAnswers()
    return OpenSource(
        OpenShellObserver(info, table, clock, decided, answers),
        OpenShellActor(key, table, clock, answers),
        proposer=OpenShellProposer(
            StopProposer(key, table, clock),
            RuleProposer(key, table, clock, decided),
            AgentProposer(key, table, clock, answers),
        ),
        default_sandbox=NemoClawDefault(key, table, clock),
        attachment=ATTACHMENT,
    )


class NemoClawDefault:
    """Reads NemoClaw's register anew each time it is asked."""

    def __init__(self, source: str, table: OpenShellTable, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._table = table

    async def default(self) -> SandboxId | None:
        """The default sandbox of the gateways that are shown; None where there is none."""
        place = self._table.registry
        listed = await asyncio.to_thread(
            nemoclaw_registry.read,
            Path(place).expanduser() if place else None,
            self._clock.now(),
        )
        entry = listed.default
        wanted = self._table.gateways
        if entry is None or (wanted and entry.gateway not in wanted):
            return None
        return SandboxId(self._source, Target(entry.gateway, entry.name).native)
