"""Reading and writing the files this process was started with, without a thread and unblocked.

They are shared with whoever started us, so they are never made non-blocking: they are asked first.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncGenerator, Callable

_READ_BYTES = 64 * 1024


async def read_chunks(handle: int) -> AsyncGenerator[bytes, None]:
    """Yield what arrives until the end; nothing is read ahead.

    Raises:
        OSError: it cannot be read.
    """
    loop = asyncio.get_running_loop()
    while True:
        await _ready(handle, select.POLLIN, lambda: loop.remove_reader(handle), loop.add_reader)
        data = os.read(handle, _READ_BYTES)
        if not data:
            return
        yield data


async def write_all(handle: int, data: bytes) -> None:
    """Write all of it, waiting for the reader.

    Raises:
        BrokenPipeError: nobody reads any more.
        OSError: it cannot be written.
    """
    loop = asyncio.get_running_loop()
    rest = memoryview(data)
    while rest:
        await _ready(handle, select.POLLOUT, lambda: loop.remove_writer(handle), loop.add_writer)
        # So much never blocks where there is room at all.
        rest = rest[os.write(handle, rest[: select.PIPE_BUF]) :]


async def _ready(
    handle: int,
    wanted: int,
    forget: Callable[[], object],
    listen: Callable[..., None],
) -> None:
    asked = select.poll()
    asked.register(handle, wanted)
    if asked.poll(0):
        return
    ready = asyncio.Event()
    listen(handle, ready.set)
    try:
        await ready.wait()
    finally:
        forget()
