"""Pods as configured sources; opening touches neither disk nor network."""

from __future__ import annotations

from pathlib import Path

from services.clock import Clock
from services.config.sources import ArgoTable, CentmlTable, KubernetesTable
from services.models import Capability, Source
from services.net.http import Http, platform_http
from services.sources.pods.judgement import NO_WAKE
from services.sources.protocol.source import OpenSource

_CAN = frozenset({Capability.RECONNECT, Capability.SHELL, Capability.EXEC, Capability.LOGS})
NO_QUEUE = (Capability.QUEUE, "pods have no queues")


def open_kubernetes(
    key: str, table: KubernetesTable, clock: Clock, state: Path | None = None
) -> OpenSource:
    """The pods of one kubeconfig context, and its sandboxes where agent-sandbox is installed.

    `state` is a folder of ours that need not exist; None where nothing is kept.
    """
    from services.sources.pods.agent_sandbox.actor import ClusterActor
    from services.sources.pods.agent_sandbox.observer import ClusterObserver
    from services.sources.pods.agent_sandbox.sandboxes import Sandboxes
    from services.sources.pods.debug_container import DebugProposer
    from services.sources.pods.kube_actor import KubeActor
    from services.sources.pods.kube_client import Kube
    from services.sources.pods.kube_observer import KubeObserver
    from services.sources.pods.sign_in import sign_in_in_background

    address = table.context or "the current context"
    label = table.label or table.context or key
    can = _CAN | {Capability.WAKE}
    info = Source(key, "pods", label, address, can, (NO_QUEUE,))
    kube = Kube(table, clock)
    ready = sign_in_in_background if table.background_sign_in else None
    sandboxes = Sandboxes(key, table, clock)
    pods = KubeObserver(info, kube, clock, ready, sandboxes)
    actor = ClusterActor(KubeActor(key, kube, clock, state), key, clock)
    proposer = DebugProposer(key, actor, table, clock)
    return OpenSource(ClusterObserver(pods, sandboxes, clock), actor, proposer=proposer)


def open_centml(key: str, table: CentmlTable, clock: Clock) -> OpenSource:
    """Deployments of one account of the CentML platform."""
    from services.sources.pods.centml_actor import CentmlActor
    from services.sources.pods.centml_observer import CentmlObserver
    from services.sources.pods.centml_sign_in import sign_in
    from services.sources.pods.centml_token import CentmlCredential, base_url

    credential = CentmlCredential(clock)
    address = table.url.rstrip("/") or "where its client is set to"
    info = Source(key, "pods", table.label or "CentML", address, _CAN, (NO_WAKE, NO_QUEUE))

    def base() -> str:
        return base_url(table.url, credential.environ)

    def connect() -> Http:
        return platform_http(base(), credential.headers, allow_plain=table.allow_plain)

    ready = sign_in if table.background_sign_in else None
    return OpenSource(
        CentmlObserver(info, connect, table.deployments, credential, clock, ready),
        CentmlActor(key, base, connect, table, credential, clock),
    )


def open_argo(key: str, table: ArgoTable, clock: Clock) -> OpenSource:
    """Pods of the applications of one Argo CD."""
    from services.sources.pods.argo_actor import ArgoActor
    from services.sources.pods.argo_client import ArgoServer
    from services.sources.pods.argo_observer import ArgoObserver

    server = ArgoServer(table)
    info = Source(key, "pods", table.label or "Argo CD", server.base, _CAN, (NO_WAKE, NO_QUEUE))
    return OpenSource(ArgoObserver(info, server, clock), ArgoActor(key, server, clock))
