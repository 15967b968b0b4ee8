"""Pods as configured sources; opening touches neither disk nor network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.clock import Clock
from services.errors import NotFoundError
from services.models import Capability, Source
from services.sources import OpenSource
from services.sources.pods.http import Http, platform_http
from services.sources.pods.options import ArgoOptions, CentmlOptions, KubernetesOptions

_CAN = frozenset({Capability.RECONNECT, Capability.SHELL, Capability.EXEC})
_CAN_LOGS = _CAN | {Capability.LOGS}
NO_WAKE = (Capability.WAKE, "its platform starts it, not this panel")
NO_LOGS = (Capability.LOGS, "its logs are read where it lives")
NO_QUEUE = (Capability.QUEUE, "pods have no queues")


def open_pods(
    key: str, kind: str, values: Mapping[str, Any], clock: Clock, state: Path | None = None
) -> OpenSource:
    """A source from its table: `kind` is `kubernetes`, `centml` or `argocd`.

    `state` is a folder of ours that need not exist; None where nothing is kept.
    """
    wanted = {name: value for name, value in values.items() if name not in ("label", "interval_s")}
    label = str(values["label"])
    if kind == "kubernetes":
        return open_kubernetes(key, label, KubernetesOptions(**wanted), clock, state)
    if kind == "centml":
        return open_centml(key, label, CentmlOptions(**wanted), clock)
    if kind == "argocd":
        return open_argo(key, label, ArgoOptions(**wanted), clock)
    raise NotFoundError(f"There is no source of kind {kind!r}.")


def open_kubernetes(
    key: str, label: str, options: KubernetesOptions, clock: Clock, state: Path | None = None
) -> OpenSource:
    """The pods of one kubeconfig context."""
    from services.sources.pods.kube_actor import KubeActor
    from services.sources.pods.kube_client import Kube
    from services.sources.pods.kube_observer import KubeObserver
    from services.sources.pods.sign_in import sign_in_in_background

    address = options.context or "the current context"
    info = Source(key, "pods", label or address, address, _CAN_LOGS, (NO_WAKE, NO_QUEUE))
    kube = Kube(options, clock)
    ready = sign_in_in_background if options.background_sign_in else None
    return OpenSource(KubeObserver(info, kube, clock, ready), KubeActor(key, kube, clock, state))


def open_centml(key: str, label: str, options: CentmlOptions, clock: Clock) -> OpenSource:
    """Deployments of one account of the CentML platform."""
    from services.sources.pods.centml_actor import CentmlActor
    from services.sources.pods.centml_observer import CentmlObserver
    from services.sources.pods.centml_sign_in import sign_in
    from services.sources.pods.centml_token import CentmlCredential, base_url

    credential = CentmlCredential(clock)
    base = base_url(options.url, credential.environ)
    info = Source(key, "pods", label or "CentML", base, _CAN, (NO_WAKE, NO_QUEUE, NO_LOGS))

    def connect() -> Http:
        return platform_http(base, credential.headers, allow_plain=options.allow_plain)

    ready = sign_in if options.background_sign_in else None
    return OpenSource(
        CentmlObserver(info, connect, options.deployments, credential, clock, ready),
        CentmlActor(key, base, connect, options, credential, clock),
    )


def open_argo(key: str, label: str, options: ArgoOptions, clock: Clock) -> OpenSource:
    """Pods of the applications of one Argo CD."""
    from services.sources.pods.argo_actor import ArgoActor
    from services.sources.pods.argo_client import ArgoServer
    from services.sources.pods.argo_observer import ArgoObserver

    server = ArgoServer(options)
    info = Source(key, "pods", label or "Argo CD", server.base, _CAN_LOGS, (NO_WAKE, NO_QUEUE))
    return OpenSource(ArgoObserver(info, server, clock), ArgoActor(key, server, clock))
