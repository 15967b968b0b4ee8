"""The verbs of a cluster whose pods may belong to `Sandbox` resources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from services.clock import Clock
from services.errors import (
    AmbiguousError,
    ChoiceError,
    NotFoundError,
    ShellError,
    WakedeckError,
)
from services.models import Retry, SandboxId, ShellState, Step
from services.net.http import ApiError
from services.sources.pods.agent_sandbox.backing import Backing, read_backing
from services.sources.pods.agent_sandbox.inventory import served_version
from services.sources.pods.agent_sandbox.records import GROUP
from services.sources.pods.agent_sandbox.rows import required_key, sandbox_key
from services.sources.pods.agent_sandbox.wake import Patience, SandboxWake
from services.sources.pods.credential import KubeCredential
from services.sources.pods.kube_access import KubeAccess
from services.sources.pods.kube_actor import NOTICE, KubeActor
from services.sources.pods.kube_client import http_as
from services.sources.pods.kube_shell import PodShell
from services.sources.pods.sign_in import HELPER_LIMIT_S
from services.sources.pods.writes import WritingHttp
from services.sources.protocol.steps import LinkStep, run_steps
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import CloseReason, Transport, require_open
from services.terminal.transport.forwarding import ForwardingShell
from services.text.sanitize import sanitize

T = TypeVar("T")
_GONE = ("the pod was deleted", "the pod was replaced")


class ClusterActor:
    """Wakes sandboxes, and hands on to their pods what is done in a pod."""

    def __init__(
        self, pods: KubeActor, source: str, clock: Clock, patience: Patience | None = None
    ) -> None:
        self._pods = pods
        self._source = source
        self._clock = clock
        self._patience = patience
        self._for: KubeCredential | None = None
        self._http: WritingHttp | None = None
        self._version = ""

    def wake_key(self, sandbox: SandboxId) -> str:
        """Each sandbox is woken by itself: nothing is shared that could be woken twice."""
        if sandbox_key(sandbox) is None:
            return self._pods.wake_key(sandbox)
        return f"sandbox:{self._source}/{sandbox.native_id}"

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Sign in where that is needed, patch the one field, follow it back to ready."""
        if sandbox_key(sandbox) is None:
            async for step in self._pods.wake(sandbox):
                yield step
            return
        namespace, name = required_key(sandbox)
        signing = LinkStep("credential", HELPER_LIMIT_S + 5, self._signed_in)
        async for step in run_steps((signing,), self._clock):
            yield step
        http, version = await self._connected()
        wake = SandboxWake(http, version, namespace, name, self._clock, self._patience)
        async with aclosing(wake.steps()) as steps:
            async for step in steps:
                yield step

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """The link to the pod of now."""
        pod = sandbox
        if sandbox_key(sandbox) is not None:
            pod = await self._pod(sandbox, ShellChoice(first_pod=True))
        async for step in self._pods.connect(pod):
            yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        if sandbox_key(sandbox) is None:
            return self._pods.shell(sandbox, choice)
        open_in = self._pods.shells(sandbox, replace(choice, pod=None))

        async def find() -> PodShell:
            return open_in(await self._pod(sandbox, choice))

        return self._pods.reconnecting(lambda: BackingShell(find, NOTICE), choice)

    async def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """One command in the pod of now."""
        pod = sandbox
        if sandbox_key(sandbox) is not None:
            try:
                pod = await self._pod(sandbox, request.choice)
            except ChoiceError as error:
                named = ", ".join(sanitize(one, 253) for one in error.choices)
                raise AmbiguousError(
                    f"{error.sentence}: {named}.", advice="Name one with --pod, or --first-pod."
                ) from error
            request = replace(request, choice=replace(request.choice, pod=None))
        async with aclosing(self._pods.exec(pod, request)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event

    async def sign_in(self) -> str:
        """As `SignsIn`."""
        return await self._pods.sign_in()

    def asking_shell(self) -> SandboxId | None:
        """As `AsksInTerminal`."""
        return self._pods.asking_shell()

    def terminal_sign_in(self) -> Transport | None:
        """As `SignsInOnTerminal`."""
        return self._pods.terminal_sign_in()

    async def close(self) -> None:
        """Hang up what was left in pods, and let go of the connection."""
        await self._pods.close()
        if self._http is not None:
            await self._http.close()

    async def _signed_in(self) -> str:
        """A credential that the cluster takes: signs in once where it does not."""
        await self._connected()
        return ""

    async def access(self) -> KubeAccess:
        """As `ReachesPods`."""
        return await self._pods.access()

    async def pod_of(self, sandbox: SandboxId) -> SandboxId:
        """As `ReachesPods`; raises as a shell that is opened."""
        if sandbox_key(sandbox) is None:
            return sandbox
        return await self._pod(sandbox, ShellChoice(first_pod=True))

    async def writing(self) -> WritingHttp:
        """A connection that can patch, signed in.

        Raises:
            UnavailableError, ProcessError: the cluster cannot be reached, or signed in to.
        """
        credential = (await self._pods.access()).credential
        if self._http is None or self._for is not credential:
            if self._http is not None:
                await self._http.close()
            self._http, self._for = http_as(WritingHttp, credential), credential
        return self._http

    async def _connected(self) -> tuple[WritingHttp, str]:
        """The cluster as the operator reaches it, and the version sandboxes are spoken of in.

        Raises:
            NotFoundError: agent-sandbox is not installed.
            UnavailableError, ProcessError: the cluster cannot be reached, or signed in to.
        """
        http = await self.writing()
        version = await self._renewing(lambda: served_version(http, GROUP))
        if not version:
            raise NotFoundError("agent-sandbox is not installed in this cluster.")
        return http, version

    async def _renewing(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is answered; a credential that is refused is renewed, once."""
        try:
            return await ask()
        except ApiError as error:
            if error.status != 401:
                raise
        await self._pods.sign_in()
        return await ask()

    async def _pod(self, sandbox: SandboxId, choice: ShellChoice) -> SandboxId:
        """The pod of now that a shell or a command goes to.

        Raises:
            NotFoundError: no such sandbox, or the pod named is not its own.
            ChoiceError: it owns several, and none was named.
            ShellError: it has none now.
        """
        namespace, name = required_key(sandbox)
        http, version = await self._connected()
        found = await read_backing(http, version, namespace, name)
        names = [one.metadata.name for one in found.pods]
        if choice.pod is not None:
            if choice.pod not in names:
                wanted, own = sanitize(choice.pod, 100), sanitize(", ".join(names), 300)
                raise NotFoundError(
                    f"{sanitize(name, 100)} has no pod {wanted!r}. Its own: {own or 'none'}."
                )
            return SandboxId(sandbox.source, f"{namespace}/{choice.pod}")
        if len(names) > 1 and not choice.first_pod:
            raise ChoiceError(f"{sanitize(name, 100)} has several pods", choices=tuple(names))
        if found.pod is None:
            raise _no_pod(found)
        return SandboxId(sandbox.source, found.pod.native_id)


def _no_pod(found: Backing) -> ShellError:
    sandbox = found.sandbox
    name = sanitize(sandbox.metadata.name, 100)
    if sandbox.mode == "Suspended":
        said, retry = f"{name} is suspended and has no pod", Retry.ASK
        return ShellError(said, retry=retry, advice="wake it, then open the shell again")
    if found.pods:
        return ShellError(f"{name} has several pods, none of its own name", retry=Retry.ASK)
    return ShellError(f"{name} has no pod yet", retry=Retry.AUTO, advice="it is being made")


class BackingShell(ForwardingShell):
    """A shell in the pod that is behind a sandbox when it is opened."""

    def __init__(self, find: Callable[[], Awaitable[PodShell]], notice: str) -> None:
        """`find` gives a shell that is not open, in the pod of now."""
        super().__init__(notice)
        self._find = find

    async def open(self, columns: int, lines: int) -> None:
        """Find the pod and open a shell in it.

        Raises:
            ShellError: there is none, or as `PodShell.open`.
        """
        try:
            self._inner = await self._find()
        except ShellError:
            raise
        except WakedeckError as error:
            retry = Retry.NO if isinstance(error, NotFoundError) else Retry.ASK
            raise ShellError(error.sentence, retry=retry, advice=error.advice) from error
        await self._inner.open(columns, lines)

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended; a pod that is gone may have another one after it."""
        got = await require_open(self._inner).read()
        if not isinstance(got, CloseReason) or not got.reason.startswith(_GONE):
            return got
        said = f"{got.reason}; opening again finds the pod its sandbox has then"
        retry = Retry.AUTO if got.state is ShellState.LOST else Retry.ASK
        return replace(got, reason=said, retry=retry)
