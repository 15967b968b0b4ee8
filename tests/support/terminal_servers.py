"""Every kind of terminal server behind one face, and a source that shows it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import TerminalTable
from services.models import SandboxId
from services.sources.protocol.source import OpenSource
from services.sources.terminal.source import open_terminal
from tests.support.jupyter_peer import Jupyter, jupyter
from tests.support.kept_servers import kept
from tests.support.platform_api import TOKEN, centml
from tests.support.terminado_peer import terminado
from tests.support.ttyd import ttyd

SHELL = SandboxId("box", "box")
CREDENTIAL = "operator:word-that-must-not-show"
KINDS = ("terminado", "jupyter", "ttyd", "json")
PARAMS = [
    pytest.param("terminado", marks=pytest.mark.kit("terminado")),
    pytest.param("jupyter", marks=pytest.mark.kit("jupyter")),
    pytest.param("ttyd", marks=pytest.mark.kit("ttyd")),
    "json",
]


ADDRESSES: dict[str, Callable[[int], str]] = {
    "terminado": lambda port: f"ws://127.0.0.1:{port}/shell",
    "jupyter": lambda port: f"http://127.0.0.1:{port}/lab?token={Jupyter.token}",
}


@dataclass(frozen=True)
class Served:
    """One server that runs."""

    port: int
    family: str
    address: Callable[[int], str]
    """Its address, as it is reached by way of that port."""
    token_file: str = ""

    def table(self, port: int = 0, **options: Any) -> TerminalTable:
        """What a configuration says of it; `port` is that of what stands in front."""
        return TerminalTable(
            url=self.address(port or self.port),
            family=self.family,  # type: ignore[arg-type]
            token_file=self.token_file,
            exec=True,
            **options,
        )


@asynccontextmanager
async def served(kind: str, folder: Path, port: int = 0) -> AsyncIterator[Served]:
    """A server of that kind whose shells work in `folder`.

    With a `port` it is started and ended here; without one it may be one that is kept.
    """
    folder.mkdir(exist_ok=True)
    if kind in ADDRESSES:
        async with _started(kind, folder, port) if port else kept(kind, folder) as its_port:
            yield Served(its_port, "terminado", ADDRESSES[kind])
    elif kind == "ttyd":
        async with ttyd(folder, CREDENTIAL, port) as three:
            yield Served(three.port, "ttyd", lambda port: f"http://{CREDENTIAL}@127.0.0.1:{port}/")
    else:
        token = folder / "token"
        token.write_text(TOKEN)
        async with centml(folder, port) as four:
            four.deploy(1, box="Running")
            four.env |= {"LC_ALL": "C.UTF-8", "HOME": str(folder)}
            path = "/deployments/1/terminal?pod=box&shell=bash"
            yield Served(
                four.peer.port, "json", lambda port: f"ws://127.0.0.1:{port}{path}", str(token)
            )


@asynccontextmanager
async def _started(kind: str, folder: Path, port: int) -> AsyncIterator[int]:
    async with jupyter(folder, port) if kind == "jupyter" else terminado(folder, port):
        yield port


@asynccontextmanager
async def source_of(table: TerminalTable) -> AsyncIterator[OpenSource]:
    """The source a table makes."""
    source = open_terminal("box", table, SystemClock())
    try:
        yield source
    finally:
        await source.actor.close()
        await source.observer.close()


def lines(kind: str, url: str) -> str:
    """The three lines that add a server."""
    family = "terminado" if kind == "jupyter" else kind
    return f'[sources.box]\nkind = "terminal"\nurl = {json.dumps(url)}\nfamily = "{family}"\n'
