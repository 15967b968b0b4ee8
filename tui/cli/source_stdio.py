"""`wakedeck source --stdio`: this machine's sources on a pipe, for a panel on another machine."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import stat
import sys
from dataclasses import replace
from typing import BinaryIO

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Flags, Settings, load
from services.config.sources import RemoteTable
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.journal.store import Journal
from services.logs import own_log
from services.repair.locks import RepairLocks
from services.source_server.connection import PipeConnection
from services.source_server.server import SourceServer
from services.sources.registry import open_sources
from services.text.sanitize import sanitize
from services.wire.frames import WireError
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit

_ADVICE = 'Name this host in the panel\'s configuration: [sources.NAME] kind = "remote".'


def run(flags: Flags, profile: str | None, only: tuple[str, ...], read_only: bool) -> int:
    """Serve until stdin ends.

    Raises:
        ConfigError: as `load`.
        RefusedError: stdout is a terminal, or nobody can be at the other end.
        NotFoundError: there is no source of a name in `only`.
        UnavailableError: what came in is not of the protocol.
    """
    own_log.configure(paths.log_file(), logging.WARNING)
    if profile is not None:
        flags = replace(flags, profile=profile)
    if read_only:
        flags = replace(flags, read_only=True)
    settings = _served(load(flags), only)
    if sys.stdout.isatty():
        raise RefusedError(
            "This speaks to a panel, not to a terminal.",
            advice=_ADVICE,
        )
    for number, name in enumerate(("stdin", "stdout")):
        if not _has_other_end(number):
            raise RefusedError(
                f"This speaks to a panel over pipes, and {name} is a file or a device.",
                advice=_ADVICE,
            )
    reading, writing = _claim()
    try:
        run_command(_serve(settings, reading, writing))
    except WireError as error:
        raise UnavailableError(f"The panel's side cannot be understood: {error}.") from error
    return Exit.DONE


def _has_other_end(number: int) -> bool:
    mode = os.fstat(number).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)


def _served(settings: Settings, only: tuple[str, ...]) -> Settings:
    """What is served: never what is itself on another machine."""
    own = tuple(one for one in settings.sources if not isinstance(one.table, RemoteTable))
    known = {one.key for one in own}
    for name in only:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise NotFoundError(f"No source {sanitize(name, 60)!r} here. There are: {there}.")
    chosen = tuple(one for one in own if not only or one.key in only)
    return replace(settings, sources=chosen)


def _claim() -> tuple[BinaryIO, BinaryIO]:
    """Our stdin and stdout, with nothing in their place that anything else could disturb."""
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)


async def _serve(settings: Settings, reading: BinaryIO, writing: BinaryIO) -> None:
    clock = SystemClock()
    connection = await PipeConnection.over(reading, writing)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, connection.hang_up)
    server = SourceServer(
        open_sources(settings, clock),
        clock,
        connection,
        intervals={one.key: one.table.interval_s for one in settings.sources},
        journal=Journal(paths.journal_file(), clock),
        locks=RepairLocks(paths.locks_dir()),
        read_only=settings.read_only,
    )
    await server.run()
