"""Checks of tools and of the disk that end within a limit, whatever hangs."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from typing import TypeVar

from services.doctor.findings import Requirement
from services.errors import DeadlineError, ProcessError
from services.process.run import run
from services.text.redact import redact_line
from services.text.sanitize import sanitize

TOOL_S = 3.0
"""How long a tool may take to tell its version."""
DISK_S = 3.0
_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T], limit_s: float = DISK_S) -> _T:
    """Run it in a thread that is not waited for beyond the limit, at the end of the process too.

    Raises:
        DeadlineError: it takes longer; whatever `work` raises.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # The loop has gone: nobody waits any more.

    threading.Thread(target=body, daemon=True, name="doctor").start()
    try:
        async with asyncio.timeout(limit_s):
            return await answer
    except TimeoutError as error:
        raise DeadlineError(f"The disk gave no answer within {limit_s:g} s.") from error


async def probe_tool(
    name: str, *arguments: str, path: str = "", missing: str = "", required: bool = True
) -> Requirement:
    """A command on this machine and the first line it says of itself."""
    place = path or await in_thread(lambda: shutil.which(name) or "")
    if not place:
        return Requirement(name, False, missing or "not on the PATH", required)
    where = sanitize(place, 200)
    if not arguments:
        return Requirement(name, True, where, required)
    try:
        done = await run([place, *arguments], timeout_s=TOOL_S, max_output=4096)
    except ProcessError as error:
        return Requirement(name, False, f"{where}: {error.sentence}", required)
    if done.code is None:
        return Requirement(name, False, f"{where}: gave no answer within {TOOL_S:g} s", required)
    streams = (done.stdout, done.stderr) if done.code == 0 else (done.stderr, done.stdout)
    said = next((line for line in map(_first_line, streams) if line), "")
    said = redact_line(said, 120)
    if done.code != 0:
        return Requirement(name, False, f"{where}: {said or f'ended with {done.code}'}", required)
    return Requirement(name, True, f"{where} ({said})" if said else where, required)


def _first_line(raw: bytes) -> str:
    lines = raw.decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in lines if line.strip()), "")
