"""Does what the operator asked of a pod: signs in, opens shells, runs commands; starts nothing."""

from __future__ import annotations

import getpass
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from services.clock import Clock
from services.errors import RefusedError, ShellError, UnavailableError
from services.models import Retry, SandboxId, Step
from services.net.http import ApiError, Http
from services.sources.pods.credential import KubeCredential
from services.sources.pods.errors import explain_api_error
from services.sources.pods.kube_access import KubeAccess, ShellRequest, ShellTarget
from services.sources.pods.kube_client import Kube, http_of, read_one, split_id
from services.sources.pods.kube_observer import refusal_text_of
from services.sources.pods.kube_shell import PodShell
from services.sources.pods.remote_cleanup import OpenShells, RemoteCleanup
from services.sources.pods.shell_commands import session_name
from services.sources.pods.sign_in import HELPER_LIMIT_S, sign_in
from services.sources.pods.sign_in_shell import SignInShell
from services.sources.protocol.steps import LinkStep, run_steps
from services.terminal.exec.channels import ChannelCommand
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice, collect_output
from services.terminal.exec.runner import run_command
from services.terminal.transport.base import Transport
from services.terminal.transport.reconnect import ReconnectingTransport
from services.text.sanitize import sanitize

NOTICE = "A shell in a real pod: what you do here is real."
NO_WAKE = "A pod is started by its controller, not from here."
MAY_ASK = "If it has to ask: reconnect (r) on its gateway runs it in a tab now."
_LINK_S = 15.0
_JUST_NOW_S = 60.0
"""So long a link takes a credential that the operator just got for the whole source."""


class KubeActor:
    """The verbs of a cluster's pods."""

    def __init__(self, source: str, kube: Kube, clock: Clock, state: Path | None = None) -> None:
        """`state` is the folder where open shells are written down; None for nowhere."""
        self._source = source
        self._kube = kube
        self._clock = clock
        self._link: KubeAccess | None = None
        self._signed_in: tuple[str, float] | None = None
        self._itself = SandboxId(source, source)
        self._asking: SignInShell | None = None
        self._failed_alone = False
        """The helper failed where it could not ask."""
        self._http: Http | None = None
        self._cleanup = RemoteCleanup(self._connect, OpenShells(state, source))
        self._resumable: dict[SandboxId, set[int]] = {}

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"pods:{self._source}"

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        raise UnavailableError(NO_WAKE)

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Sign in, see the pod, prove that a command runs in it."""
        shell_request = self._shell_request(sandbox, ShellChoice())
        link = (
            LinkStep("credential", HELPER_LIMIT_S + 5, self._sign_in_once),
            LinkStep("sandbox", _LINK_S, lambda: self._check_pod(shell_request)),
            LinkStep("connect", _LINK_S, lambda: self._check_shell(shell_request)),
        )
        async for step in run_steps(link, self._clock):
            yield step

    def asking_shell(self) -> SandboxId | None:
        """As `AsksInTerminal`: of a helper that always asks, or that failed unable to."""
        helper = self._kube.helper
        if helper is None or not (helper.interactive or (helper.may_ask and self._failed_alone)):
            return None
        return self._itself

    def terminal_sign_in(self) -> Transport | None:
        """As `SignsInOnTerminal`: of a helper that takes a terminal where there is one."""
        helper = self._kube.helper
        return self._sign_in_shell() if helper is not None and helper.may_ask else None

    def _sign_in_shell(self) -> SignInShell:
        if self._asking is not None and not self._asking.over:
            raise UnavailableError("The credential helper of this source runs already.")

        async def find() -> KubeCredential:
            self._kube.reread()
            return await self._kube.credential()

        self._asking = SignInShell(find, self._have_signed_in)
        return self._asking

    def _have_signed_in(self, said: str) -> None:
        self._signed_in = (said, self._clock.monotonic())
        self._failed_alone = False

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        if sandbox == self._itself:
            return self._sign_in_shell()
        self._shell_request(sandbox, choice)
        open_in = self.shells(sandbox, choice)
        return self.reconnecting(lambda: open_in(sandbox), choice)

    def shells(self, sandbox: SandboxId, choice: ShellChoice) -> Callable[[SandboxId], PodShell]:
        """Makes the shells of one tab of a sandbox, in whichever pod is given."""
        number = self._free_number(sandbox) if self._kube.table.resumable and not choice.once else 0
        session = session_name(f"wakedeck-{_operator()}-{number}") if number else ""

        def closed() -> None:
            self._resumable.get(sandbox, set()).discard(number)

        def open_in(pod: SandboxId) -> PodShell:
            request = replace(self._shell_request(pod, choice), session=session)
            return PodShell(self._connect, request, self._clock, NOTICE, closed)

        return open_in

    def reconnecting(self, make: Callable[[], Transport], choice: ShellChoice) -> Transport:
        """What `make` gives, opened again by itself where the configuration says so."""
        table = self._kube.table
        if table.auto_reconnect and not choice.once:
            return ReconnectingTransport(make, self._clock, resumes=table.resumable)
        return make()

    async def access(self) -> KubeAccess:
        """The cluster as the operator reaches it, signed in.

        Raises:
            UnavailableError, ProcessError: as `sign_in`.
        """
        return await self._connect()

    async def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Streams apart and a real exit code; `--shell` runs the words as one line of it."""
        shell_request = self._shell_request(sandbox, request.choice)
        words = request.argv
        if request.choice.shell is not None:
            if len(words) != 1:
                raise RefusedError(
                    "With --shell the command is one argument, as the shell is to read it.",
                    advice=f'For example: -- "{sanitize(" ".join(words), 80)}"',
                )
            words = (request.choice.shell, "-c", words[0])
        link = await self._connect()
        place = await link.locate(shell_request, self._clock.now())
        async with aclosing(self._run(link, place, replace(request, argv=words))) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """Hang up what was left in pods, 3 s at most."""
        await self._cleanup.close()
        if self._http is not None:
            await self._http.close()

    def _run(
        self, link: KubeAccess, place: ShellTarget, request: ExecRequest
    ) -> AsyncGenerator[ExecEvent, None]:
        name = sanitize(place.pod.metadata.name, 100)
        keeper = self._cleanup.keeper(place)
        wire = ChannelCommand(partial(link.opened, place), keeper, f"pod {name}")
        return run_command(wire, request)

    def _shell_request(self, sandbox: SandboxId, choice: ShellChoice) -> ShellRequest:
        namespace, name = split_id(sandbox)
        if choice.pod is not None and choice.pod != name:
            raise UnavailableError(
                f"{sanitize(name, 100)} is one pod; {sanitize(choice.pod, 100)!r} is another one."
            )
        container = choice.container or self._kube.table.container
        return ShellRequest(namespace, name, container, choice.container is not None, choice.shell)

    def _free_number(self, sandbox: SandboxId) -> int:
        """The smallest number no open shell has: closing a shell and opening one finds it again."""
        taken = self._resumable.setdefault(sandbox, set())
        number = next(one for one in count(1) if one not in taken)
        taken.add(number)
        return number

    async def _connect(self) -> KubeAccess:
        """The cluster as the operator reaches it, signed in.

        Raises:
            UnavailableError, ProcessError: as `sign_in`.
        """
        credential = await self._kube.credential()
        if self._link is None or self._link.credential is not credential:
            if self._http is not None:
                await self._http.close()
            self._http = http_of(credential)
            self._link = KubeAccess(credential, self._http, self._renew, self._cleanup)
        if credential.needs_helper:
            await sign_in(credential)
        return self._link

    async def _renew(self) -> None:
        await sign_in(await self._kube.credential())

    async def sign_in(self) -> str:
        """As `SignsIn`: the helper runs once, also where a link is proved right afterwards."""
        # Somebody may have signed in with the platform's own tool since.
        self._kube.reread()
        credential = await self._kube.credential()
        try:
            said = await sign_in(credential)
        except UnavailableError as error:
            helper = self._kube.helper
            if helper is not None and helper.may_ask and not helper.interactive:
                self._failed_alone = True
                error.advice = f"{error.advice} {MAY_ASK}".strip()
            raise
        self._have_signed_in(said)
        return said

    async def _sign_in_once(self) -> str:
        if self._signed_in is not None:
            (said, at), self._signed_in = self._signed_in, None
            if self._clock.monotonic() - at < _JUST_NOW_S:
                return said
        helper = self._kube.helper
        asks = helper is not None and helper.interactive
        if asks and not (await self._kube.credential()).needs_helper:
            return "as signed in before"
        said = await self.sign_in()
        self._signed_in = None
        return said

    async def _check_pod(self, shell_request: ShellRequest) -> str:
        link = await self._connect()
        try:
            pod = await read_one(link.http, shell_request.namespace, shell_request.name)
        except ApiError as error:
            raise explain_api_error(error, refusal_text_of(link.credential)) from error
        return sanitize(pod.status.phase or "seen", 40)

    async def _check_shell(self, shell_request: ShellRequest) -> str:
        """A command that does nothing ran, or would have if the container had a shell."""
        link = await self._connect()
        place = await link.locate(shell_request, self._clock.now())
        request = ExecRequest(("sh", "-c", "exit 0"), timeout_s=_LINK_S)
        done = await collect_output(self._run(link, place, request))
        if done.code != 0:
            raise ShellError(f"no command ran in it: {done.reason or done.code}", retry=Retry.AUTO)
        return f"container {sanitize(place.container, 60)}"


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
