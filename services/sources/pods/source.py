"""Pods as configured sources; opening touches neither disk nor network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.clock import Clock
from services.errors import NotFoundError
from services.models import Capability, Source
from services.sources import OpenSource
from services.sources.pods.options import KubernetesOptions

_CAN = frozenset({Capability.RECONNECT, Capability.SHELL, Capability.EXEC})
NO_WAKE = (Capability.WAKE, "its platform starts it, not this panel")
NO_QUEUE = (Capability.QUEUE, "pods have no queues")


def open_pods(key: str, kind: str, values: Mapping[str, Any], clock: Clock) -> OpenSource:
    """A source from its table: `kind` is `kubernetes`, `centml` or `argocd`."""
    wanted = {name: value for name, value in values.items() if name not in ("label", "interval_s")}
    label = str(values["label"])
    if kind == "kubernetes":
        return open_kubernetes(key, label, KubernetesOptions(**wanted), clock)
    raise NotFoundError(f"There is no source of kind {kind!r}.")


def open_kubernetes(key: str, label: str, options: KubernetesOptions, clock: Clock) -> OpenSource:
    """The pods of one kubeconfig context."""
    from services.sources.pods.kube import Kube
    from services.sources.pods.kube_actor import KubeActor
    from services.sources.pods.kube_observer import KubeObserver
    from services.sources.pods.sign_in import sign_in_unasked

    address = options.context or "the current context"
    can = _CAN | {Capability.LOGS}
    info = Source(key, "pods", label or address, address, can, (NO_WAKE, NO_QUEUE))
    kube = Kube(options, clock)
    ready = sign_in_unasked if options.background_sign_in else None
    return OpenSource(KubeObserver(info, kube, clock, ready), KubeActor(key, kube, clock))
