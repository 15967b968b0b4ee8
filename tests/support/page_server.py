"""The page's server in this process, real panels behind it, and two ways to knock."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.config import paths
from services.web.gate import Gate, Place
from services.web.server import Serving, serving

ROOT = Path(__file__).resolve().parents[2]
PANEL = (sys.executable, str(ROOT / "wakedeck.py"))
NOWHERE = '[sources.far]\nkind = "terminal"\nurl = "ws://127.0.0.1:9/terminal"\n'
"""A configuration of which nothing has to be started."""


def panel_of(folder: Path, config: str = NOWHERE, *words: str) -> tuple[str, ...]:
    """What starts a panel of a configuration."""
    path = folder / "page.toml"
    path.write_text(config, "utf-8")
    return (*PANEL, "--config", str(path), *words)


@asynccontextmanager
async def page_server(argv: Sequence[str], viewers: int = 4) -> AsyncIterator[Gate]:
    """A server on a free port of loopback."""
    async with serving(Serving(Place(port=0), argv, viewers, paths.page_views_dir())) as gate:
        yield gate


async def knock(gate: Gate, target: str, *lines: str, method: str = "GET") -> tuple[int, str]:
    """Ask over a raw socket; the status, and everything that was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.place.port)
    try:
        head = [f"{method} {target} HTTP/1.1", *lines, "Connection: close", "", ""]
        writer.write("\r\n".join(head).encode("latin-1"))
        async with asyncio.timeout(60):
            answer = (await reader.read(1 << 16)).decode("utf-8", "replace")
            while more := await reader.read(1 << 16):
                answer += more.decode("utf-8", "replace")
    finally:
        writer.close()
    return int(answer.split(" ", 2)[1]), answer


@dataclass
class Page:
    """A page without a browser: what was drawn for it, and what it was told."""

    line: ClientConnection
    drawn: bytearray = field(default_factory=bytearray)
    ended: str = ""

    async def listen(self) -> None:
        """Until the line is cut."""
        try:
            async for said in self.line:
                if isinstance(said, bytes):
                    self.drawn += said
                elif json.loads(said)[0] == "ended":
                    self.ended = json.loads(said)[1]
        except ConnectionClosed:
            pass

    async def say(self, *words: object) -> None:
        """As the page does."""
        await self.line.send(json.dumps(words))


@asynccontextmanager
async def looking(
    gate: Gate, tab: int = 1, width: int = 120, height: int = 40
) -> AsyncIterator[Page]:
    """A viewer with the cookie, from the page's own origin."""
    url = f"ws://127.0.0.1:{gate.place.port}/ws/{tab:032x}?width={width}&height={height}"
    async with connect(
        url,
        additional_headers={"Cookie": f"{gate.cookie_name}={gate.cookie}"},
        origin=gate.place.base,  # type: ignore[arg-type]
        proxy=None,
        close_timeout=5,
        max_size=None,
    ) as line:
        page = Page(line)
        hearing = asyncio.create_task(page.listen())
        try:
            yield page
        finally:
            await line.close()
            await hearing
