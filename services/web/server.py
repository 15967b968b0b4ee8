"""The server: a few files, one WebSocket for each viewer, and a guard before all of it."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from services.errors import UnavailableError
from services.files.private import private_folder
from services.web import page
from services.web.gate import Gate, Place
from services.web.viewers import LARGEST_MESSAGE, TAB, Viewers, sizes

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Handler, Middleware

HEARTBEAT_S = 15.0
"""A page that answers no ping for so long has gone."""
CLOSE_S = 2.0
"""How long a page, or an answer under way, may take to let go; panels have their own limit."""
OLD_S = 7 * 86_400.0
"""Views not changed for so long belong to no server."""
_REFUSED = "Not for you: open the address that `wakedeck serve` printed.\n"
MOST_STRANGERS = 64
"""Connections that have not shown the cookie; one more takes the place of the oldest."""
UNREAD_S = 1.0
"""How long the rest of a request that was refused is read, so that the answer arrives."""
_NO_REQUEST = "This is no request that a browser makes.\n"
_IN_TROUBLE = "The server could not answer; its log says why.\n"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served, to how many."""

    place: Place
    argv: Sequence[str]
    """What starts a panel."""
    viewers: int
    views: Path
    """Where the views of its tabs are kept while it serves."""
    title: str = "Wakedeck"
    on_viewers: Callable[[int], None] = lambda _: None
    """Hears how many look now."""


@asynccontextmanager
async def serving(wanted: Serving) -> AsyncIterator[Gate]:
    """Serve while inside; every panel has ended afterwards.

    Raises:
        UnavailableError: aiohttp or textual-serve is not installed, or the port is taken.
    """
    try:
        from aiohttp import web
    except ImportError as error:
        raise UnavailableError(page.MISSING, advice=page.ADVICE) from error
    files = page.files()
    listener = _listener(wanted.place)
    _forget_old(private_folder(wanted.views))
    with listener, tempfile.TemporaryDirectory(dir=wanted.views) as folder:
        gate = Gate(wanted.place.on_port(listener.getsockname()[1]))
        viewers = Viewers(wanted.argv, wanted.viewers, Path(folder), wanted.on_viewers)
        connections = Connections(gate.place)
        app = web.Application(middlewares=[_guard(gate, connections.admit)])
        pages = _Pages(gate, viewers, wanted.title, files)
        app.router.add_get("/", pages.index)
        app.router.add_get("/static/{name}", pages.file)
        app.router.add_get(f"/ws/{{tab:{TAB.pattern}}}", pages.socket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
        await runner.setup()
        assert runner.server is not None
        listening = await asyncio.get_running_loop().create_server(
            partial(connections.accepted, runner.server), sock=listener
        )
        try:
            yield gate
        finally:
            listening.close()
            await viewers.close()
            await runner.cleanup()


def _forget_old(views: Path) -> None:
    """Remove the views of servers that were killed."""
    for one in views.iterdir():
        with suppress(OSError):
            if time.time() - one.lstat().st_mtime > OLD_S and not one.is_symlink():
                shutil.rmtree(one, ignore_errors=True)


def _listener(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        return socket.create_server((place.host, place.port), family=family, backlog=64)
    except OSError as error:
        raise UnavailableError(
            f"The page cannot be served on {place.host} port {place.port}: {error.strerror}.",
            advice="Say another port: --port N.",
        ) from error


def _guard(gate: Gate, admit: Callable[[web.BaseRequest], None]) -> Middleware:
    """Before every answer: who asks, from where, and with what; `admit` hears of who may."""
    from aiohttp import web

    def refused(request: web.Request) -> web.Response | None:
        """The answer to who may not ask, or to who changes the token for the cookie."""
        said = request.headers
        if not gate.knows_host(said.getall("Host", ())):
            return _text(421, "This server is asked for by another name.\n")
        needs_origin = request.path.startswith("/ws")
        if not gate.knows_origin(said.getall("Origin", ()), needed=needs_origin):
            return _text(403, _REFUSED)
        if _from_elsewhere(said, needs_origin):
            return _text(403, _REFUSED)
        if request.method not in ("GET", "HEAD"):
            return _text(405, "Only asked for, never sent to.\n")
        if request.path == "/" and "token" in request.query:
            return _let_in(request.query.getall("token"))
        if not gate.takes_cookie(request.cookies.get(gate.cookie_name, "")):
            return _text(403, _REFUSED)
        admit(request)
        return None

    def _let_in(said: Sequence[str]) -> web.Response:
        if len(said) != 1 or not gate.takes_token(said[0]):
            return _text(403, _REFUSED)
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(
            gate.cookie_name,
            gate.cookie,
            httponly=True,
            samesite="Strict",
            secure=gate.place.secure,
            path="/",
        )
        return answer

    def _text(status: int, text: str) -> web.Response:
        return web.Response(status=status, text=text)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return refused(request) or await handler(request)

    return guarded


def _from_elsewhere(said: Mapping[str, str], is_socket: bool) -> bool:
    """Whether a browser says that another site's page asks, other than by leading here."""
    if said.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return False
    leads = said.get("Sec-Fetch-Mode") == "navigate" and said.get("Sec-Fetch-Dest") == "document"
    return is_socket or not leads


class _Pages:
    """The answers to those who may ask."""

    def __init__(
        self,
        gate: Gate,
        viewers: Viewers,
        title: str,
        files: Mapping[str, tuple[bytes, str]],
    ) -> None:
        self._gate = gate
        self._viewers = viewers
        self._title = title
        self._files = files

    async def index(self, request: web.Request) -> web.StreamResponse:
        """The page."""
        from aiohttp import web

        text = page.page(self._title, self._gate.place, request.headers["Host"])
        return web.Response(text=text, content_type="text/html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """One of its files."""
        from aiohttp import web

        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, kind = found
        return web.Response(body=body, content_type=kind)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """The line to a panel, for as long as the page is there."""
        from aiohttp import web

        line = web.WebSocketResponse(
            timeout=CLOSE_S, heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_MESSAGE
        )
        line.headers.update(page.headers(self._gate.place))
        await line.prepare(request)
        columns, lines = sizes(_number(request, "width", 80), _number(request, "height", 24))
        try:
            tab = request.match_info["tab"]
            await self._viewers.serve(_Line(line), tab, columns, lines)
        finally:
            with suppress(OSError, RuntimeError, asyncio.CancelledError):
                await line.close()
        return line


def _number(request: web.Request, name: str, usual: int) -> int:
    said = request.query.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 5 else usual


class _Line:
    """A page's end of the line, over aiohttp's WebSocket."""

    def __init__(self, line: web.WebSocketResponse) -> None:
        self._line = line

    async def receive(self) -> str | None:
        from aiohttp import WSMsgType

        message = await self._line.receive()
        return str(message.data) if message.type is WSMsgType.TEXT else None

    async def draw(self, data: bytes) -> None:
        with suppress(OSError, RuntimeError):
            await self._line.send_bytes(data)

    async def say(self, kind: str, text: str) -> None:
        with suppress(OSError, RuntimeError):
            await self._line.send_json([kind, text])


class Connections:
    """Tells those of a server that showed the cookie from strangers."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: set[asyncio.BaseProtocol] = set()

    def admit(self, request: web.BaseRequest) -> None:
        """It showed the cookie: its connection is ended by itself or by us alone."""
        self._known.add(request.protocol)

    def accepted(self, server: web.Server) -> asyncio.Protocol:
        """The protocol of a connection that comes."""
        open_now = [one for one in server.connections if one.transport is not None]
        self._known.intersection_update(open_now)
        strangers = [one for one in open_now if one not in self._known]
        if len(strangers) >= MOST_STRANGERS:
            strangers[0].force_close()
        kind = _connection(self._place)
        return kind(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            lingering_time=UNREAD_S,
        )


@cache
def _connection(place: Place) -> type[web.RequestHandler]:
    """What speaks on one: every answer is ours, to what cannot be read as well."""
    from aiohttp import web

    class PageConnection(web.RequestHandler):
        __slots__ = ()

        def handle_error(
            self,
            request: web.BaseRequest,
            status: int = 500,
            exc: BaseException | None = None,
            message: str | None = None,
        ) -> web.StreamResponse:
            if status == 500:
                _log.error("A page could not be answered", exc_info=exc)
            if request.writer.output_size > 0:
                raise ConnectionError("the answer has begun")
            answer = web.Response(status=status, text=_IN_TROUBLE if status == 500 else _NO_REQUEST)
            answer.force_close()
            return answer

        async def finish_response(
            self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
        ) -> tuple[web.StreamResponse, bool]:
            if isinstance(resp, web.HTTPException):  # its text repeats what was asked
                resp = web.Response(status=resp.status, text=f"{resp.reason}\n")
            if not resp.prepared:
                authority = request.headers.get("Host", "") if resp.status == 200 else ""
                resp.headers.update(page.headers(place, authority))
            return await super().finish_response(request, resp, start_time)

    return PageConnection
