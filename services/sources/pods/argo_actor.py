"""Does what the operator asked of a pod behind Argo CD: opens shells and runs commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from services.clock import Clock
from services.errors import ShellError, UnavailableError
from services.models import Retry, SandboxId, Step
from services.net.http import ApiError, KeptHttp
from services.sources.pods import argo_api
from services.sources.pods.argo_api import AppPod
from services.sources.pods.argo_client import WORDS, ArgoServer
from services.sources.pods.errors import argo_refusal, explain_api_error
from services.sources.pods.platform_shell import PlatformShell, Route, ShellEndpoint
from services.sources.pods.pod import container_of
from services.sources.pods.second_terminal import SecondTerminal
from services.sources.protocol.steps import LinkStep, run_steps
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice, collect_output
from services.terminal.exec.runner import run_command
from services.terminal.exec.sentinel import SentinelCommand
from services.terminal.transport.base import Transport
from services.terminal.transport.json_frames import Dialect
from services.terminal.transport.reconnect import ReconnectingTransport
from services.text.sanitize import sanitize

NOTICE = "A shell in a real pod: what you do here is real. This platform tells no exit code."
NO_WAKE = "Argo CD and the pod's controller start it, not this panel."
_LINK_S = 15.0


class ArgoActor:
    """The verbs of one server."""

    def __init__(self, source: str, server: ArgoServer, clock: Clock) -> None:
        self._source = source
        self._server = server
        self._clock = clock
        self._http = KeptHttp(server.http)

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"pods:{self._source}"

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        raise UnavailableError(NO_WAKE)

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Read the token, see the pod, prove that its terminal answers."""
        argo_api.split_id(sandbox)
        link = (
            LinkStep("credential", _LINK_S, self._read_token),
            LinkStep("sandbox", _LINK_S, lambda: self._check_pod(sandbox)),
            LinkStep("connect", _LINK_S, lambda: self._check_shell(sandbox)),
        )
        async for step in run_steps(link, self._clock):
            yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        return self._shell(sandbox, choice, (choice.shell,) if choice.shell else ("bash", "sh"))

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Over a terminal: one stream for both outputs. Never reconnects: a command runs once."""
        choice = request.choice

        def shell() -> Transport:
            return self._shell(sandbox, choice, (choice.shell or "sh",), again=False)

        keeper = SecondTerminal(shell, "the pod")
        return run_command(SentinelCommand(shell(), "the pod", keeper), request)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()

    def _shell(
        self, sandbox: SandboxId, choice: ShellChoice, shells: Sequence[str], again: bool = True
    ) -> Transport:
        application, _, name = argo_api.split_id(sandbox)
        if choice.pod not in (None, name):
            raise UnavailableError(f"{sanitize(name, 100)} is one pod, and another one was named.")

        def make() -> PlatformShell:
            return PlatformShell(
                lambda _: self._route(sandbox, choice, shells),
                lambda failure: argo_refusal(failure, application, name),
                Dialect.ARGO,
                self._clock,
                NOTICE,
            )

        if again and self._server.table.auto_reconnect and not choice.once:
            return ReconnectingTransport(make, self._clock)
        return make()

    async def _read_token(self) -> str:
        self._server.token()
        return "read; only Argo CD can renew it"

    async def _check_pod(self, sandbox: SandboxId) -> str:
        return (await self._find(sandbox)).status

    async def _find(self, sandbox: SandboxId) -> AppPod:
        """The pod as the server tells it; a refusal says what it means."""
        try:
            return await self._server.find(self._http.opened(), *argo_api.split_id(sandbox))
        except ApiError as error:
            raise explain_api_error(error, WORDS) from error

    async def _check_shell(self, sandbox: SandboxId) -> str:
        request = ExecRequest(("true",), timeout_s=_LINK_S - 3)
        done = await collect_output(self.exec(sandbox, request))
        if done.code is None:
            raise ShellError(done.reason, retry=Retry.AUTO)
        return "a command ran"

    async def _route(self, sandbox: SandboxId, choice: ShellChoice, shells: Sequence[str]) -> Route:
        one = await self._find(sandbox)
        judgement = argo_api.judge(one)
        if judgement.no_shell:
            why = judgement.reason or judgement.no_shell
            raise ShellError(f"no shell in {sanitize(one.name, 100)}: {why}")
        pod = await self._server.pod(self._http.opened(), one)
        names = [container.name for container in pod.containers]
        if choice.container is not None and choice.container not in names:
            raise ShellError(
                f"{sanitize(one.name, 100)} has no container {sanitize(choice.container, 60)!r}",
                retry=Retry.NO,
                advice=f"there are: {sanitize(', '.join(names), 300)}",
            )
        container = container_of(pod, choice.container or self._server.table.container)
        return Route(
            tuple(
                ShellEndpoint(
                    shell, argo_api.terminal_url(self._server.base, one, container, shell)
                )
                for shell in shells
            ),
            self._server.headers(),
            one.name,
            tls=self._server.tls(),
            allow_plain=self._server.table.allow_plain,
        )
