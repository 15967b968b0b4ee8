"""Starting a program on a pseudo terminal: its own session, its own controlling terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.process.signals import catch_ignored

START_LIMIT_S = 10.0
_IUTF8 = 0x4000


async def spawn(
    argv: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str],
    slave: int,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """The child, once it has become `argv` with the terminal `slave` as its own.

    `stdout` is a handle for what it prints; None for the terminal.

    Raises:
        OSError: it could not; a TimeoutError where it did not within `START_LIMIT_S`.
    """
    catch_ignored()
    report, report_child = os.pipe()
    started: subprocess.Popen[bytes] | None = None
    try:
        try:
            started = subprocess.Popen(  # noqa: ASYNC220 - milliseconds, and no thread is left behind
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(__file__).with_name("set_ctty.py")),
                    str(report_child),
                    "1" if "LC_CTYPE" in env else "0",
                    *argv,
                ],
                cwd=cwd,
                env=dict(env),
                stdin=slave,
                stdout=slave if stdout is None else stdout,
                stderr=slave,
                pass_fds=(report_child,),
                start_new_session=True,
            )
        finally:
            os.close(report_child)
        failure = await _read_errno(report)
        if failure:
            raise OSError(failure, os.strerror(failure))
        child, started = started, None
        return child
    finally:
        os.close(report)
        if started is not None:
            started.kill()
            started.wait()


async def _read_errno(report: int) -> int:
    """The errno written to the pipe before it closed, or 0."""
    os.set_blocking(report, False)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(report, ready.set)
    try:
        async with asyncio.timeout(START_LIMIT_S):
            await ready.wait()
        return int(os.read(report, 16) or b"0")
    finally:
        loop.remove_reader(report)


def set_size(master: int, columns: int, lines: int) -> None:
    size = struct.pack("HHHH", min(max(lines, 1), 65535), min(max(columns, 1), 65535), 0, 0)
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def set_iutf8(slave: int) -> None:
    """Let the line editor of the kernel erase whole characters."""
    attributes = termios.tcgetattr(slave)
    attributes[0] |= _IUTF8
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
