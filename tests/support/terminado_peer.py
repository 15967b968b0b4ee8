"""terminado, a terminal server we did not write.

See upstream/terminal: Independent servers.

Run as a program it serves `/terminals/NAME` (kept and replayed) and `/shell` (one for each client)
on a free port of loopback, which it prints.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Terminado:
    """One that runs."""

    def __init__(self, port: int, process: asyncio.subprocess.Process) -> None:
        self.port = port
        self.process = process

    def url(self, place: str = "shell") -> str:
        return f"ws://127.0.0.1:{self.port}/{place}"


@asynccontextmanager
async def terminado(folder: Path, port: int = 0) -> AsyncIterator[Terminado]:
    """A server of its own, ended with its shells; `port` 0 for a free one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.terminado_peer",
        str(folder),
        str(port),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        yield Terminado(int(line), process)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _serve(folder: str, port: int) -> None:
    library: Any = import_module("terminado")
    web: Any = import_module("tornado.web")

    # A background job of a shell inherits ignored interrupts, and so would every shell in here.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    settings: dict[str, Any] = {
        "shell_command": ["bash", "--norc"],
        "extra_env": {"PS1": "pod$ ", "TERM": "xterm-256color"},
        "term_settings": {"cwd": folder},
    }
    unique = library.UniqueTermManager(**settings)
    named = library.NamedTermManager(**settings)
    application = web.Application(
        [
            (r"/shell", library.TermSocket, {"term_manager": unique}),
            (r"/terminals/(\w+)", library.TermSocket, {"term_manager": named}),
        ]
    )
    server = application.listen(port, "127.0.0.1")
    (socket,) = server._sockets.values()
    print(socket.getsockname()[1], flush=True)  # noqa: T201
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    await unique.shutdown()
    await named.shutdown()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
