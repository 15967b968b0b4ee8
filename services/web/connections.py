"""Which connections are kept: those that say nothing, or bring no cookie, keep nobody out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

MOST_STRANGERS = 64
"""Connections that have not shown the cookie; one more takes the place of the oldest."""


class Connections:
    """Tells those of a server that showed the cookie from strangers."""

    def __init__(self) -> None:
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
        return server()
