"""What a shell in a pod needs of the cluster: the pod found, and a connection for a command.

See upstream/pods: Exec request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from services.errors import ShellError
from services.lazy_dataclass import dataclass
from services.models import Retry
from services.net.http import Http
from services.sources.pods import judge
from services.sources.pods.credential import KubeCredential
from services.sources.pods.errors import kube_refusal
from services.sources.pods.kube_client import exec_url, read_one
from services.sources.pods.pod import Pod, container_of
from services.terminal.exec.remote_pid import RemoteProcess
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.terminal.transport.k8s_channels import ChannelFraming
from services.terminal.transport.websocket import WebSocketTransport
from services.text.sanitize import sanitize

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShellTarget:
    """Where a shell runs."""

    pod: Pod
    container: str


@dataclass(frozen=True, slots=True)
class ShellRequest:
    """Which pod, container and shell were asked for."""

    namespace: str
    name: str
    container: str = ""
    """Preferred; empty for the pod's default."""
    container_required: bool = False
    """Only that container will do."""
    shell: str | None = None
    session: str = ""
    """Name of a resumable session; empty for a plain shell."""


class RemoteProcesses(Protocol):
    """Keeps count of the processes started in pods, and ends them."""

    def shell_started(self, place: ShellTarget, remote: RemoteProcess) -> None:
        """A shell runs."""

    def shell_ended(self, place: ShellTarget, remote: RemoteProcess) -> None:
        """It has ended by itself."""

    def retry_cleanup(self, place: ShellTarget) -> None:
        """A pod can be reached: end what was left in it before."""

    async def end(self, place: ShellTarget, remote: RemoteProcess) -> bool:
        """End one; whether it is gone."""


class KubeAccess:
    """What a shell needs of the actor: a credential that can be renewed, reading, hanging up."""

    def __init__(
        self,
        credential: KubeCredential,
        http: Http,
        renew: Callable[[], Awaitable[None]],
        remote_processes: RemoteProcesses,
    ) -> None:
        self.credential = credential
        self.http = http
        self.renew = renew
        self.remote_processes = remote_processes

    def transport(
        self,
        place: ShellTarget,
        argv: tuple[str, ...],
        streams: tuple[str, ...],
        framing: ChannelFraming,
    ) -> WebSocketTransport:
        """A connection for one command; not open."""
        cluster = self.credential.access.cluster
        return WebSocketTransport(
            exec_url(self.credential, place.pod, place.container, argv, streams),
            self.credential.headers(),
            framing=framing,
            tls=self.credential.context(),
            proxy=cluster.proxy,
            server_name=cluster.tls_name,
        )

    async def opened(
        self,
        place: ShellTarget,
        argv: tuple[str, ...],
        streams: tuple[str, ...],
        framing: ChannelFraming,
    ) -> WebSocketTransport:
        """A connection for one command, open; the credential is renewed once on a 401.

        Raises:
            ShellError: as upstream/terminal: Why a session ends.
        """

        async def start() -> WebSocketTransport:
            transport = self.transport(place, argv, streams, framing)
            await transport.open(80, 24)
            return transport

        return await self.with_renewal(start, place.pod.metadata.name)

    async def with_renewal(self, start: Callable[[], Awaitable[T]], pod: str) -> T:
        """What `start` gives; it is called again, the credential renewed, on a 401.

        Raises:
            ShellError: as upstream/terminal: Why a session ends.
        """
        try:
            try:
                return await start()
            except HandshakeRefusedError as error:
                if error.failure.status != 401 or not self.credential.renewable:
                    raise
                await self.renew()
                return await start()
        except HandshakeRefusedError as error:
            raise kube_refusal(error.failure, pod) from error

    async def locate(self, request: ShellRequest, now: float) -> ShellTarget:
        """The pod as it is now and the container.

        Raises:
            ShellError: there can be no shell in it, with the reason.
            UnavailableError: it could not be read.
        """
        pod = await read_one(self.http, request.namespace, request.name)
        judgement = judge.judge(pod, now)
        names = [one.name for one in pod.containers]
        wanted = pod.container(request.container) if request.container_required else None
        inside = wanted is not None and wanted.state is not None and wanted.state.running
        if judgement.no_shell and not inside:
            finished = pod.status.phase in ("Succeeded", "Failed")
            why = judgement.reason or judgement.no_shell
            raise ShellError(
                f"no shell in {sanitize(request.name, 100)}: {judgement.no_shell} ({why})",
                retry=Retry.NO if finished else Retry.ASK,
            )
        if request.container_required and request.container not in names:
            raise ShellError(
                f"{sanitize(request.name, 100)} has no container"
                f" {sanitize(request.container, 60)!r}",
                retry=Retry.NO,
                advice=f"there are: {sanitize(', '.join(names), 300)}",
            )
        place = ShellTarget(pod, container_of(pod, request.container))
        self.remote_processes.retry_cleanup(place)
        return place
