"""What the embedded gateway answers before a WebSocket: health, the list, and who may come in."""

from __future__ import annotations

import hmac
import json
import socket
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from services.sources.local.door import HOST_HEADER
from services.sources.local.faults import Faults
from services.sources.local.gateway_terminals import SHELLS, TerminalRequest, installed, work_folder
from services.sources.local.layout import HOST, World

_MOST_FIELDS = 16


class GatewayHttp:
    """Answers HTTP requests; an accepted terminal is kept as a `TerminalRequest`."""

    def __init__(self, world: World, token: str, faults: Callable[[], Faults]) -> None:
        self.ready = False
        self.port = 0
        """Of the loopback port, where there is one."""
        self.accepted: dict[ServerConnection, TerminalRequest] = {}
        """Of the connections let through; taken by the handler."""
        self._world = world
        self._token = token
        self._faults = faults

    def handle(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request, or None for a terminal that may open."""
        names = self._names(connection)
        if request.headers.get_all("Host") not in [[name] for name in names]:
            return _answer(connection, HTTPStatus.FORBIDDEN, {"error": "foreign host"})
        origins = request.headers.get_all("Origin")
        if any(origin not in [f"http://{name}" for name in names] for origin in origins):
            return _answer(connection, HTTPStatus.FORBIDDEN, {"error": "foreign origin"})
        if request.method != "GET":
            return _answer(connection, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET"})
        try:
            target = urlsplit(request.path)
            query = parse_qs(target.query, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return _answer(connection, HTTPStatus.BAD_REQUEST, {"error": "not a target"})
        return self._page(connection, request, target.path, query)

    def _page(
        self,
        connection: ServerConnection,
        request: Request,
        path: str,
        query: dict[str, list[str]],
    ) -> Response | None:
        if sys.platform != "linux" and not _is_unix(connection):
            # Whose process is at the other end of a port cannot be known there.
            refusal = self._refusal(connection, request)
            if refusal is not None:
                return refusal
        match path.strip("/").split("/"):
            case ["healthz"]:
                return _answer(connection, HTTPStatus.OK, {"status": "ok"})
            case ["readyz"]:
                return self._readiness(connection)
            case ["sandboxes"]:
                return self._refusal(connection, request) or self._list(connection)
            case ["sandboxes", name, "terminal"]:
                return self._refusal(connection, request) or self._terminal(
                    connection, unquote(name), query
                )
        return _answer(connection, HTTPStatus.NOT_FOUND, {"error": "no such page"})

    def _names(self, connection: ServerConnection) -> list[str]:
        if _is_unix(connection):
            return [HOST_HEADER]
        return [f"{name}:{self.port}" for name in (HOST, "localhost")]

    def draining(self) -> bool:
        """Whether it is about to leave."""
        until = self._faults().drain_until
        return until is not None and time.time() < until

    def _readiness(self, connection: ServerConnection) -> Response:
        if self.ready and not self.draining():
            return _answer(connection, HTTPStatus.OK, {"status": "ok", "ready": True})
        said = "draining" if self.draining() else "starting"
        return _answer(connection, HTTPStatus.SERVICE_UNAVAILABLE, {"status": said})

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._faults().credential_refused:
            return _answer(
                connection, HTTPStatus.FORBIDDEN, {"error": "the credential was refused"}
            )
        given = request.headers.get_all("Authorization")
        expected = f"Bearer {self._token}".encode()
        known = len(given) == 1 and hmac.compare_digest(
            given[0].encode("utf-8", "replace"), expected
        )
        if known:
            return None
        return _answer(
            connection, HTTPStatus.UNAUTHORIZED, {"error": "a valid bearer token is needed"}
        )

    def _list(self, connection: ServerConnection) -> Response:
        names = [{"id": name} for name in self._world.names()]
        return _answer(connection, HTTPStatus.OK, {"sandboxes": names})

    def _terminal(
        self, connection: ServerConnection, sandbox: str, query: dict[str, list[str]]
    ) -> Response | None:
        if sandbox not in self._world.names():
            return _answer(connection, HTTPStatus.NOT_FOUND, {"error": "no such sandbox"})
        if self.draining():
            return _answer(connection, HTTPStatus.SERVICE_UNAVAILABLE, {"error": "draining"})
        asked = query.get("shell", [])
        candidates = asked or [name for name in ("bash", "sh") if installed(name)]
        if not candidates or candidates[0] not in SHELLS or not installed(candidates[0]):
            return _answer(connection, HTTPStatus.BAD_REQUEST, {"error": "no such shell here"})
        try:
            work = work_folder(self._world, sandbox)
        except OSError:
            return _answer(
                connection,
                HTTPStatus.SERVICE_UNAVAILABLE,
                {"error": "the folder of this sandbox is not there yet"},
            )
        if is_plain_http(connection):
            return _answer(
                connection, HTTPStatus.UPGRADE_REQUIRED, {"error": "a WebSocket is needed"}
            )
        self.accepted[connection] = TerminalRequest(sandbox, candidates[0], work)
        return None


def _is_unix(connection: ServerConnection) -> bool:
    return bool(connection.transport.get_extra_info("socket").family == socket.AF_UNIX)


def is_plain_http(connection: ServerConnection) -> bool:
    """Whether the request in hand does not ask for a WebSocket."""
    request = connection.request
    return request is None or "websocket" not in request.headers.get("Upgrade", "").lower()


def _answer(connection: ServerConnection, status: HTTPStatus, body: dict[str, object]) -> Response:
    response = connection.respond(status, json.dumps(body) + "\n")
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
