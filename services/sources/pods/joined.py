"""What else a cluster has beside bare pods, as the looks at its pods take it in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from services.lazy_dataclass import dataclass
from services.models import Event, Gateway, GatewayId, Sandbox, SandboxId, Unknown, UnknownWord
from services.net.http import Http
from services.sources.pods.pod import Pod


@dataclass(frozen=True, slots=True)
class PodsLook:
    """What one look found of a cluster, before it is made into rows."""

    http: Http
    places: tuple[str, ...]
    """Namespaces; an empty one stands for all."""
    front: GatewayId
    pods: Mapping[str, Pod]
    """By `namespace/name`."""
    whole: bool
    """Whether these are all there are."""
    now: float


@dataclass(frozen=True, slots=True)
class Joined:
    """What belongs beside the pods of a look, and which of them are part of it."""

    folded: Collection[str] = ()
    """`namespace/name` of pods that get no row of their own."""
    gateways: tuple[Gateway, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()
    unknown: tuple[tuple[GatewayId | None, Unknown[Sandbox]], ...] = ()
    deleted: frozenset[GatewayId | SandboxId] = frozenset()
    unknown_words: tuple[UnknownWord, ...] = ()
    events: tuple[Event, ...] = ()
    """What happened before the first look, in the cluster's own words."""


class JoinsPods(Protocol):
    """Looks at what else a cluster has; a failure is part of what it gives."""

    async def join(self, look: PodsLook, limit_s: float) -> Joined:
        """What there is now; what has to be listed is waited for `limit_s` at most."""

    async def close(self) -> None:
        """Stop watching; idempotent."""
