"""Unix sockets between processes of one user: where they may be, and who is at the other end."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import socket
import struct
import sys
import tempfile
from pathlib import Path

from services.errors import UnavailableError
from services.files.private import private_folder
from services.lazy_dataclass import dataclass

LONGEST_PATH = 100
"""Bytes; systems allow 103 or 107."""
_BUSY_S = 0.05
_UCRED = struct.Struct("3i")
_XUCRED = struct.Struct("=II68x")
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2


@dataclass(frozen=True, slots=True)
class SocketPeer:
    """Who is at the other end; `pid` is None where the system does not say."""

    uid: int
    pid: int | None


class ForeignPeerError(Exception):
    """At the other end is not the process that was meant."""


def peer_of(connection: socket.socket) -> SocketPeer | None:
    """Who is at the other end of a connected Unix socket; None where the kernel does not say."""
    try:
        if hasattr(socket, "SO_PEERCRED"):
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            pid, uid, _ = _UCRED.unpack(raw)
            return SocketPeer(uid, pid or None)
        raw = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        _, uid = _XUCRED.unpack(raw.ljust(_XUCRED.size, b"\0"))
        named = sys.platform == "darwin"
        pid = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID) if named else 0
        return SocketPeer(uid, pid or None)
    except (OSError, struct.error):
        return None


async def connect(path: str, pid: int) -> socket.socket:
    """A connection to a socket on which that process of this user listens; nothing was sent yet.

    Waits while the listener's backlog is full: the caller sets the limit.

    Raises:
        OSError: nobody listens there.
        ForeignPeerError: somebody else does.
    """
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            code = connection.connect_ex(path)
            if code == 0:
                peer = peer_of(connection)
                if peer is None or peer.uid != os.geteuid() or peer.pid not in (pid, None):
                    raise ForeignPeerError
                return connection
            if code not in (errno.EAGAIN, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code), path)
        except BaseException:
            connection.close()
            raise
        connection.close()
        await asyncio.sleep(_BUSY_S)


def socket_path(folder: Path, name: str) -> Path:
    """Where a socket of ours can be: in the folder, or in a short private one instead.

    Raises:
        UnavailableError: no path is short enough, or the short folder is another user's.
    """
    wanted = folder / name
    if _fits(wanted):
        return wanted
    short = f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}-{name}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    places = [Path(runtime) / "wakedeck"] if runtime else []
    places += [Path(one) / f"wakedeck-{os.geteuid()}" for one in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    why = "no shorter folder can be used"
    for place in places:
        if not _fits(place / short):
            continue
        try:
            return private_folder(place) / short
        except OSError as error:
            why = f"{place} cannot be used: {error.strerror}"
    raise UnavailableError(
        f"The path {wanted} is too long for a socket, and {why}.",
        advice="Name a shorter folder with `root = …` in the source's table.",
    )


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH
