"""OpenShell as a configured source."""

from __future__ import annotations

from services.clock import Clock
from services.models import Capability, Source
from services.sources import OpenSource
from services.sources.openshell.actor import OpenShellActor
from services.sources.openshell.cli import config_folder
from services.sources.openshell.default_sandbox import NemoClawDefault
from services.sources.openshell.observer import OpenShellObserver
from services.sources.openshell.options import OpenShellOptions
from services.sources.openshell.rule_approval import RuleProposer
from services.sources.openshell.shells import ATTACHMENT

_CAN = frozenset(Capability) - {Capability.QUEUE}
_CANNOT = ((Capability.QUEUE, "OpenShell sandboxes have no message queues"),)


def open_openshell(key: str, label: str, options: OpenShellOptions, clock: Clock) -> OpenSource:
    """Open it; touches neither disk nor network."""
    info = Source(key, "openshell", label, str(config_folder()), _CAN, _CANNOT)
    return OpenSource(
        OpenShellObserver(info, options, clock),
        OpenShellActor(key, options, clock),
        proposer=RuleProposer(key, options, clock),
        default_sandbox=NemoClawDefault(key, options),
        attachment=ATTACHMENT,
    )
