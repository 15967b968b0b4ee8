"""A real proxy, pproxy, as a process of its own: HTTP or SOCKS, with or without a password."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.waiting import eventually

USER = "me:sesame"


@dataclass
class RunningProxy:
    """One that listens."""

    port: int
    log: Path

    @property
    def used(self) -> bool:
        """Whether a connection went through it."""
        return " -> " in self.log.read_text("utf-8")


@asynccontextmanager
async def proxy(folder: Path, kind: str, files: Sequence[Path]) -> AsyncIterator[RunningProxy]:
    """`kind` is `http` or `socks5`; behind it `+user` where it asks for `USER`, `+tls` for TLS.

    `files` are the certificate and the key it speaks TLS with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    protocol, _, more = kind.partition("+")
    port = free_port()
    wire = f"{protocol}+ssl" if more == "tls" else protocol
    address = f"{wire}://127.0.0.1:{port}" + (f"#{USER}" if more == "user" else "")
    words = ["--ssl", ",".join(map(str, files))] if more == "tls" else []
    log = folder / "proxy.log"
    with log.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-W", "ignore", "-m", "pproxy", "-v", "-l", address, *words),
            stdout=out,
            stderr=out,
        )
    try:

        async def listens() -> bool:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return True
            return False

        await eventually(listens)
        yield RunningProxy(port, log)
    finally:
        child.terminate()
        await child.wait()
