"""Does what the operator asked of a CentML deployment: signs in, opens shells, runs commands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from services.clock import Clock
from services.config.sources import CentmlTable
from services.errors import ChoiceError, ShellError, UnavailableError
from services.models import Retry, SandboxId, Step
from services.net.failures import ConnectionFailure
from services.net.http import ApiError, Http, KeptHttp
from services.sources.pods.centml_observer import WORDS, split_id, status_of
from services.sources.pods.centml_sign_in import LIMIT_S, sign_in
from services.sources.pods.centml_token import CentmlCredential
from services.sources.pods.errors import centml_refusal, explain_api_error
from services.sources.pods.platform_shell import PlatformShell, Route, ShellEndpoint
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
NO_WAKE = "The platform starts its deployments, not this panel."
_LINK_S = 15.0


class CentmlActor:
    """The verbs of one account."""

    def __init__(
        self,
        source: str,
        base: Callable[[], str],
        connect: Callable[[], Http],
        table: CentmlTable,
        credential: CentmlCredential,
        clock: Clock,
    ) -> None:
        self._source = source
        self._base = base
        self._table = table
        self._credential = credential
        self._clock = clock
        self._http = KeptHttp(connect)

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"pods:{self._source}"

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        raise UnavailableError(NO_WAKE)

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Sign in, see the deployment, prove that its terminal answers."""
        id, pod = split_id(sandbox)
        choice = ShellChoice(pod=pod or None, first_pod=not pod)
        link = (
            # A refresh token works once: an interrupted exchange would sign the operator out.
            LinkStep("credential", LIMIT_S + 5, self._sign_in, critical=True),
            LinkStep("sandbox", _LINK_S, lambda: self._check_pod(id, choice)),
            LinkStep("connect", _LINK_S, lambda: self._check_shell(sandbox, choice)),
        )
        async for step in run_steps(link, self._clock):
            yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        first = self._shell(sandbox, choice)
        if choice.once or not self._table.auto_reconnect:
            return first
        return ReconnectingTransport(lambda: self._shell(sandbox, choice), self._clock)

    def _shell(self, sandbox: SandboxId, choice: ShellChoice) -> PlatformShell:
        """One connection.

        Raises:
            UnavailableError: not as chosen.
        """
        id, pod = split_id(sandbox)
        if pod:
            if choice.pod not in (None, pod):
                raise UnavailableError("That row is one pod; name a pod on its deployment's row.")
            choice = replace(choice, pod=pod)
        if choice.container is not None:
            raise UnavailableError("The platform picks the container; it cannot be named.")
        chosen = choice
        return PlatformShell(
            lambda renew: self._route(id, chosen, renew),
            lambda failure: self._explain(failure, id, chosen),
            Dialect.CENTML,
            self._clock,
            NOTICE,
        )

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Over a terminal: one stream for both outputs. Never reconnects: a command runs once."""
        shell = self._shell(sandbox, request.choice)

        def again() -> Transport:
            return self._shell(sandbox, replace(request.choice, pod=shell.pod))

        wire = SentinelCommand(shell, "the pod", SecondTerminal(again, "the pod"))
        return run_command(wire, request)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()

    async def sign_in(self) -> str:
        """As `SignsIn`: another token, also where the one there looks good."""
        return await sign_in(self._credential, renew=True)

    async def _sign_in(self) -> str:
        return await sign_in(self._credential)

    async def _check_pod(self, id: int, choice: ShellChoice) -> str:
        deployment = await status_of(self._http.opened(), id)
        return f"pod {choose(deployment.running, choice, f'deployment {id}')}"

    async def _check_shell(self, sandbox: SandboxId, choice: ShellChoice) -> str:
        request = ExecRequest(("true",), choice, _LINK_S - 3)
        done = await collect_output(self.exec(sandbox, request))
        if done.code is None:
            raise ShellError(done.reason, retry=Retry.AUTO)
        return "a command ran"

    async def _route(self, id: int, choice: ShellChoice, renew: bool) -> Route:
        await sign_in(self._credential, renew=renew)
        try:
            deployment = await status_of(self._http.opened(), id)
        except ApiError as error:
            if error.status != 401 or renew:
                raise explain_api_error(error, WORDS) from error
            return await self._route(id, choice, True)
        if deployment.pods is None:
            raise ShellError(f"deployment {id} reports no pod list (v2)", retry=Retry.NO)
        pod = choose(deployment.running, choice, f"deployment {id}")
        return Route(
            (ShellEndpoint(choice.shell or "", terminal_url(self._base(), id, pod, choice.shell)),),
            self._credential.headers(),
            pod,
            allow_plain=self._table.allow_plain,
        )

    def _explain(self, failure: ConnectionFailure, id: int, choice: ShellChoice) -> ShellError:
        return centml_refusal(failure, str(id), choice.pod or "")


def terminal_url(base: str, id: int, pod: str, shell: str | None) -> str:
    """Where the proxy's terminal is (upstream/pods: CentML address)."""
    scheme, _, rest = base.rstrip("/").partition("://")
    query = {"pod": pod} | ({"shell": shell} if shell else {})
    secure = "wss" if scheme == "https" else "ws"
    words = urlencode(query, quote_via=quote, safe="")
    return f"{secure}://{rest}/deployments/{id}/terminal?{words}"


def choose(running: Sequence[str], choice: ShellChoice, what: str) -> str:
    """The pod meant: the named one, the only one, or the first where that is said.

    See upstream/pods: Choosing a pod.

    Raises:
        ShellError: there is none, or none of that name.
        ChoiceError: several, and nobody said which.
    """
    if not running:
        raise ShellError(f"{what} has no running pod")
    names = tuple(sanitize(one, 253) for one in running)
    if choice.pod is not None:
        if choice.pod not in running:
            raise ShellError(
                f"{what} has no running pod {sanitize(choice.pod, 100)!r}",
                retry=Retry.NO,
                advice=f"running are: {', '.join(names[:20])}",
            )
        return choice.pod
    if len(running) == 1 or choice.first_pod:
        return running[0]
    raise ChoiceError(
        f"{what} has {len(running)} running pods: {', '.join(names[:20])}",
        tuple(running),
        advice="pick one of their rows, or say --pod NAME or --first-pod",
    )
