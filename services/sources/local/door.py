"""The one way to the embedded gateway: its socket, proven before anything is sent."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping

from services.errors import ShellError
from services.files.bounded import open_regular
from services.models import Retry
from services.net import unix_sockets
from services.sources.local import process_records, starts
from services.sources.local.layout import ProcessRecord, World

NAME = "the embedded gateway"
HOST_HEADER = "localhost"
"""What a request over the socket calls the gateway."""
_OPEN_S = 10.0
_POLL_S = 0.05
_LONGEST_TOKEN = 512


def token(world: World) -> str:
    """The bearer token of the gateway's present life; empty where there is none to read."""
    try:
        with open_regular(world.token) as file:
            return file.read(_LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


async def connect(world: World) -> socket.socket:
    """A connection to the recorded gateway itself; nothing was sent yet.

    Raises:
        OSError: nothing listens there.
        ForeignPeerError: something else than the recorded, living process does.
    """
    record = world.read_record("gateway")
    if record is None:
        raise ConnectionRefusedError
    return await connect_to(record)


async def connect_to(record: ProcessRecord) -> socket.socket:
    """The same, to the gateway of a record that was just read."""
    if not record.socket or process_records.alive(record).over:
        raise ConnectionRefusedError
    return await unix_sockets.connect(record.socket, record.pid)


async def _start_is_over(world: World) -> None:
    while True:
        if not starts.under_way(world, "gateway", time.time()):
            return
        await asyncio.sleep(_POLL_S)


async def enter(world: World) -> tuple[socket.socket, Mapping[str, str]]:
    """A proven connection, and the headers that may be sent over it; waits for one that starts.

    Raises:
        ShellError: there is no such connection to be had.
    """
    await _start_is_over(world)
    try:
        async with asyncio.timeout(_OPEN_S):
            connection = await connect(world)
    except TimeoutError as error:
        raise ShellError(
            f"{NAME} accepts no connection for {_OPEN_S:.0f} s", retry=Retry.AUTO
        ) from error
    except OSError as error:
        raise ShellError(
            f"{NAME} is not running, so no shell can be opened",
            retry=Retry.AUTO,
            advice="wake the sandbox first",
        ) from error
    except unix_sockets.ForeignPeerError as error:
        raise ShellError(
            f"another program listens on the socket of {NAME}: nothing was sent to it",
            retry=Retry.NO,
            advice="end that program, then wake the sandbox",
        ) from error
    return connection, {"Authorization": f"Bearer {token(world)}"}
