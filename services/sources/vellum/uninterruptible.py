"""Children that are never ended by us: interrupting one half-way would cost a credential.

Its stdout goes nowhere, because a token is printed there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.errors import ProcessError
from services.process.signals import catch_ignored
from services.text.sanitize import sanitize

_TAIL = 16 * 1024
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class CommandExit:
    """How it ended; `code` is None where it was still running when waiting ended."""

    code: int | None
    stderr: str = ""
    """The last 16 KiB, as they came."""


class UninterruptibleCommands:
    """Runs such children, one at a time per key; a second caller joins the first."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[CommandExit]] = {}

    async def run(
        self,
        key: str,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        limit_s: float,
    ) -> CommandExit:
        """Wait for it at most `limit_s` seconds; cancelling the waiting leaves the child alone.

        Raises:
            ProcessError: it could not be started.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(_follow(_start(argv, environ, cwd)))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        done, _ = await asyncio.wait((task,), timeout=limit_s)
        return task.result() if done else CommandExit(None)

    async def close(self) -> None:
        """Stop following what runs; it goes on."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _start(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    name = sanitize(Path(argv[0]).name, 60)
    catch_ignored()
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(environ),
            cwd=cwd,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its arguments cannot be passed on"
        raise ProcessError(
            f"{name} cannot start: {sanitize(why or type(error).__name__)}."
        ) from error
    assert child.stderr is not None
    os.set_blocking(child.stderr.fileno(), False)
    return child


async def _follow(child: subprocess.Popen[bytes]) -> CommandExit:
    """Read what it says until it ends."""
    assert child.stderr is not None
    tail = bytearray()
    try:
        while child.poll() is None:
            if not _drain(child, tail):
                await asyncio.sleep(_POLL_S)
        while _drain(child, tail):
            pass
        return CommandExit(child.returncode, tail.decode("utf-8", "replace"))
    finally:
        child.stderr.close()
        if child.returncode is None:
            # Nobody will ask how it ended; if the panel outlives it, it is collected all the same.
            threading.Thread(target=child.wait, name=f"collect-{child.pid}", daemon=True).start()


def _drain(child: subprocess.Popen[bytes], tail: bytearray) -> bool:
    """Take what is there now; whether there was anything."""
    assert child.stderr is not None
    with contextlib.suppress(BlockingIOError):
        data = os.read(child.stderr.fileno(), 65536)
        tail += data
        del tail[:-_TAIL]
        return bool(data)
    return False
