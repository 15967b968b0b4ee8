"""Chromium without a window, driven over its own protocol: a page, its keys and its pictures."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.cache import UnobtainableError
from tests.support.debian import chromium
from tests.support.waiting import eventually

_KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowDown": (40, "")}


@cache
def missing() -> str:
    """Why there is no browser here; empty where there is one that runs."""
    try:
        program, more = chromium()
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **more},
            timeout=60,
        )
    except (UnobtainableError, OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else _last_line(done.stderr) or "chromium does not run here"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


class Tab:
    """One tab, attached to."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target

    async def call(self, method: str, **words: Any) -> dict[str, Any]:
        """One call of the protocol in this tab."""
        return await self._browser.call(method, session=self._session, **words)

    async def open(self, url: str) -> None:
        """Go there."""
        await self.call("Page.navigate", url=url)

    async def reload(self) -> None:
        """As F5 does."""
        await self.call("Page.reload")

    async def size(self, width: int, height: int, *, touch: bool = False) -> None:
        """The window of that many pixels; with `touch` a phone's."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=0,
            mobile=touch,
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    async def value(self, code: str) -> Any:
        """What an expression of the page comes to."""
        found = await self.call(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        return found["result"].get("value")

    async def type(self, text: str) -> None:
        """Keys that are text."""
        for one in text:
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=one, key=one)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=one)

    async def press(self, key: str) -> None:
        """A key that has a name."""
        code, text = _KEYS[key]
        for kind in ("rawKeyDown", "char", "keyUp") if text else ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "char" else "",
            )

    async def picture(self, path: Path) -> None:
        """What is seen, as PNG."""
        found = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))

    async def another(self, url: str) -> Tab:
        """A tab beside it."""
        return await self._browser.tab(url)

    async def close(self) -> None:
        """As its cross does."""
        await self._browser.call("Target.closeTarget", targetId=self._target)


class Browser:
    """A browser that was started; every tab of it goes with it."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        """What tabs said unasked: console, exceptions, requests."""

    async def listen(self) -> None:
        """Until the line is cut."""
        async for said in self._line:
            message = json.loads(said)
            waiting = self._waiting.pop(message.get("id", 0), None)
            if waiting is None:
                self.events.append(message)
            elif "error" in message:
                waiting.set_exception(RuntimeError(str(message["error"])))
            else:
                waiting.set_result(message["result"])

    async def call(self, method: str, *, session: str = "", **words: Any) -> dict[str, Any]:
        """One call of the protocol."""
        number = next(self._numbers)
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        asked = {"id": number, "method": method, "params": words}
        await self._line.send(json.dumps(asked | ({"sessionId": session} if session else {})))
        async with asyncio.timeout(60):
            return await waiting

    async def tab(self, url: str = "about:blank") -> Tab:
        """A new one."""
        target = (await self.call("Target.createTarget", url=url))["targetId"]
        found = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        tab = Tab(self, found["sessionId"], target)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await tab.call(f"{domain}.enable")
        await tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return tab

    def asked_for(self) -> set[str]:
        """Every address a tab asked for."""
        requests = [one for one in self.events if one["method"] == "Network.requestWillBeSent"]
        return {one["params"]["request"]["url"] for one in requests}


@asynccontextmanager
async def browser(*words: str) -> AsyncIterator[Browser]:
    """A browser with a profile of its own, ended with its whole group."""
    # Its sockets lie below it, and their paths have to be short.
    with tempfile.TemporaryDirectory(prefix="wd-", ignore_cleanup_errors=True) as name:
        async with _started(Path(name), words) as found:
            yield found


@asynccontextmanager
async def _started(folder: Path, words: Sequence[str]) -> AsyncIterator[Browser]:
    name, more = chromium()
    argv: Sequence[str] = (
        *(name, "--headless=new", "--no-sandbox", "--no-first-run", "--hide-scrollbars"),
        *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions"),
        *("--disable-component-update", "--remote-debugging-port=0"),
        *(f"--user-data-dir={folder}", *words, "about:blank"),
    )
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **more, "TMPDIR": str(folder)},
    )
    try:
        place = folder / "DevToolsActivePort"

        def listening() -> list[str]:
            return place.read_text("ascii").split() if place.exists() else []

        await eventually(lambda: len(listening()) == 2, what="no browser")
        port, path = listening()
        url = f"ws://127.0.0.1:{port}{path}"
        async with connect(url, max_size=None, ping_interval=None) as line:
            found = Browser(line)
            hearing = asyncio.create_task(found.listen())
            yield found
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
