"""OpenShell as a configured source."""

from __future__ import annotations

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.models import Capability, Source
from services.sources.openshell.actor import OpenShellActor
from services.sources.openshell.cli import config_folder
from services.sources.openshell.default_sandbox import NemoClawDefault
from services.sources.openshell.observer import OpenShellObserver
from services.sources.openshell.rule_approval import RuleProposer
from services.sources.openshell.shells import ATTACHMENT
from services.sources.protocol.source import OpenSource

_CAN = frozenset(Capability) - {Capability.QUEUE}
_CANNOT = ((Capability.QUEUE, "OpenShell sandboxes have no message queues"),)


def open_openshell(key: str, table: OpenShellTable, clock: Clock) -> OpenSource:
    """Open it; touches neither disk nor network."""
    info = Source(key, "openshell", table.label, str(config_folder()), _CAN, _CANNOT)
    return OpenSource(
        OpenShellObserver(info, table, clock),
        OpenShellActor(key, table, clock),
        proposer=RuleProposer(key, table, clock),
        default_sandbox=NemoClawDefault(key, table),
        attachment=ATTACHMENT,
    )
