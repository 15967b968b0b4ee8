"""OpenClaw gateways as a configured source; opening touches neither disk nor network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from services.clock import Clock
from services.config.sources import OpenClawTable
from services.models import Capability, Source
from services.sources.openclaw import commands
from services.sources.openclaw.actor import OpenClawActor
from services.sources.openclaw.carrier import GatewayAddress
from services.sources.openclaw.door import CredentialPlace
from services.sources.openclaw.gather import GatewayGatherer
from services.sources.openclaw.links import GatewayLinks
from services.sources.openclaw.observer import OpenClawObserver
from services.sources.openclaw.restart import OpenClawProposer
from services.sources.openclaw.rows import NO_LINK, NO_LOGS, NO_QUEUE, NO_SHELL
from services.sources.openclaw.watch import StateWatch
from services.sources.protocol.source import OpenSource


def open_openclaw(
    key: str,
    table: OpenClawTable,
    clock: Clock,
    keys: Path,
    environ: Mapping[str, str] | None = None,
) -> OpenSource:
    """Open it. `keys` is the folder of this panel's keys, `environ` replaces the variables.

    Raises:
        UnavailableError: its `url` is no address of a gateway that may be asked, or its credential
            is named in a way that cannot be.
    """
    named = GatewayAddress.named(table.url, table.tls_fingerprint) if table.url else None
    address = named.where if named is not None else table.state_dir or "~/.openclaw*"
    credential = CredentialPlace.of(table)
    can, cannot = {Capability.WAKE}, [(Capability.SHELL, NO_SHELL), (Capability.EXEC, NO_SHELL)]
    told = {Capability.RECONNECT: NO_LINK, Capability.QUEUE: NO_QUEUE, Capability.LOGS: NO_LOGS}
    for one, reason in told.items():
        if credential.named or (one is Capability.LOGS and not table.url):
            can.add(one)
        else:
            cannot.append((one, reason))
    info = Source(key, "openclaw", table.label, address, frozenset(can), tuple(cannot))
    environ = os.environ if environ is None else environ
    links = GatewayLinks(credential, named, keys, environ, clock)
    gatherer = GatewayGatherer(table.state_dir, links, table.command, environ, clock)
    watch = None if table.url else StateWatch(table.state_dir, environ, clock)

    def no_tool() -> str:
        return "" if commands.program(table.command, environ) else commands.missing(table.command)

    return OpenSource(
        OpenClawObserver(info, gatherer, watch, no_tool, clock),
        OpenClawActor(gatherer, table.command, environ, clock),
        proposer=OpenClawProposer(gatherer, table.command, environ, clock),
    )
