"""nginx before `wakedeck serve`, by the configuration of docs/from-your-phone.md, word for word."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.integration.web.test_browser import KEEP, shows
from tests.support.browser import browser
from tests.support.nginx import Proxy, documented, nginx
from tests.support.page_server import NOWHERE, PANEL, ROOT
from tests.support.ports import free_port

pytestmark = [pytest.mark.kit("nginx"), pytest.mark.kit("openssl")]
NAME = "panel.example"
LOGIN = "Authorization: Basic " + base64.b64encode(b"operator:of-the-proxy").decode()
LIES = (
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: http",
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1;host=evil.example;proto=http",
)


@dataclass
class Behind:
    """The command behind its proxy, and the secret of its launch."""

    proxy: Proxy
    token: str
    process: asyncio.subprocess.Process

    @property
    def host(self) -> str:
        return f"Host: {NAME}:{self.proxy.port}"

    async def ask(self, target: str, *lines: str) -> tuple[int, str]:
        """Ask the proxy over a raw line, as no client would mend it."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.proxy.port, ssl=self.proxy.trusting, server_hostname=NAME
        )
        try:
            head = [f"GET {target} HTTP/1.1", *lines, "Connection: close", "", ""]
            writer.write("\r\n".join(head).encode("latin-1"))
            async with asyncio.timeout(30):
                answer = (await reader.read()).decode("utf-8", "replace")
        finally:
            writer.close()
        return int(answer.split(" ", 2)[1]), answer

    async def let_in(self, *lines: str) -> str:
        """The cookie line that the token is changed for."""
        target = f"/?token={self.token}"
        status, answer = await self.ask(target, self.host, LOGIN, *lines)
        assert status == 303, answer
        said = next(one for one in answer.split("\r\n") if one.lower().startswith("set-cookie"))
        for word in ("__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            assert word in said, said
        assert "Location: /\r\n" in answer and "Domain" not in said
        return "Cookie: " + said.split(": ", 1)[1].split(";")[0]

    async def draws(self, cookie: str, origin: str, *, host: str = "") -> bytes:
        """What a panel draws for a page of that origin, until it has drawn its source.

        Raises:
            InvalidStatus: no line is given.
        """
        named = host or f"{NAME}:{self.proxy.port}"
        lines = [one.split(": ", 1) for one in (cookie, LOGIN, *LIES)]
        async with connect(
            f"wss://{named}/ws/{1:032x}?width=120&height=40",
            host="127.0.0.1",
            port=self.proxy.port,
            ssl=self.proxy.trusting,
            server_hostname=NAME,
            origin=origin,  # type: ignore[arg-type]
            additional_headers=[(name, value) for name, value in lines],
            proxy=None,
            max_size=None,
        ) as line:
            drawn = b""
            async with asyncio.timeout(60):
                while b"READ-ONLY" not in drawn or b"far" not in drawn:
                    said = await line.recv()
                    drawn += said if isinstance(said, bytes) else b""
                await line.send(json.dumps(["resize", {"width": 200, "height": 60}]))
                while b"\x1b[60;" not in drawn:
                    said = await line.recv()
                    drawn += said if isinstance(said, bytes) else b""
            return drawn


@asynccontextmanager
async def behind(folder: Path) -> AsyncIterator[Behind]:
    """The command with the page's own words, and the proxy before it."""
    server = documented(ROOT / "docs/from-your-phone.md")
    (folder / "page.toml").write_text(NOWHERE, "utf-8")
    inner = free_port()
    with nginx(folder / "nginx", NAME, server, {"127.0.0.1:9647": f"127.0.0.1:{inner}"}) as proxy:
        process = await asyncio.create_subprocess_exec(
            *(*PANEL, "--config", str(folder / "page.toml"), "serve", "--port", str(inner)),
            *("--public-url", proxy.base),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                address = (await process.stdout.readline()).decode().strip()
            base, _, token = address.partition("/?token=")
            assert base == proxy.base and token, address
            yield Behind(proxy, token, process)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def test_the_documented_proxy_serves_the_page_and_nobody_else(tmp_path: Path) -> None:
    async with behind(tmp_path) as it:
        token, port = f"/?token={it.token}", it.proxy.port
        assert (await it.ask(token, it.host))[0] == 401, "it asks for no login"
        cookie = await it.let_in()
        assert await it.let_in(*LIES) == cookie
        status, answer = await it.ask("/", it.host, LOGIN, cookie, *LIES)
        assert status == 200 and f"wss://{NAME}:{port}/ws" in answer
        assert "evil" not in answer and it.token not in answer
        assert "default-src 'none'" in answer and "Cache-Control: no-store" in answer
        assert (await it.ask("/static/textual.js", it.host, LOGIN, cookie))[0] == 200
        drawn = await it.draws(cookie, it.proxy.base)
        assert b"\x1b[38;2;" in drawn, "not in full colour"
        elsewhere = f"Host: evil.example:{port}"
        for target, lines, wanted in (
            ("/", (it.host, LOGIN), 403),
            ("/?token=wrong", (it.host, LOGIN), 403),
            (token, (elsewhere, LOGIN, f"X-Forwarded-Host: {NAME}:{port}"), 421),
            ("/", (elsewhere, LOGIN, cookie, f"X-Forwarded-Host: {NAME}:{port}"), 421),
            ("/", (f"Host: {NAME}", LOGIN, cookie), 421),
            ("/", (it.host, LOGIN, cookie, "Origin: https://evil.example"), 403),
            ("/", (it.host, LOGIN, cookie, f"Origin: http://{NAME}:{port}"), 403),
        ):
            status, answer = await it.ask(target, *lines)
            assert status == wanted, (target, lines, answer)
            assert "set-cookie" not in answer.lower()
        for origin, host in (
            ("https://evil.example", ""),
            (f"http://{NAME}:{port}", ""),
            ("null", ""),
            (it.proxy.base, f"evil.example:{port}"),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await it.draws(cookie, origin, host=host)
            assert refused.value.response.status_code in (403, 421)
        # The command has gone, and somebody opens the address: not even then is it written down.
        it.process.terminate()
        await it.process.wait()
        assert (await it.ask(token, it.host, LOGIN))[0] == 502
        assert "token=" not in it.proxy.logs()


@pytest.mark.kit("chromium")
async def test_a_real_browser_through_the_documented_proxy(tmp_path: Path) -> None:
    async with behind(tmp_path) as it:
        words = (f"--host-resolver-rules=MAP {NAME} 127.0.0.1", "--ignore-certificate-errors")
        async with browser(*words) as one:
            tab = await one.tab()
            await tab.call("Page.addScriptToEvaluateOnNewDocument", source=KEEP)
            address = f"{it.proxy.base}/?token={it.token}"
            await tab.open(address.replace("//", "//operator:of-the-proxy@", 1))
            await shows(tab, "far", "READ-ONLY")
            protocols = {
                event["params"]["response"]["protocol"]
                for event in one.events
                if event["method"] == "Network.responseReceived"
            }
            assert "h2" in protocols, protocols
            assert await tab.value("location.href") == f"{it.proxy.base}/"
            assert await tab.value("document.cookie") == ""
