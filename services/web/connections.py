"""The connections of the server: what every answer on one says, and how many strangers may wait."""

from __future__ import annotations

import asyncio
import logging
from functools import cache
from typing import TYPE_CHECKING

from services.web import page
from services.web.gate import Place

if TYPE_CHECKING:
    from aiohttp import web

MOST_STRANGERS = 64
"""Connections that have not shown the cookie; one more takes the place of the oldest."""
UNREAD_S = 1.0
"""How long the rest of a request that was refused is read, so that the answer arrives."""
_NO_REQUEST = "This is no request that a browser makes.\n"
_IN_TROUBLE = "The server could not answer; its log says why.\n"
_log = logging.getLogger(__name__)


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
