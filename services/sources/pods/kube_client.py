"""One cluster as both halves of the source reach it: context, credential and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from services.clock import Clock
from services.config.sources import KubernetesTable
from services.errors import NotFoundError, UnavailableError
from services.files.bounded import UnfitError
from services.models import SandboxId
from services.sources.pods import kubeconfig
from services.sources.pods.credential import KubeCredential
from services.sources.pods.http import ApiError, Http
from services.sources.pods.pod import Pod, read_pod
from services.text.sanitize import sanitize


class Kube:
    """Loaded when first asked for; shared by the observer and the actor."""

    def __init__(self, table: KubernetesTable, clock: Clock) -> None:
        self.table = table
        self._clock = clock
        self._credential: KubeCredential | None = None
        self._reading = asyncio.Lock()

    async def credential(self) -> KubeCredential:
        """What the kubeconfig says, read once and again after `forget`.

        Raises:
            NotFoundError, UnavailableError: as `kubeconfig.load`.
        """
        async with self._reading:
            if self._credential is None:
                wanted = self.table
                access = await asyncio.to_thread(
                    kubeconfig.load, wanted.kubeconfig, wanted.context, wanted.namespace
                )
                self._credential = KubeCredential(access, self._clock)
            return self._credential

    def forget(self) -> None:
        """Read the kubeconfig anew the next time: somebody may have signed in elsewhere."""
        self._credential = None


def http_of(credential: KubeCredential) -> Http:
    """GETs of its cluster."""
    cluster = credential.access.cluster
    return Http(
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


def pod_path(namespace: str, name: str) -> str:
    """Where a pod is read."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"


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
