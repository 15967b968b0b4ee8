"""The gateway of the embedded world: `python -m services.sources.local.gateway --world ROOT`.

Loopback only, a random port told by the record it leaves, a bearer token, an Origin check. It ends
when asked, when a drain is over, or when nobody needs the world any more.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
from websockets.asyncio.server import ServerConnection, serve

from services.sources.local.faults import Faults, read_faults
from services.sources.local.gateway_http import GatewayHttp
from services.sources.local.gateway_terminals import GatewayTerminal
from services.sources.local.gateway_websocket import LARGEST_MESSAGE, TerminalConnection
from services.sources.local.layout import HOST, ProcessRecord, World
from services.sources.local.leases import is_needed

ROLE = "gateway"
_WATCH_S = 1.0
_SHUTDOWN_S = 1.8
_SAME_START_S = 0.5
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC

log = logging.getLogger("wakedeck.gateway")


class GatewayServer:
    """One process's worth of gateway."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._faults = _current_faults(world)
        self._http = GatewayHttp(world, lambda: self._faults)
        self._terminals: set[GatewayTerminal] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until there is a reason to leave; then leave within 2 s."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, "asked to end")
        loop.add_signal_handler(signal.SIGUSR1, self._apply_faults)
        library = logging.getLogger("wakedeck.gateway.wire")
        # At lower levels it logs headers, and so the token.
        library.setLevel(logging.ERROR)
        server = await serve(
            self._handle,
            HOST,
            0,
            process_request=self._http.handle,
            create_connection=TerminalConnection,
            compression=None,
            ping_interval=None,
            close_timeout=1,
            max_size=LARGEST_MESSAGE,
            logger=library,
        )
        self._http.port = server.sockets[0].getsockname()[1]
        me = psutil.Process()
        record = ProcessRecord(ROLE, me.pid, me.create_time(), self._http.port)
        self._world.write_record(record)
        self._http.ready = True
        log.info("ready on port %d", self._http.port)
        watch = asyncio.create_task(self._watch())
        try:
            await self._stopping.wait()
        finally:
            watch.cancel()
            server.close()
            await asyncio.wait([asyncio.ensure_future(server.wait_closed())], timeout=_SHUTDOWN_S)
            if self._world.read_record(ROLE) == record:
                self._world.record(ROLE).unlink(missing_ok=True)
            log.info("ended")

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


def alive(record: ProcessRecord) -> bool:
    """Whether the process of a record is still that process."""
    try:
        return abs(psutil.Process(record.pid).create_time() - record.created) < _SAME_START_S
    except psutil.Error:
        return False


def main(arguments: list[str] | None = None) -> int:
    """Run it: 0 after a clean end, 1 where it may not or cannot start."""
    parser = argparse.ArgumentParser(prog="wakedeck-gateway", description=__doc__)
    parser.add_argument("--world", required=True, type=Path, metavar="ROOT")
    world = World(parser.parse_args(arguments).world.resolve())
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        world.create()
        token = world.token.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        log.error("cannot start: no token can be read at %s (%s)", world.token, reason(error))
        return 1
    if not token:
        log.error("cannot start: the token at %s is empty", world.token)
        return 1
    lock = os.open(world.record(ROLE).with_suffix(".lock"), _LOCK_FLAGS, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.error("cannot start: a gateway of this world runs or starts already")
            return 1
        record = world.read_record(ROLE)
        if record is not None and alive(record):
            log.error("cannot start: the gateway of this world runs already (pid %d)", record.pid)
            return 1
        asyncio.run(GatewayServer(world).run())
    finally:
        os.close(lock)
    return 0


def reason(error: Exception) -> str:
    """Why, without the path the sentence already names."""
    return getattr(error, "strerror", None) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
