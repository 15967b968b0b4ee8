"""What is read of agent-sandbox's resources, of either version, and nothing more.

See upstream/agent-sandbox: Fields.
"""

from __future__ import annotations

import msgspec

from services.sources.pods.listing import WatchedKind
from services.sources.pods.pod import (
    UNREADABLE,
    Int64,
    ListMetadata,
    OwnerReference,
    ResourceIdentity,
    controller_of,
    tolerant_list_reader,
    tolerant_reader,
)

GROUP = "agents.x-k8s.io"
EXTENSIONS = "extensions.agents.x-k8s.io"
VERSIONS = ("v1beta1", "v1alpha1")
"""Those this panel reads, the preferred one first."""
POD_NAME = f"{GROUP}/pod-name"
POOL_LABEL = f"{GROUP}/warm-pool-sandbox"
_LAUNCH_TYPE = f"{GROUP}/launch-type"
_CREATED_BY = f"{GROUP}/created-by"


class _ApiRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Unknown fields are ignored; none is required."""


class ResourceMetadata(_ApiRecord, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: Int64 = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: list[str] | None = None
    owner_references: list[OwnerReference] | None = None


class ResourceCondition(_ApiRecord, frozen=True, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None
    observed_generation: Int64 | None = None


class SandboxSpec(_ApiRecord, frozen=True, rename="camel"):
    operating_mode: str | None = None
    """v1beta1."""
    replicas: Int64 | None = None
    """v1alpha1."""
    shutdown_time: str | None = None
    shutdown_policy: str | None = None


class SandboxStatus(_ApiRecord, frozen=True, rename="camel"):
    conditions: list[ResourceCondition] | None = None
    pod_ips: list[str] | None = msgspec.field(default=None, name="podIPs")
    selector: str | None = None
    service_fqdn: str | None = msgspec.field(default=None, name="serviceFQDN")


class SandboxResource(_ApiRecord, frozen=True, rename="camel"):
    """One `Sandbox`."""

    metadata: ResourceMetadata = ResourceMetadata()
    spec: SandboxSpec = SandboxSpec()
    status: SandboxStatus = SandboxStatus()

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def mode(self) -> str:
        """The wanted state in the words of v1beta1; a mode nobody knows as it is written."""
        if self.spec.operating_mode is not None:
            return self.spec.operating_mode or "Running"
        return "Suspended" if self.spec.replicas == 0 else "Running"

    @property
    def pod_name(self) -> str:
        """What its pod is called: as adopted from a pool, else as the sandbox."""
        return (self.metadata.annotations or {}).get(POD_NAME) or self.metadata.name

    @property
    def owner(self) -> OwnerReference | None:
        """The claim or the pool that keeps it; None for one of its own."""
        return controller_of(self.metadata.owner_references)

    @property
    def pool(self) -> str:
        """The pool that keeps it in stock; empty where it is no stock."""
        owner = self.owner
        return owner.name if owner is not None and owner.kind == "SandboxWarmPool" else ""

    @property
    def origin(self) -> str:
        """Where it comes from, in the words of its labels; empty where they say nothing."""
        labels = self.metadata.labels or {}
        said = [labels.get(_LAUNCH_TYPE, "")]
        if POOL_LABEL in labels:
            said.append(f"of pool {self.pool}" if self.pool else "of a pool")
        if made := labels.get(_CREATED_BY, ""):
            said.append(f"made by {made}")
        return ", ".join(part for part in said if part)

    def condition(self, type: str) -> ResourceCondition | None:
        """What is said of one condition, however old."""
        return next((one for one in self.status.conditions or () if one.type == type), None)

    def is_outdated(self, condition: ResourceCondition) -> bool:
        """Whether it speaks of an earlier wish than the one written now."""
        seen = condition.observed_generation
        return seen is not None and seen < self.metadata.generation


class ClaimedSandbox(_ApiRecord, frozen=True, rename="camel"):
    name: str | None = None


class ClaimStatus(_ApiRecord, frozen=True, rename="camel"):
    sandbox: ClaimedSandbox | None = None


class SandboxClaim(_ApiRecord, frozen=True, rename="camel"):
    """A ticket that took a sandbox from a pool."""

    metadata: ResourceMetadata = ResourceMetadata()
    status: ClaimStatus = ClaimStatus()


class PoolSpec(_ApiRecord, frozen=True, rename="camel"):
    replicas: Int64 | None = None


class PoolStatus(_ApiRecord, frozen=True, rename="camel"):
    replicas: Int64 | None = None
    ready_replicas: Int64 | None = None


class WarmPool(_ApiRecord, frozen=True, rename="camel"):
    """A stock of sandboxes that nobody has claimed."""

    metadata: ResourceMetadata = ResourceMetadata()
    spec: PoolSpec = PoolSpec()
    status: PoolStatus = PoolStatus()


class SandboxList(_ApiRecord, frozen=True, rename="camel"):
    items: list[SandboxResource]
    metadata: ListMetadata = ListMetadata()
    kind: str = ""


class ClaimList(_ApiRecord, frozen=True, rename="camel"):
    items: list[SandboxClaim]
    metadata: ListMetadata = ListMetadata()
    kind: str = ""


class PoolList(_ApiRecord, frozen=True, rename="camel"):
    items: list[WarmPool]
    metadata: ListMetadata = ListMetadata()
    kind: str = ""


def _identity(of: ResourceIdentity) -> ResourceMetadata:
    return ResourceMetadata(of.name, of.namespace, of.uid, of.resource_version)


def _unreadable(of: ResourceIdentity) -> SandboxResource:
    told = ResourceCondition("Ready", "Unknown", message=UNREADABLE)
    return SandboxResource(_identity(of), status=SandboxStatus([told]))


read_sandbox = tolerant_reader(SandboxResource, _unreadable)
"""One sandbox. Raises UnfitError."""
_read_sandboxes = tolerant_list_reader(SandboxList, read_sandbox)
_read_claim = tolerant_reader(SandboxClaim, lambda of: SandboxClaim(_identity(of)))
_read_claims = tolerant_list_reader(ClaimList, _read_claim)
_read_pool = tolerant_reader(WarmPool, lambda of: WarmPool(_identity(of)))
_read_pools = tolerant_list_reader(PoolList, _read_pool)


def sandbox_kind(version: str) -> WatchedKind[SandboxResource]:
    """Sandboxes of one version."""
    return WatchedKind(f"/apis/{GROUP}/{version}", "sandboxes", _read_sandboxes, read_sandbox)


def claim_kind(version: str) -> WatchedKind[SandboxClaim]:
    """Claims of one version."""
    return WatchedKind(f"/apis/{EXTENSIONS}/{version}", "sandboxclaims", _read_claims, _read_claim)


def pool_kind(version: str) -> WatchedKind[WarmPool]:
    """Warm pools of one version."""
    return WatchedKind(f"/apis/{EXTENSIONS}/{version}", "sandboxwarmpools", _read_pools, _read_pool)
