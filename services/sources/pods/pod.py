"""What is read of a pod, and nothing more: thousands are decoded at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec

from services.files.bounded import LISTS, UnfitError, json_reader

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


class _Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Unknown fields are ignored; none is required."""


class ContainerStateWaiting(_Record, frozen=True, rename="camel"):
    reason: str | None = None
    message: str | None = None


class ContainerStateRunning(_Record, frozen=True, rename="camel"):
    started_at: str | None = None


class ContainerStateTerminated(_Record, frozen=True, rename="camel"):
    reason: str | None = None
    message: str | None = None
    exit_code: Int64 | None = None
    signal: Int64 | None = None
    finished_at: str | None = None


class ContainerState(_Record, frozen=True, rename="camel"):
    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(_Record, frozen=True, rename="camel"):
    name: str = ""
    ready: bool = False
    started: bool | None = None
    restart_count: Int64 = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodCondition(_Record, frozen=True, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class PodContainer(_Record, frozen=True, rename="camel"):
    name: str = ""
    image: str | None = None
    restart_policy: str | None = None


class OwnerReference(_Record, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Metadata(_Record, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None
    deletion_timestamp: str | None = None
    finalizers: list[str] | None = None
    creation_timestamp: str | None = None
    owner_references: list[OwnerReference] | None = None


class Spec(_Record, frozen=True, rename="camel"):
    containers: list[PodContainer] = []
    init_containers: list[PodContainer] | None = None
    ephemeral_containers: list[PodContainer] | None = None
    node_name: str | None = None


class Status(_Record, frozen=True, rename="camel"):
    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    start_time: str | None = None
    conditions: list[PodCondition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None


class Pod(_Record, frozen=True, rename="camel"):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()

    @property
    def native_id(self) -> str:
        """`namespace/name`: how a pod is called in this panel."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def default_container(self) -> str:
        """The annotated one, else the first (upstream/pods: Exec request)."""
        named = (self.metadata.annotations or {}).get(DEFAULT_CONTAINER, "")
        names = [one.name for one in self.spec.containers]
        return named if named in names else (names[0] if names else "")

    @property
    def containers(self) -> tuple[PodContainer, ...]:
        """All it has: its own, then init containers and sidecars, then debug containers."""
        spec = self.spec
        more = (*(spec.init_containers or ()), *(spec.ephemeral_containers or ()))
        return (*spec.containers, *more)

    @property
    def statuses(self) -> tuple[ContainerStatus, ...]:
        """How all of them stand, in the same order."""
        status = self.status
        return (
            *(status.container_statuses or ()),
            *(status.init_container_statuses or ()),
            *(status.ephemeral_container_statuses or ()),
        )

    @property
    def lasting(self) -> tuple[ContainerStatus, ...]:
        """Those that are to run as long as the pod: its own and its native sidecars."""
        sidecars = tuple(
            one for one in self.status.init_container_statuses or () if self.is_sidecar(one.name)
        )
        return (*(self.status.container_statuses or ()), *sidecars)

    def is_sidecar(self, name: str) -> bool:
        """Whether an init container goes on beside the others."""
        found = (one for one in self.spec.init_containers or () if one.name == name)
        return any(one.restart_policy == "Always" for one in found)

    def role(self, name: str) -> str:
        """What a container is, in words."""
        if self.is_sidecar(name):
            return "sidecar"
        if any(one.name == name for one in self.spec.ephemeral_containers or ()):
            return "debug container"
        if any(one.name == name for one in self.spec.containers):
            return "container"
        return "init container"

    def container(self, name: str) -> ContainerStatus | None:
        """How a container stands."""
        return next((one for one in self.statuses if one.name == name), None)

    def condition(self, type: str) -> PodCondition | None:
        """What is said of one condition."""
        return next((one for one in self.status.conditions or () if one.type == type), None)

    @property
    def restarts(self) -> int:
        """Of all containers together."""
        return sum(one.restart_count for one in self.lasting)


class ListMetadata(_Record, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class PodList(_Record, frozen=True, rename="camel"):
    items: list[Pod]
    metadata: ListMetadata = ListMetadata()
    kind: str = ""


class WatchEvent(_Record, frozen=True, rename="camel"):
    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"{}")


class ObjectReference(_Record, frozen=True, rename="camel"):
    uid: str = ""


class EventSeries(_Record, frozen=True, rename="camel"):
    last_observed_time: str | None = None


class PodEvent(_Record, frozen=True, rename="camel"):
    """What the cluster recorded of an object."""

    metadata: Metadata = Metadata()
    involved_object: ObjectReference = ObjectReference()
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    count: int | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: EventSeries | None = None


class EventList(_Record, frozen=True, rename="camel"):
    items: list[PodEvent] = []


class ApiStatus(_Record, frozen=True, rename="camel"):
    """An error of the API, as a watch tells it."""

    code: int = 0
    message: str = ""


class ResourceIdentity(_Record, frozen=True, rename="camel"):
    """What can be told of a resource that cannot be read."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Named(_Record, frozen=True, rename="camel"):
    metadata: ResourceIdentity


class _RawList(_Record, frozen=True, rename="camel"):
    items: list[msgspec.Raw] | None
    metadata: ListMetadata = ListMetadata()
    kind: str = ""


T = TypeVar("T")
UNREADABLE = "what its cluster says of it cannot be read"
_read_named = json_reader(_Named)
_read_raw_list = json_reader(_RawList, LISTS)


def tolerant_reader(
    kind: type[T], stand_in: Callable[[ResourceIdentity], T]
) -> Callable[[bytes | str | msgspec.Raw], T]:
    """Reads one resource; one that is sick inside still has its name, and a stand-in for the rest.

    The result raises UnfitError for what has not even a name.
    """
    read = json_reader(kind)

    def tolerant(data: bytes | str | msgspec.Raw) -> T:
        try:
            return read(data)
        except UnfitError:
            return stand_in(_read_named(data).metadata)

    return tolerant


def tolerant_list_reader(
    kind: type[T], read_one: Callable[[bytes | str | msgspec.Raw], object]
) -> Callable[[bytes | str], T]:
    """Reads a list whole; where one of its items is sick, item by item.

    The result raises UnfitError for what has no items, or calls itself something else than a list:
    that is no empty list.
    """
    read = json_reader(kind, LISTS)

    def tolerant(data: bytes | str) -> T:
        try:
            found = read(data)
        except UnfitError:
            told = _read_raw_list(data)
            items = [read_one(one) for one in told.items or ()]
            found = kind(items=items, metadata=told.metadata, kind=told.kind)  # type: ignore[call-arg]
        called: str = getattr(found, "kind", "")
        if called and not called.endswith("List"):
            raise UnfitError("it is something else than a list")
        return found

    return tolerant


def _unreadable(of: ResourceIdentity) -> Pod:
    known = Metadata(of.name, of.namespace, of.uid, of.resource_version)
    return Pod(known, status=Status(message=UNREADABLE))


read_pod = tolerant_reader(Pod, _unreadable)
"""One pod. Raises UnfitError."""
read_list = tolerant_list_reader(PodList, read_pod)
"""A list answer. Raises UnfitError."""
read_event = json_reader(WatchEvent)
"""One line of a watch. Raises UnfitError."""
read_events = json_reader(EventList)
"""A list of events. Raises UnfitError."""
read_status = json_reader(ApiStatus)
"""What stands in the line of an error. Raises UnfitError."""


def controller_of(owners: list[OwnerReference] | None) -> OwnerReference | None:
    """The one owner that keeps a resource up; None where nobody does."""
    return next((one for one in owners or () if one.controller), None)


def container_of(pod: Pod, preferred: str) -> str:
    """The preferred container where the pod has it, else the pod's default."""
    names = [one.name for one in pod.containers]
    return preferred if preferred in names else pod.default_container
