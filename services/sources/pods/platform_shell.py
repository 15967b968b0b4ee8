"""A shell over the JSON family: CentML's proxy and Argo CD.

See upstream/pods: JSON frames; upstream/terminal: Leaving a shell.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from services.clock import Clock
from services.errors import NotFoundError, ShellError, WakedeckError
from services.models import Retry, ShellState
from services.net.failures import ConnectionFailure
from services.terminal.transport.base import CloseReason, require_open
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.terminal.transport.end_keys import press_end_keys
from services.terminal.transport.forwarding import ForwardingShell
from services.terminal.transport.json_frames import TOKEN_RENEWED, Dialect, JsonFraming
from services.terminal.transport.websocket import WebSocketTransport

_TAIL_BYTES = 256
_HINT_S = 2.0
_NEW_SHELL = (
    "\r\n── new shell: the session token was renewed, the state of the previous one is gone ──\r\n"
)


@dataclass(frozen=True, slots=True)
class ShellEndpoint:
    """One address of a shell."""

    shell: str
    """Its name; empty where the server picks."""
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Everything needed to connect, fresh for each attempt."""

    endpoints: tuple[ShellEndpoint, ...]
    headers: Mapping[str, str] = field(repr=False)
    pod: str
    tls: ssl.SSLContext | None = None
    allow_plain: bool = False


class PlatformShell(ForwardingShell):
    """One shell; a transport."""

    def __init__(
        self,
        resolve: Callable[[bool], Awaitable[Route]],
        explain: Callable[[ConnectionFailure], ShellError],
        dialect: Dialect,
        clock: Clock,
        notice: str = "",
    ) -> None:
        """`resolve` finds the pod and the token, a renewed one where it is given True."""
        super().__init__(notice)
        self._resolve = resolve
        self._explain = explain
        self._dialect = dialect
        self._clock = clock
        self._endpoints: list[ShellEndpoint] = []
        self._route: Route | None = None
        self._size = (80, 24)
        self._had_output = False
        self._ended = False
        self._renewed = False
        self._tail = b""
        self._last_output_at = 0.0

    @property
    def pod(self) -> str:
        """The pod it is in, once it was found."""
        return "" if self._route is None else self._route.pod

    async def open(self, columns: int, lines: int) -> None:
        """Find the pod, connect; the token is renewed once on a 401.

        Raises:
            ShellError: as upstream/terminal: Why a session ends.
            ChoiceError: several pods would do.
        """
        self._size = (columns, lines)
        try:
            await self._resolve_route(renew=False)
            try:
                await self._start()
            except HandshakeRefusedError as error:
                if error.failure.status != 401:
                    raise
                await self._resolve_route(renew=True)
                await self._start()
        except HandshakeRefusedError as error:
            raise self._explain(error.failure) from error
        except ShellError:
            raise
        except WakedeckError as error:
            retry = Retry.NO if isinstance(error, NotFoundError) else Retry.ASK
            raise ShellError(error.sentence, retry=retry, advice=error.advice) from error

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended."""
        got = await require_open(self._inner).read()
        if not isinstance(got, CloseReason):
            self._had_output = True
            self._last_output_at = self._clock.monotonic()
            self._tail = (self._tail + got)[-_TAIL_BYTES:]
            return got
        if got is TOKEN_RENEWED and not self._renewed:
            self._renewed = True
            return await self._reopen(got)
        if not self._had_output and len(self._endpoints) > 1 and got.state is not ShellState.FAILED:
            # Nothing can be said after the handshake: a shell that is missing just ends
            # (upstream/pods: Argo CD refusals).
            return await self._next(got)
        self._ended = True
        return self._with_hint(got)

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        self._size = (columns, lines)
        await super().resize(columns, lines)

    async def close(self) -> None:
        """Interrupt what runs and end the shell, since a closed socket does neither; then drop."""
        inner = self._inner
        if inner is None:
            return
        if not self._ended:
            self._ended = True
            await press_end_keys(inner)
        await inner.close()

    async def _resolve_route(self, *, renew: bool) -> None:
        self._route = await self._resolve(renew)
        self._endpoints = list(self._route.endpoints)

    async def _start(self) -> None:
        route = self._route
        assert route is not None
        self._inner = WebSocketTransport(
            self._endpoints[0].url,
            route.headers,
            framing=JsonFraming(self._dialect),
            tls=route.tls,
            allow_plain=route.allow_plain,
        )
        await self._inner.open(*self._size)

    async def _reopen(self, ending: CloseReason) -> bytes | CloseReason:
        """A new shell with a new token, said aloud (upstream/pods: Argo CD token refresh)."""
        await super().close()
        try:
            await self._resolve_route(renew=True)
            await self._start()
        except WakedeckError as error:
            self._ended = True
            return replace(ending, reason=f"{ending.reason}; none could be opened: {error}")
        self._had_output = False
        return _NEW_SHELL.encode()

    async def _next(self, ending: CloseReason) -> bytes | CloseReason:
        tried = self._endpoints.pop(0)
        await super().close()
        try:
            await self._start()
        except ShellError as error:
            self._ended = True
            return CloseReason(ShellState.FAILED, error.sentence, retry=error.retry)
        trying = self._endpoints[0].shell
        return f"{tried.shell} ended at once (not there?); trying {trying}\r\n".encode()

    def _with_hint(self, ending: CloseReason) -> CloseReason:
        """What the last words add to an end without a code; hints, never more.

        See upstream/pods: Argo CD token refresh; upstream/pods: JSON endings.
        """
        if self._dialect is not Dialect.ARGO or ending.state is not ShellState.ENDED:
            return ending
        last = self._tail.replace(b"\r", b"").strip().rpartition(b"\n")[2]
        if last.endswith((b"exit", b"logout")):
            return replace(ending, reason="the shell exited; this platform tells no exit code")
        soon = self._clock.monotonic() - self._last_output_at <= _HINT_S
        if last == b"Permission denied" and soon:
            return replace(ending, reason=f"{ending.reason}; the right to exec may have been lost")
        return ending
