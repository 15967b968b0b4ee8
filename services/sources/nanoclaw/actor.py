"""Waits for a session's wake, proves its link, opens shells and runs commands."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from services.clock import Clock
from services.errors import NotFoundError, ShellError, UnavailableError, WakedeckError
from services.models import Retry, SandboxId, ShellState, Step
from services.sources.nanoclaw.commands import SHELLS, command_argv, shell_argv
from services.sources.nanoclaw.observer import NanoClawObserver
from services.sources.protocol.steps import StepBuilder, skipped_step
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.terminal.exec.child import ChildCommand
from services.terminal.exec.requests import ExecEvent, ExecRequest, ExecResult, ShellChoice
from services.terminal.exec.runner import run_command
from services.terminal.transport.base import CloseReason, Transport, exited, require_open
from services.terminal.transport.forwarding import ForwardingShell
from services.terminal.transport.pty_transport import PtyTransport
from services.text.format import sentence
from services.text.redact import redact_line
from services.text.sanitize import sanitize

WAIT_LIMIT_S = 150.0
"""Two sweeps and a start."""
LINK_LIMIT_S = 15.0
POLL_S = 2.0

NOTICE = (
    "Inside the agent's container: /workspace/outbound.db is the agent's own queue, never write "
    "it; a shell does not keep the container alive, it is still reaped when idle for 30 min."
)
_NO_SHELL = (126, 127)
_RUNTIME_FAILED = 125


class NanoClawActor:
    """The verbs of one install. A host starts its own sessions: waking is waiting for it."""

    def __init__(self, source: str, root: str, observer: NanoClawObserver, clock: Clock) -> None:
        self._source = source
        self._root = root
        self._observer = observer
        self._clock = clock

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"nanoclaw:{self._root or self._source}"

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Wait for the host's next sweep to start it, counting down; nothing is done meanwhile."""
        self._check(sandbox)
        yield skipped_step("start", "the host starts its own sessions", self._clock)
        began = self._clock.monotonic()
        wait = StepBuilder("wait", self._clock, WAIT_LIMIT_S)
        yield wait.begun
        while True:
            seen = await self._observer.probe(sandbox)
            if seen.kind is VerdictKind.READY:
                yield wait.ok(seen.reason or "a container runs")
                return
            late = self._clock.monotonic() - began > WAIT_LIMIT_S
            if seen.kind is not VerdictKind.SETTLING or late:
                yield wait.failed(self._failed(seen, late))
                return
            yield wait.running(seen.reason)
            await self._clock.sleep(POLL_S)

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Prove the link: the runtime knows a container with this session's mount."""
        self._check(sandbox)
        step = StepBuilder("connect", self._clock, LINK_LIMIT_S)
        yield step.begun
        try:
            name = await self.container(sandbox)
        except UnavailableError as error:
            yield step.failed(error.sentence, transient=True)
            return
        yield step.ok(f"container {name}")

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        self._check(sandbox)
        self._no_pods(choice)
        shell = choice.shell or SHELLS[0]
        if shell not in SHELLS:
            raise UnavailableError(f"There is no way to ask for the shell {sanitize(shell, 40)}.")
        return ContainerShell(lambda: self.container(sandbox), shell)

    async def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """`docker exec` without a terminal: the streams apart."""
        self._check(sandbox)
        self._no_pods(request.choice)
        if not request.argv:
            raise UnavailableError("There is no command to run.")
        name = await self.container(sandbox)
        wire = ChildCommand(
            lambda argv, stdin: command_argv(name, argv, stdin=stdin),
            exec_result,
            place="the container",
        )
        async with aclosing(run_command(wire, request)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """Shells belong to their sessions; nothing else was started."""

    async def container(self, sandbox: SandboxId) -> str:
        """The name of the container that serves a session now.

        Raises:
            NotFoundError: no such session.
            UnavailableError: none runs, or the runtime does not say.
        """
        _, session_key, listing = await self._observer.locate(sandbox)
        if listing.problem:
            raise UnavailableError(sentence(f"Container state unknown: {listing.problem}"))
        found = listing.by_session.get(session_key)
        if found is None:
            raise UnavailableError(
                f"No container of {sanitize(sandbox.native_id, 80)} runs.",
                advice="It starts with its next message, or with a nudge from the palette.",
            )
        return found.name

    def _check(self, sandbox: SandboxId) -> None:
        if sandbox.source != self._source:
            raise NotFoundError(f"{sanitize(str(sandbox), 120)} belongs to another source.")

    @staticmethod
    def _no_pods(choice: ShellChoice) -> None:
        if choice.pod is not None or choice.first_pod:
            raise UnavailableError("A NanoClaw session has one container and no pods.")

    @staticmethod
    def _failed(seen: Verdict, late: bool) -> str:
        return f"Not started within {WAIT_LIMIT_S:g} s: {seen.reason}" if late else seen.reason


def interpret(code: int, shell: str) -> CloseReason:
    """What the exit code of `docker exec` says of the shell in it."""
    if code in _NO_SHELL:
        return CloseReason(
            ShellState.FAILED,
            f"there is no {shell} in this container; choose another shell",
            code=code,
            retry=Retry.NO,
        )
    if code == _RUNTIME_FAILED:
        return CloseReason(
            ShellState.FAILED, "docker could not open it: the container may have ended"
        )
    if code == 137:
        return CloseReason(ShellState.LOST, "the container was stopped (137)", code=code)
    return exited(code)


def exec_result(code: int, told: str, began: bool) -> ExecResult:
    """What the exit code of `docker exec` says of a command in it.

    Raises:
        ShellError: docker did not start it.
    """
    if began:
        return ExecResult(code)
    lines = told.strip().splitlines()
    why = redact_line(lines[-1], 160) if lines else f"docker ended with {code}"
    raise ShellError(f"It was not started: {why.rstrip('.')}.", retry=Retry.ASK)


class ContainerShell(ForwardingShell):
    """`docker exec` on a pseudo terminal of ours."""

    def __init__(self, find: Callable[[], Awaitable[str]], shell: str) -> None:
        """`find` gives the container's name, or raises with the operator's sentence."""
        super().__init__(NOTICE)
        self._find = find
        self._shell = shell
        self._closed = False

    async def open(self, columns: int, lines: int) -> None:
        """Find the container and start the shell in it.

        Raises:
            ShellError: no container runs, or it could not be started.
        """
        try:
            argv = shell_argv(await self._find(), self._shell)
        except ShellError:
            raise
        except WakedeckError as error:
            raise ShellError(error.sentence, retry=Retry.ASK, advice=error.advice) from error
        if self._closed:
            raise ShellError("this shell was closed before it was open")
        inner = PtyTransport(
            argv, env=os.environ, notice=NOTICE, interpret=lambda code: interpret(code, self._shell)
        )
        self._inner = inner
        await inner.open(columns, lines)

    async def read(self) -> bytes | CloseReason:
        """The next output, or how the shell ended."""
        return await require_open(self._inner).read()

    async def close(self) -> None:
        """Hang up and end the child."""
        self._closed = True
        await super().close()
