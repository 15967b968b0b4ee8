"""A shell in a pod: found, opened, kept honest and hung up.

See upstream/pods: Exec request; upstream/terminal: Leaving a shell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.clock import Clock
from services.errors import NotFoundError, ShellError, WakedeckError
from services.models import Retry, ShellState
from services.sources.pods import judge
from services.sources.pods.access import IN_CLUSTER
from services.sources.pods.kube_access import KubeAccess, ShellRequest, ShellTarget
from services.sources.pods.kube_client import read_one
from services.sources.pods.shell_commands import ShellCommand, debug_command, shell_commands
from services.terminal.exec.remote_pid import PidPreamble
from services.terminal.transport.base import CloseReason, require_open
from services.terminal.transport.forwarding import ForwardingShell
from services.terminal.transport.k8s_channels import ChannelFraming, ExecStatusKind
from services.terminal.transport.websocket import WebSocketTransport
from services.text.sanitize import sanitize

AT_ONCE_S = 1.0
"""A shell that ends with 126 or 127 before this was none (upstream/pods: Exit status)."""
_CHECK_S = 3.0
_FIRST_WORD_S = 1.0
_STREAMS = ("stdin", "stdout", "tty")
_RESUMABLE = ("tmux", "screen")


class PodShell(ForwardingShell):
    """One shell in one pod; a transport."""

    _inner: WebSocketTransport | None

    def __init__(
        self,
        connect: Callable[[], Awaitable[KubeAccess]],
        request: ShellRequest,
        clock: Clock,
        notice: str = "",
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        """`connect` signs in where that is needed; `closed` is called with `close`."""
        super().__init__(notice)
        self._connect = connect
        self._closed = closed
        self._request = request
        self._clock = clock
        self._commands: list[ShellCommand] = []
        self._link: KubeAccess | None = None
        self._place: ShellTarget | None = None
        self._framing = ChannelFraming()
        self._preamble = PidPreamble()
        self._opened_at = 0.0
        self._had_output = False
        self._greeted = False
        self._ended = False
        self._pod_lost: CloseReason | None = None
        self._size = (80, 24)

    async def open(self, columns: int, lines: int) -> None:
        """Find the pod, sign in if need be, connect; renews the credential once on a 401.

        Raises:
            ShellError: as upstream/terminal: Why a session ends.
        """
        self._size = (columns, lines)
        self._commands = list(shell_commands(self._request.shell, self._request.session))
        try:
            self._link = await self._connect()
            self._place = await self._link.locate(self._request, self._clock.now())
            await self._link.with_renewal(self._start, self._request.name)
        except ShellError:
            raise
        except WakedeckError as error:
            retry = Retry.NO if isinstance(error, NotFoundError) else Retry.ASK
            raise ShellError(error.sentence, retry=retry, advice=error.advice) from error

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended; a missing shell is followed by the next one."""
        while True:
            got = await require_open(self._inner).read()
            if not isinstance(got, CloseReason):
                output = self._preamble.feed(got)
                if self._preamble.remote is not None and not self._greeted:
                    self._greeted = True
                    self._note()
                    output = self._greeting() + output
                if output:
                    self._had_output = True
                    return output
                continue
            if self._pod_lost is not None:
                return self._pod_lost
            if self._no_program(got):
                said = await self._next(got)
                if isinstance(said, bytes):
                    return said
                got = said
            held = self._preamble.flush()
            if held:
                return held
            self._ended = self._framing.outcome is not None
            self._note()
            return await self._with_pod_reason(replace(got, resumes=self._is_kept(got)))

    async def ping(self) -> bool:
        """A pong; while the shell is silent, the pod is looked at too: it may be gone.

        See upstream/pods: Exit status.
        """
        alive = await super().ping()
        if alive:
            await self._check()
        return alive

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        self._size = (columns, lines)
        await super().resize(columns, lines)

    async def close(self) -> None:
        """Drop the connection, and hang up a shell that has not ended."""
        self._closed()
        if self._inner is None:
            return
        try:
            if (
                not self._ended
                and self._preamble.remote is None
                and self._commands[0].identifies_itself
            ):
                await self._learn(self._inner)
            await self._inner.close()
        finally:
            # Also where the closing is cancelled: the hang-up goes on without us.
            await self._hang_up()

    def _note(self) -> None:
        """Keep count of the shell: it runs, or has ended by itself."""
        remote = self._preamble.remote
        if remote is None or self._link is None or self._place is None:
            return
        remote_processes = self._link.remote_processes
        (remote_processes.shell_ended if self._ended else remote_processes.shell_started)(
            self._place, remote
        )

    async def _hang_up(self) -> None:
        remote = self._preamble.remote
        if remote is None or self._ended or self._link is None or self._place is None:
            return
        self._ended = True
        await self._link.remote_processes.end(self._place, remote)

    async def _learn(self, inner: WebSocketTransport) -> None:
        """Left before its first word: whom to hang up comes any moment now."""
        try:
            async with asyncio.timeout(_FIRST_WORD_S):
                while self._preamble.remote is None:
                    got = await inner.read()
                    if isinstance(got, CloseReason):
                        self._ended = self._framing.outcome is not None
                        return
                    self._preamble.feed(got)
        except (TimeoutError, ShellError):
            return

    async def _start(self) -> None:
        assert self._link is not None and self._place is not None
        self._framing, self._preamble = ChannelFraming(), PidPreamble()
        inner = self._link.transport(self._place, self._commands[0].argv, _STREAMS, self._framing)
        self._inner = inner
        await inner.open(*self._size)
        self._opened_at = self._clock.monotonic()

    def _no_program(self, ending: CloseReason) -> bool:
        outcome = self._framing.outcome
        if outcome is None or self._preamble.remote is not None:
            return False
        if outcome.kind is ExecStatusKind.NO_PROGRAM:
            return True
        # Docker-based nodes run a missing program to exit 126 with the reason as output.
        soon = self._clock.monotonic() - self._opened_at < AT_ONCE_S
        return ending.code in (126, 127) and soon

    async def _next(self, ending: CloseReason) -> bytes | CloseReason:
        """Go on with the next way in; what to show, or the end."""
        tried = self._commands.pop(0)
        await super().close()
        if not self._commands:
            self._ended = True
            return CloseReason(ShellState.FAILED, self._no_shell(), retry=Retry.NO)
        try:
            await self._start()
        except ShellError as error:
            return CloseReason(ShellState.FAILED, error.sentence, retry=error.retry)
        trying = self._commands[0].name
        if trying == f"/bin/{tried.name}":
            return await self.read()
        return f"no {tried.name} in this container; trying {trying}\r\n".encode()

    def _no_shell(self) -> str:
        assert self._link is not None and self._place is not None
        access = self._link.credential.access
        named = "" if access.context == IN_CLUSTER else access.context
        where = self._request.namespace, self._request.name, self._place.container
        command = sanitize(debug_command(named, *where), 500)
        return f"this container has no shell; this adds one that has: {command}"

    def _greeting(self) -> bytes:
        """Says so where the shell is another than the one asked for."""
        remote, request = self._preamble.remote, self._request
        if remote is None:
            return b""
        if request.session and remote.program not in _RESUMABLE:
            said = f"no tmux or screen in this container: this {remote.program} is not resumable"
        elif not request.session and request.shell and remote.program != request.shell:
            said = f"no {request.shell} in this container: this is {remote.program}"
        else:
            return b""
        return f"{said}\r\n".encode()

    async def _check(self) -> None:
        """Give up a session whose pod was deleted or replaced; any other failure proves nothing."""
        assert self._link is not None and self._place is not None
        gone = ""
        try:
            async with asyncio.timeout(_CHECK_S):
                pod = await read_one(self._link.http, self._request.namespace, self._request.name)
            if pod.metadata.uid != self._place.pod.metadata.uid:
                gone = "the pod was replaced by another of the same name"
        except NotFoundError:
            gone = "the pod was deleted"
        except (WakedeckError, TimeoutError):
            return
        if gone:
            self._pod_lost = CloseReason(ShellState.LOST, gone, retry=Retry.NO)
            self._ended = True
            if self._inner is not None:
                self._inner.abort()

    def _is_kept(self, ending: CloseReason) -> bool:
        """Whether the shell goes on in its tmux or screen, where the next one finds it."""
        remote = self._preamble.remote
        within = remote is not None and remote.program in _RESUMABLE
        return within and bool(self._request.session) and ending.state is ShellState.LOST

    async def _with_pod_reason(self, ending: CloseReason) -> CloseReason:
        """A killed shell may mean a stopped container: the pod knows."""
        if ending.code != 137 or self._link is None or self._place is None:
            return ending
        try:
            async with asyncio.timeout(_CHECK_S):
                pod = await read_one(self._link.http, self._request.namespace, self._request.name)
        except NotFoundError:
            return replace(ending, reason="the pod was deleted (137)", retry=Retry.NO)
        except (WakedeckError, TimeoutError):
            return ending
        before = self._place.pod.container(self._place.container)
        after = pod.container(self._place.container)
        if before is None or after is None:
            return ending
        if after.state is not None and after.state.terminated is not None:
            return replace(ending, reason=judge.ending(after, after.state.terminated))
        if after.restart_count != before.restart_count:
            return replace(ending, reason="the container stopped (137) and was started again")
        return ending
