"""The gateway of the embedded world: `python -m services.sources.local.gateway --world ROOT`.

On a Unix socket for processes of this user, told by the record it leaves, with a bearer token of
its own for each life; with `tcp` in the world's folder on a random loopback port too. It ends when
asked, when a drain is over, or when nobody needs the world any more.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import secrets
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve

from services.errors import UnavailableError
from services.files.private import open_private
from services.net.unix_sockets import socket_path
from services.sources.local import starts
from services.sources.local.admission import Admission, quiet
from services.sources.local.faults import Faults, read_faults
from services.sources.local.gateway_http import GatewayHttp
from services.sources.local.gateway_terminals import GatewayTerminal
from services.sources.local.gateway_websocket import LARGEST_MESSAGE, TerminalConnection
from services.sources.local.layout import HOST, World, write_private
from services.sources.local.leases import is_needed
from services.sources.local.process_log import bound_stderr
from services.sources.local.process_records import alive, describe

ROLE = "gateway"
_WATCH_S = 1.0
_SHUTDOWN_S = 1.8
_REQUEST_S = 5.0
"""For a peer to send its request."""

log = logging.getLogger("wakedeck.gateway")


class GatewayServer:
    """One process's worth of gateway."""

    def __init__(self, world: World, token: str) -> None:
        self._world = world
        self._faults = _current_faults(world)
        self._http = GatewayHttp(world, token, lambda: self._faults)
        self._terminals: set[GatewayTerminal] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until there is a reason to leave; then leave within 2 s."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, "asked to end")
        loop.add_signal_handler(signal.SIGUSR1, self._apply_faults)
        path = socket_path(self._world.record(ROLE).parent, "gateway.sock")
        servers = await self._listen(path)
        record = describe(ROLE, self._http.port or None, str(path))
        self._world.write_record(record)
        starts.leave(self._world, ROLE)
        self._http.ready = True
        log.info("ready on %s", f"port {self._http.port} too" if self._http.port else "its socket")
        watch = asyncio.create_task(self._watch())
        try:
            await self._stopping.wait()
        finally:
            watch.cancel()
            for server in servers:
                server.close()
            closed = [asyncio.ensure_future(server.wait_closed()) for server in servers]
            await asyncio.wait(closed, timeout=_SHUTDOWN_S)
            path.unlink(missing_ok=True)
            if self._world.read_record(ROLE) == record:
                self._world.record(ROLE).unlink(missing_ok=True)
            log.info("ended")

    async def _listen(self, path: Path) -> list[Server]:
        library = logging.getLogger("wakedeck.gateway.wire")
        # At lower levels it logs headers, and so the token.
        library.setLevel(logging.ERROR)
        # Both speak of peers that have shown no token.
        quiet(library.name, "asyncio")
        how: dict[str, Any] = {
            "process_request": self._http.handle,
            "create_connection": partial(TerminalConnection, Admission()),
            "compression": None,
            "open_timeout": _REQUEST_S,
            "ping_interval": None,
            "close_timeout": 1,
            "max_size": LARGEST_MESSAGE,
            "logger": library,
        }
        servers = [await unix_serve(self._handle, str(path), **how)]
        if self._world.tcp.exists():
            servers.append(await serve(self._handle, HOST, 0, **how))
            self._http.port = next(iter(servers[1].sockets)).getsockname()[1]
        return servers

    async def _handle(self, connection: ServerConnection) -> None:
        request = self._http.accepted.pop(connection, None)
        if request is None or not isinstance(connection, TerminalConnection):
            return
        terminal = GatewayTerminal(connection, request)
        self._terminals.add(terminal)
        try:
            await terminal.serve()
        finally:
            self._terminals.discard(terminal)

    async def _watch(self) -> None:
        while True:
            until = self._faults.drain_until
            left = _WATCH_S if until is None else until - time.time()
            await asyncio.sleep(min(max(left, 0.0), _WATCH_S))
            if until is not None and time.time() >= until:
                self._stop("drained")
            if not is_needed(self._world):
                self._stop("nobody needs this world")

    def _stop(self, why: str) -> None:
        if not self._stopping.is_set():
            log.info("leaving: %s", why)
            self._stopping.set()

    def _apply_faults(self) -> None:
        self._faults = _current_faults(self._world)
        for terminal in tuple(self._terminals):
            asked = self._faults.drop_shells.get(terminal.sandbox)
            if asked is not None and terminal.opened_at <= asked:
                log.info("%s: cutting a terminal, as asked", terminal.sandbox)
                terminal.abort()


def _current_faults(world: World) -> Faults:
    """The faults of the file, without a drain that was over before it was read."""
    faults = read_faults(world.faults)
    if faults.drain_until is not None and faults.drain_until <= time.time():
        return replace(faults, drain_until=None)
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Run it: 0 after a clean end, 1 where it may not or cannot start."""
    parser = argparse.ArgumentParser(prog="wakedeck-gateway", description=__doc__)
    parser.add_argument("--world", required=True, type=Path, metavar="ROOT")
    world = World(parser.parse_args(arguments).world.resolve())
    bound_stderr()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    os.umask(0o077)
    try:
        world.create()
        lock = open_private(world.record(ROLE).with_suffix(".lock"), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        log.error("cannot start: %s cannot be used (%s)", world.root, reason(error))
        return 1
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.error("cannot start: a gateway of this world runs or starts already")
            starts.leave(world, ROLE)
            return 1
        record = world.read_record(ROLE)
        if record is not None and not alive(record).over:
            log.error("cannot start: the gateway of this world runs already (pid %d)", record.pid)
            starts.leave(world, ROLE)
            return 1
        token = secrets.token_urlsafe(32)
        try:
            try:
                write_private(world.token, token)
            except OSError as error:
                log.error("cannot start: no token in %s (%s)", world.token, reason(error))
                return 1
            asyncio.run(GatewayServer(world, token).run())
        except UnavailableError as error:
            log.error("cannot start: %s", error.sentence)
            return 1
        except OSError as error:
            log.error("cannot start: %s (%s)", world.root, reason(error))
            return 1
    finally:
        os.close(lock)
    return 0


def reason(error: Exception) -> str:
    """Why, without the path the sentence already names."""
    return getattr(error, "strerror", None) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
