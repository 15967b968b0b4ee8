"""One cluster as both halves of the source reach it: context, credential and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from services.clock import Clock
from services.config.sources import KubernetesTable
from services.errors import NotFoundError, UnavailableError
from services.files.bounded import UnfitError
from services.models import SandboxId
from services.net.http import ApiError, Http
from services.sources.pods import kubeconfig
from services.sources.pods.access import Access, Helper
from services.sources.pods.credential import KubeCredential
from services.sources.pods.pod import Pod, read_list, read_pod
from services.text.sanitize import sanitize

Stamps = dict[Path, tuple[int, int, int] | None]


class Kube:
    """Loaded when first asked for; shared by the observer and the actor."""

    def __init__(self, table: KubernetesTable, clock: Clock) -> None:
        self.table = table
        self._clock = clock
        self._credential: KubeCredential | None = None
        self._stamps: Stamps = {}
        self._outdated = True
        self._reading = asyncio.Lock()

    @property
    def helper(self) -> Helper | None:
        """The one that gives the credential, as last read; nothing is read for it."""
        known = None if self._credential is None else self._credential.access
        return known.identity.helper if known is not None and known.cluster.secure else None

    async def credential(self) -> KubeCredential:
        """What the kubeconfig says; it is read again when one of its files changes.

        The same object for as long as it is the same server and user: what was minted is kept.

        Raises:
            NotFoundError, UnavailableError: as `kubeconfig.load`.
        """
        async with self._reading:
            known = self._credential
            if known is not None and not self._outdated and not await self._changed():
                return known
            wanted = self.table
            access = await asyncio.to_thread(
                kubeconfig.load, wanted.kubeconfig, wanted.context, wanted.namespace
            )
            self._stamps = await asyncio.to_thread(_stamps, access.files)
            self._outdated = False
            if known is None or not known.access.is_same_place(access):
                known = self._credential = KubeCredential(access, self._clock)
            else:
                known.update(access)
            return known

    async def _changed(self) -> bool:
        return await asyncio.to_thread(_stamps, self._stamps) != self._stamps

    def reread(self) -> None:
        """Read everything anew the next time: it was refused, or somebody signed in elsewhere."""
        self._outdated = True


def _stamps(files: Iterable[Path]) -> Stamps:
    """What tells a changed file: (modified ns, size, inode); None where there is none."""
    found: Stamps = {}
    for path in files:
        try:
            seen = path.stat()
        except OSError:
            found[path] = None
        else:
            found[path] = seen.st_mtime_ns, seen.st_size, seen.st_ino
    return found


def namespaces(table: KubernetesTable, access: Access) -> tuple[str, ...]:
    """Those a source lists; an empty name means all there are.

    Raises:
        UnavailableError: the table contradicts itself.
    """
    if not table.namespaces:
        return ("",) if table.all_namespaces else (access.namespace,)
    if table.namespace or table.all_namespaces or "" in table.namespaces:
        raise UnavailableError(
            "The source's table names its namespaces twice, or one without a name.",
            advice="Keep one of `namespace`, `namespaces` and `all_namespaces`.",
        )
    return tuple(dict.fromkeys(table.namespaces))


H = TypeVar("H", bound=Http)


def http_of(credential: KubeCredential) -> Http:
    """GETs of its cluster."""
    return http_as(Http, credential)


def http_as(kind: type[H], credential: KubeCredential) -> H:
    """A connection to its cluster that can do what `kind` can."""
    cluster = credential.access.cluster
    return kind(
        cluster.server,
        cluster.address,
        credential.headers,
        context=credential.context,
        generation=lambda: credential.generation,
        proxy=cluster.proxy,
        tls_name=cluster.tls_name,
    )


def split_id(sandbox: SandboxId) -> tuple[str, str]:
    """Namespace and name of a pod.

    Raises:
        NotFoundError: that is no pod's name.
    """
    namespace, slash, name = sandbox.native_id.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise NotFoundError(f"There is no pod {sanitize(sandbox.native_id, 100)!r}.")
    return namespace, name


def pods_path(namespace: str) -> str:
    """Where pods are listed: of a namespace, or of all where that is empty."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods" if namespace else "/api/v1/pods"


def pod_path(namespace: str, name: str) -> str:
    """Where a pod is read."""
    return f"{pods_path(namespace)}/{quote(name, safe='')}"


async def read_one(http: Http, namespace: str, name: str) -> Pod:
    """One pod as it is now.

    Raises:
        NotFoundError: there is none of that name.
        UnavailableError: it could not be read.
    """
    try:
        return read_pod(await http.get(pod_path(namespace, name)))
    except ApiError as error:
        if error.status == 404:
            raise NotFoundError(
                f"There is no pod {sanitize(name, 100)} in {sanitize(namespace, 100)} any more."
            ) from error
        raise
    except UnfitError as error:
        raise UnavailableError(f"{http.address} gave no pod.") from error


async def find_pods(
    http: Http, table: KubernetesTable, places: Sequence[str], name: str
) -> list[Pod]:
    """Pods of that name, or of that `NAMESPACE/NAME`, among those the source lists.

    Raises:
        UnavailableError: they could not be read.
    """
    namespace, slash, bare = name.rpartition("/")
    if slash and "" not in places:
        places = [one for one in places if one == namespace]
    elif slash:
        places = [namespace]
    found: list[Pod] = []
    for place in places:
        if place and not table.selector:
            with suppress(NotFoundError):
                found.append(await read_one(http, place, bare))
            continue
        query = [("fieldSelector", f"metadata.name={bare}")]
        query += [("labelSelector", table.selector)] if table.selector else []
        try:
            listed = read_list(await http.get(pods_path(place), tuple(query)))
        except UnfitError as error:
            raise UnavailableError(f"{http.address} gave no list of pods.") from error
        found += [pod for pod in listed.items if pod.metadata.name == bare]
    return found


def exec_url(
    credential: KubeCredential,
    pod: Pod,
    container: str,
    argv: Sequence[str],
    streams: Sequence[str],
) -> str:
    """Where a command runs; `streams` are of stdin, stdout, stderr and tty.

    See upstream/pods: Exec request.
    """
    cluster = credential.access.cluster
    base = ("wss" if cluster.secure else "ws") + cluster.server[cluster.server.index("://") :]
    query = [("command", word) for word in argv]
    query += [("container", container)] if container else []
    query += [(name, "true") for name in streams]
    path = pod_path(pod.metadata.namespace, pod.metadata.name)
    return f"{base}{path}/exec?{urlencode(query)}"
