"""Which pod is behind a sandbox: the one of its name that it owns.

See upstream/agent-sandbox: Backing pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from services.errors import NotFoundError, UnavailableError
from services.files.bounded import UnfitError
from services.lazy_dataclass import dataclass
from services.net.http import ApiError, Http
from services.sources.pods.agent_sandbox.records import (
    GROUP,
    SandboxResource,
    read_sandbox,
    sandbox_kind,
)
from services.sources.pods.kube_client import read_one
from services.sources.pods.pod import Pod, controller_of, read_list
from services.text.sanitize import sanitize

_MOST_PODS = 100


@dataclass(frozen=True, slots=True)
class OwnedPods:
    """Pods that belong to sandboxes which are known."""

    names: frozenset[str]
    """`namespace/name` of each."""
    by_uid: Mapping[str, tuple[Pod, ...]]
    """Those of each sandbox, by its uid."""
    strays: frozenset[str] = frozenset()
    """`namespace/name` of those whose controller is a sandbox that is not known."""


def owned_pods(pods: Mapping[str, Pod], sandboxes: Iterable[SandboxResource]) -> OwnedPods:
    """The pods whose controller is one of these sandboxes; a name alone proves nothing."""
    known = {one.metadata.uid for one in sandboxes}
    names: set[str] = set()
    strays: set[str] = set()
    by_uid: dict[str, tuple[Pod, ...]] = {}
    # Thousands at every look: the usual one owner is taken without a call.
    for name, pod in pods.items():
        owners = pod.metadata.owner_references
        if not owners:
            continue
        owner = owners[0] if owners[0].controller else controller_of(owners)
        if owner is None:
            continue
        if owner.uid not in known:
            if owner.kind == "Sandbox" and owner.api_version.startswith(f"{GROUP}/"):
                strays.add(name)
            continue
        names.add(name)
        others = by_uid.get(owner.uid)
        by_uid[owner.uid] = (pod,) if others is None else (*others, pod)
    return OwnedPods(frozenset(names), by_uid, frozenset(strays))


def backing_pod(sandbox: SandboxResource, pods: tuple[Pod, ...]) -> Pod | None:
    """Of the pods it owns, the one that is named as its own, or the only one."""
    named = next((one for one in pods if one.metadata.name == sandbox.pod_name), None)
    if named is None and len(pods) == 1:
        return pods[0]
    return named


@dataclass(frozen=True, slots=True)
class Backing:
    """A sandbox as it is now, and the pods it owns."""

    sandbox: SandboxResource
    pods: tuple[Pod, ...]

    @property
    def pod(self) -> Pod | None:
        """The backing one."""
        return backing_pod(self.sandbox, self.pods)


def sandbox_path(version: str, namespace: str, name: str) -> str:
    """Where a sandbox is read and written."""
    return f"{sandbox_kind(version).path(quote(namespace, safe=''))}/{quote(name, safe='')}"


async def read_one_sandbox(http: Http, version: str, namespace: str, name: str) -> SandboxResource:
    """A sandbox as it is now.

    Raises:
        NotFoundError: there is none of that name.
        UnavailableError: it could not be read.
    """
    try:
        return read_sandbox(await http.get(sandbox_path(version, namespace, name)))
    except ApiError as error:
        if error.status == 404:
            raise NotFoundError(
                f"There is no sandbox {sanitize(name, 100)} in {sanitize(namespace, 100)} any more."
            ) from error
        raise
    except UnfitError as error:
        raise UnavailableError(f"{http.address} gave no sandbox.") from error


async def read_backing(http: Http, version: str, namespace: str, name: str) -> Backing:
    """A sandbox and its pods as they are now.

    Raises:
        NotFoundError: there is no such sandbox.
        UnavailableError: it could not be read.
    """
    sandbox = await read_one_sandbox(http, version, namespace, name)
    return Backing(sandbox, await _pods_of(http, sandbox))


async def _pods_of(http: Http, sandbox: SandboxResource) -> tuple[Pod, ...]:
    """What carries the label it looks for, else the one of its name; its own alone."""
    metadata = sandbox.metadata
    found: list[Pod] = []
    if sandbox.status.selector:
        path = f"/api/v1/namespaces/{quote(metadata.namespace, safe='')}/pods"
        query = (("labelSelector", sandbox.status.selector), ("limit", str(_MOST_PODS)))
        try:
            found = read_list(await http.get(path, query)).items
        except UnfitError as error:
            raise UnavailableError(f"{http.address} gave no list of pods.") from error
    own = _own(found, metadata.uid)
    if own:
        return own
    try:
        return _own([await read_one(http, metadata.namespace, sandbox.pod_name)], metadata.uid)
    except NotFoundError:
        return ()


def _own(pods: Iterable[Pod], uid: str) -> tuple[Pod, ...]:
    owners = ((one, controller_of(one.metadata.owner_references)) for one in pods)
    return tuple(one for one, owner in owners if owner is not None and owner.uid == uid)
