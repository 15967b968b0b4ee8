"""A shell over a WebSocket, whatever its framing (upstream/terminal: Session states)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    InvalidURI,
    WebSocketException,
)
from websockets.typing import Subprotocol

from services.clock import Clock, SystemClock
from services.errors import ShellError, UnavailableError
from services.models import Retry, ShellState
from services.net.failures import is_loopback
from services.net.headers import Pairs, pairs
from services.net.proxies import Proxy, proxy_for
from services.terminal.transport.base import CloseReason, require_open
from services.terminal.transport.close_reasons import (
    HandshakeRefusedError,
    classify_close,
    classify_open_error,
)
from services.terminal.transport.framing import Finished, FrameEvent, Framing, Output, RemoteError

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
LARGEST_MESSAGE = 1 << 20
_RESIZE_LIMIT_S = 1.0
_FRAMES_IN_A_ROW = 64
_TCP_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4}
Dial: TypeAlias = Callable[[], Awaitable[tuple[socket.socket, Mapping[str, str]]]]
"""Makes a connection; gives it with the headers that may be sent over it. Raises ShellError."""
_CREDENTIALS = frozenset({"authorization", "cookie"})

_wire_log = logging.getLogger("wakedeck.wire")
# Below WARNING the library logs every header and frame: credentials and terminal content.
_wire_log.setLevel(logging.WARNING)


class WebSocketTransport:
    """One connection to one shell."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | Pairs,
        *,
        framing: Framing,
        notice: str = "",
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
        allow_plain: bool = False,
        proxy: str = "",
        server_name: str = "",
        dial: Dial | None = None,
        called: str = "",
    ) -> None:
        """Take a `ws` or `wss` url and the headers that carry the credential.

        `allow_plain` sends credentials to another machine without TLS; only an operator says so.
        `proxy` is a URL, empty for what the environment says; `server_name` is the name the
        certificate must bear where it is not the host's. `dial` makes the connection and gives
        the headers for it, anew for each `open`; `called` is then its name in sentences.
        """
        self.notice = notice
        self._url = url
        self._headers = pairs(headers)
        self._framing = framing
        self._clock = clock or SystemClock()
        self._tls = tls
        self._allow_plain = allow_plain
        self._proxy = proxy
        self._server_name = server_name
        self._dial = dial
        self._called = called
        self._connection: ClientConnection | None = None
        self._size = (80, 24)
        self._had_output = False
        self._had_data = False
        self._remote_error = ""
        self._finished: CloseReason | None = None
        self._last_received_at = 0.0
        self._frames = 0

    async def open(self, columns: int, lines: int) -> None:
        """Connect; the size is the first frame.

        Raises:
            ShellError: as upstream/terminal: Why a session ends; its text holds no secret.
        """
        address, secure = self._target()
        self._size = (columns, lines)
        named: dict[str, Any] = {}
        if secure and self._server_name:
            named["server_hostname"] = self._server_name
        if self._dial is not None:
            named["sock"], given = await self._dial()
            self._headers = pairs(given)
        via = None if self._dial is not None else self._proxy_of()
        try:
            self._connection = await connect(
                self._url,
                additional_headers=list(self._headers),
                subprotocols=[Subprotocol(name) for name in self._framing.subprotocols] or None,
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                ping_interval=None,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=LARGEST_MESSAGE,
                max_queue=16,
                write_limit=32 * 1024,
                proxy=None if via is None else via.url,
                logger=_wire_log,
                ssl=(self._tls or True) if secure else None,
                **named,
            )
        except InvalidURI as error:
            # Its text is the address we were sent to, query string included.
            raise self._open_error(error, address, secure, via) from None
        except (OSError, WebSocketException, EOFError) as error:
            raise self._open_error(error, address, secure, via) from error
        self._last_received_at = self._clock.monotonic()
        _enable_tcp_keepalive(self._connection)
        await self._check_subprotocol(self._connection.subprotocol, address)
        await self.resize(columns, lines)

    async def _check_subprotocol(self, chosen: str | None, address: str) -> None:
        """Go on only with a subprotocol we speak: the library lets a server select none."""
        if self._framing.subprotocols and chosen not in self._framing.subprotocols:
            await self.close()
            raise ShellError(
                f"{address} is not a server this panel can talk to (it chose no subprotocol)",
                retry=Retry.NO,
            )
        self._framing.on_subprotocol(chosen)

    async def read(self) -> bytes | CloseReason:
        """The next output, or why there is no more."""
        while True:
            got = await self.receive()
            if isinstance(got, CloseReason):
                return got
            output = b"".join(_displayed(event) for event in got)
            if output:
                if not self._had_output:
                    self._had_output = True
                    if self._framing.repeats_size:
                        await self.resize(*self._size)
                return output

    async def receive(self) -> Sequence[FrameEvent] | CloseReason:
        """What the next frame says, or why there is none; for one that tells outputs apart."""
        connection = self._opened()
        if self._finished is None:
            await self._yield_to_loop()
            try:
                frame = await connection.recv()
            except ConnectionClosed as error:
                self._finished = self._close_reason(error)
            else:
                self._last_received_at = self._clock.monotonic()
                return self._track_events(self._framing.decode(frame))
        return self._finished

    async def _yield_to_loop(self) -> None:
        """Receiving does not suspend while frames are queued.

        See upstream/terminal: Backlog and skipping.
        """
        self._frames += 1
        if self._frames % _FRAMES_IN_A_ROW == 0:
            await asyncio.sleep(0)

    def _track_events(self, events: Sequence[FrameEvent]) -> Sequence[FrameEvent]:
        for event in events:
            if isinstance(event, Output):
                self._had_data = True
            elif isinstance(event, RemoteError):
                self._remote_error = event.text
            elif isinstance(event, Finished) and self._finished is None:
                self._finished = event.ending
        return events

    async def write(self, data: bytes) -> None:
        """Send input; nothing once the connection is gone."""
        await self.send(self._framing.encode_input(data))

    async def send(self, frames: Sequence[str | bytes]) -> None:
        """Send frames the framing made, one message each; nothing once the connection is gone."""
        connection = self._opened()
        with contextlib.suppress(ConnectionClosed):
            for frame in frames:
                await connection.send(frame)

    async def acknowledge(self) -> bool:
        """Wait for the pong behind what was written: the peer has read up to here."""
        return await self.ping()

    async def ping(self) -> bool:
        """Wait for a pong; False once the connection is gone."""
        connection = self._opened()
        try:
            await (await connection.ping())
        except ConnectionClosed:
            return False
        return True

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size; a failure shows in `read`."""
        self._size = (columns, lines)
        frame = self._framing.encode_resize(columns, lines)
        if not frame:
            return
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_RESIZE_LIMIT_S):
                await self._opened().send(frame)

    def abort(self) -> None:
        """Cut the connection now, without a word; `read` ends at once."""
        if self._connection is not None:
            self._connection.transport.abort()

    async def close(self) -> None:
        """Close with 1000, wait 2 s at most, then drop."""
        connection = self._connection
        if connection is None:
            return
        # The peer's close frame is behind what it sent before: that has to be read.
        unread = asyncio.ensure_future(_drain(connection))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S + 1):
                await connection.close()
        except (TimeoutError, ConnectionClosed):
            pass
        finally:
            connection.transport.abort()
            unread.cancel()
            await asyncio.gather(unread, return_exceptions=True)

    def _opened(self) -> ClientConnection:
        return require_open(self._connection)

    def _target(self) -> tuple[str, bool]:
        """`host:port`, and whether it is TLS.

        Raises:
            ShellError: no address, or a credential would travel in the clear.
        """
        try:
            parts = urlsplit(self._url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not host or parts.scheme not in ("ws", "wss"):
            raise ShellError("the address of this shell is not a ws or wss URL", retry=Retry.NO)
        secure = parts.scheme == "wss"
        address = self._called or f"{host}:{port or (443 if secure else 80)}"
        carries = _CREDENTIALS & {name.lower() for name, _ in self._headers}
        if carries and not secure and not self._allow_plain and not is_loopback(host):
            raise ShellError(
                f"a credential would travel to {address} without TLS",
                retry=Retry.NO,
                advice="use a wss address",
            )
        return address, secure

    def _is_local(self) -> bool:
        return is_loopback(urlsplit(self._url).hostname or "")

    def _secrets(self) -> tuple[str, ...]:
        values = [value for name, value in self._headers if name.lower() in _CREDENTIALS]
        return tuple(values + [part for value in values for part in value.split() if len(part) > 6])

    def _proxy_of(self) -> Proxy | None:
        """The proxy on the way.

        Raises:
            ShellError: what is named is none.
        """
        try:
            return proxy_for(self._url, self._proxy, os.environ)
        except UnavailableError as error:
            raise ShellError(error.sentence, retry=Retry.NO) from None

    def _open_error(
        self, error: BaseException, address: str, secure: bool, via: Proxy | None
    ) -> ShellError:
        failure = classify_open_error(
            error,
            address,
            timeout_s=OPEN_TIMEOUT_S,
            secrets=self._secrets(),
            secure=secure,
            proxy="" if via is None else via.address,
        )
        if failure.status is not None:
            return HandshakeRefusedError(failure)
        return ShellError(failure.sentence, retry=failure.retry, advice=failure.advice)

    def _close_reason(self, error: ConnectionClosed) -> CloseReason:
        if self._remote_error and not self._had_data:
            return CloseReason(ShellState.FAILED, self._remote_error)
        return classify_close(
            error,
            # Nothing stands between us and this machine that could have an idle limit.
            idle_s=0.0 if self._is_local() else self._clock.monotonic() - self._last_received_at,
            silent_end=self._framing.silent_end,
            secrets=self._secrets(),
        )


def _displayed(event: FrameEvent) -> bytes:
    if isinstance(event, Output):
        return event.data
    if isinstance(event, RemoteError):
        return b"\r\n" + event.text.encode("utf-8", "replace") + b"\r\n"
    return b""


async def _drain(connection: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, ConcurrencyError):
        while True:
            for _ in range(_FRAMES_IN_A_ROW):
                await connection.recv()
            await asyncio.sleep(0)


def _enable_tcp_keepalive(connection: ClientConnection) -> None:
    raw = connection.transport.get_extra_info("socket")
    if raw is None:
        return
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP_KEEPALIVE.items():
            option = getattr(socket, name, None)
            if option is not None:
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
