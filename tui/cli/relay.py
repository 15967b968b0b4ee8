"""An open shell in this very terminal, which is restored on every way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from enum import Enum

import click

from services.clock import Clock, SystemClock
from services.models import ShellState
from services.terminal.session.input_queue import InputQueue
from services.terminal.session.session import RESIZE_GAP_S
from services.terminal.transport.base import CloseReason, Transport
from services.terminal.transport.keepalive import watch_keepalive
from tui.cli.pipes import read_chunks, write_all

_LEAVING = (signal.SIGTERM, signal.SIGHUP)

ESCAPE_HELP = b"~.  leave the shell\r\n~~  send one ~\r\n~?  this list\r\n(each after Enter)\r\n"
_TILDE = 0x7E
_LINE_ENDS = b"\r\n"


@contextlib.contextmanager
def raw_mode(handle: int) -> Iterator[None]:
    """Hand every key on as it is; the terminal is as it was afterwards, whatever happened."""
    before = termios.tcgetattr(handle)
    try:
        tty.setraw(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _size() -> tuple[int, int]:
    # The terminal itself is asked: COLUMNS and LINES in the environment do not follow a resize.
    try:
        columns, lines = os.get_terminal_size(sys.stdin.fileno())
    except OSError:
        return 80, 24
    return max(columns, 2), max(lines, 1)


class _Relay:
    """One open shell on this terminal, watched as a shell of the panel is."""

    def __init__(self, transport: Transport, clock: Clock, output: int) -> None:
        self._transport = transport
        self._output = output
        self._clock = clock
        self._input = InputQueue(transport, clock, lambda _blocked: None)
        self._keys = EscapeKeys()
        self._received_at = clock.monotonic()
        self._printing = False
        self._resized = asyncio.Event()
        self._ending: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    async def run(self) -> CloseReason:
        """Serve until the shell, the connection or the operator ends it."""
        loop = asyncio.get_running_loop()
        parts = [
            asyncio.create_task(part)
            for part in (
                self._print_output(),
                self._watch_connection(),
                self._read_keys(),
                self._input.send_keys(),
                self._send_sizes(),
            )
        ]
        parts[0].add_done_callback(self._output_ended)
        loop.add_signal_handler(signal.SIGWINCH, self._resized.set)
        for number in _LEAVING:
            loop.add_signal_handler(number, self._leave, "ended by a signal")
        try:
            return await self._ending
        finally:
            for task in parts:
                task.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    def _end(self, ending: CloseReason) -> None:
        """The first one counts."""
        if not self._ending.done():
            self._ending.set_result(ending)

    def _leave(self, why: str) -> None:
        self._end(CloseReason(ShellState.DETACHED, why))

    def _output_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._ending.done():
            self._ending.set_exception(error)

    async def _print_output(self) -> None:
        while not isinstance(got := await self._transport.read(), CloseReason):
            self._received_at = self._clock.monotonic()
            await self._print(got)
        self._end(got)

    async def _print(self, data: bytes) -> None:
        self._printing = True
        try:
            await write_all(self._output, data)
        finally:
            self._printing = False

    async def _watch_connection(self) -> None:
        # While this terminal takes no output, nothing is read: no sign that the peer is gone.
        lost = await watch_keepalive(
            self._transport,
            self._clock,
            lambda: self._received_at,
            lambda: self._input.outstanding or self._printing,
        )
        self._end(lost)

    async def _read_keys(self) -> None:
        """Never waits for the shell: the way out works over a link that is frozen."""
        async for data in read_chunks(sys.stdin.fileno()):
            typed, asked = self._keys.feed(data)
            if typed:
                self._input.type(typed)
            if asked is Escape.LEAVE:
                return self._leave("left with ~.")
            if asked is Escape.HELP:
                await write_all(self._output, ESCAPE_HELP)

    async def _send_sizes(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            await self._transport.resize(*_size())
            await asyncio.sleep(RESIZE_GAP_S)


async def relay(transport: Transport, output: int | None = None) -> CloseReason:
    """Open a shell, give it this terminal until it ends, close it.

    `output` is another handle of the terminal, where stdout may be none.

    Raises:
        ShellError: it could not be opened.
    """
    try:
        await transport.open(*_size())
        if transport.notice:
            click.echo(transport.notice, err=True)
        with raw_mode(sys.stdin.fileno()):
            shown = sys.stdout.fileno() if output is None else output
            return await _Relay(transport, SystemClock(), shown).run()
    except asyncio.CancelledError:
        return CloseReason(ShellState.DETACHED, "ended by a signal")
    finally:
        await transport.close()
        for number in (signal.SIGWINCH, *_LEAVING):
            asyncio.get_running_loop().remove_signal_handler(number)


class Escape(Enum):
    """What is asked of this side."""

    LEAVE = "."
    HELP = "?"


class EscapeKeys:
    """Tells what is typed for the shell from what is typed for us."""

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = False

    def feed(self, data: bytes) -> tuple[bytes, Escape | None]:
        """What goes to the shell, and what is asked of us; nothing is taken in after a leaving."""
        output = bytearray()
        asked: Escape | None = None
        for byte in data:
            if self._held:
                self._held = False
                if byte == ord("."):
                    return bytes(output), Escape.LEAVE
                if byte == ord("?"):
                    asked = Escape.HELP
                    self._at_line_start = True
                    continue
                output.append(_TILDE)
                self._at_line_start = False
                if byte == _TILDE:
                    continue
            elif byte == _TILDE and self._at_line_start:
                self._held = True
                continue
            output.append(byte)
            self._at_line_start = byte in _LINE_ENDS
        return bytes(output), asked
