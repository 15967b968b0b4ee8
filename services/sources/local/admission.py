"""Whose connections the embedded gateway takes, how many, and how little the others make it say."""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
from http import HTTPStatus
from typing import Any

from services.logs.rate_limit import RateLimit
from services.net.unix_sockets import peer_of
from services.process.identity import client_uid

_MOST, _LEAST = 256, 8
_FILES_EACH = 4
"""Descriptors of one connection with its shell."""

log = logging.getLogger("wakedeck.gateway")


def quiet(*names: str) -> None:
    """Let the loggers of these names say one line a minute between them."""
    once = RateLimit(1, shared=True)
    for name in names:
        logging.getLogger(name).addFilter(once)


class Admission:
    """Takes connections of this user as long as there is room."""

    def __init__(self) -> None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        bounded = _MOST if files == resource.RLIM_INFINITY else files // _FILES_EACH
        self.room = max(_LEAST, min(_MOST, bounded))
        self._open: set[object] = set()
        self._full = False
        self._refusals = logging.getLogger("wakedeck.gateway.refused")
        self._refusals.addFilter(RateLimit(1, shared=True))

    def refusal(self, connection: object, transport: Any) -> bytes | None:
        """None where a new connection may stay, else the answer to end it with."""
        if not is_ours(transport):
            self._refusals.warning("refused a connection of another user")
            return _answer(HTTPStatus.FORBIDDEN, "another user")
        if len(self._open) >= self.room:
            if not self._full:
                self._full = True
                log.warning("full: %d connections are open, more are refused", self.room)
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "full")
        self._open.add(connection)
        return None

    def closed(self, connection: object) -> None:
        """Make room again."""
        self._open.discard(connection)
        # Half of it, so that a peer at the edge cannot make this say both words again and again.
        if self._full and len(self._open) <= self.room // 2:
            self._full = False
            log.info("no longer full")


def is_ours(transport: Any) -> bool:
    """Whether a process of this user is at the other end of a connection."""
    raw: socket.socket = transport.get_extra_info("socket")
    if raw.family == socket.AF_UNIX:
        peer = peer_of(raw)
        return peer is not None and peer.uid == os.geteuid()
    try:
        uid = client_uid(raw.getsockname()[1], raw.getpeername()[1])
    except OSError:
        return False
    # Without the kernel's table every page asks for the token (`GatewayHttp`).
    return uid == os.geteuid() or (uid is None and sys.platform != "linux")


def _answer(status: HTTPStatus, word: str) -> bytes:
    body = f'{{"status": "{word}", "error": "{word}"}}\n'
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    ).encode()
