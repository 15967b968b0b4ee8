"""The page in a real browser: drawn, typed into, resized, reloaded, twice, on a phone, ended.

With WAKEDECK_PICTURES=FOLDER what was seen is left there as PNG.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.web.gate import Gate
from tests.integration.web.test_viewers import panels
from tests.support.browser import Tab, browser
from tests.support.page_server import page_server, panel_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.kit("chromium")
KEEP = """
(() => {
  const decoder = new TextDecoder();
  window.drawn = "";
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...words) {
      super(...words);
      window.measured = document.fonts.check('15px "Roboto Mono"');
      this.addEventListener("message", (event) => {
        if (typeof event.data !== "string") {
          window.drawn += decoder.decode(event.data, {stream: true});
        }
      });
    }
  };
})();
"""
"""What was drawn since the page was loaded, beside the terminal that drew it."""
LOCAL = '[sources.local]\nkind = "local"\n'


async def picture(tab: Tab, name: str) -> None:
    if folder := os.environ.get("WAKEDECK_PICTURES"):
        await tab.picture(Path(folder) / f"{name}.png")


@asynccontextmanager
async def opened(gate: Gate, *words: str) -> AsyncIterator[Tab]:
    """A browser at the address that was printed."""
    async with browser(*words) as one:
        tab = await one.tab()
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=KEEP)
        await tab.size(1200, 800)
        await tab.open(gate.address)
        yield tab
        elsewhere = [at for at in one.asked_for() if not at.startswith((gate.place.base, "data:"))]
        assert elsewhere in ([], ["about:blank"]), elsewhere
        said = [one for one in one.events if one["method"] == "Runtime.exceptionThrown"]
        assert not said, said
        refused = [
            one["params"]["entry"]["text"]
            for one in one.events
            if one["method"] == "Log.entryAdded" and one["params"]["entry"]["level"] == "error"
        ]
        assert not refused, refused


async def shows(tab: Tab, *words: str) -> None:
    """Wait until a page has drawn each of these."""

    async def missing() -> list[str]:
        drawn = str(await tab.value("window.drawn") or "")
        return [one for one in words if one not in drawn]

    async def there() -> bool:
        return not await missing()

    await eventually(there, what=lambda: f"not drawn: {words}")


async def farewell(tab: Tab) -> str:
    """What the page says in the end; empty while its panel is there."""
    return str(
        await tab.value(
            "document.getElementById('ended').open"
            " ? document.querySelector('#ended p').textContent : ''"
        )
    )


async def test_the_page_in_a_real_browser(tmp_path: Path, home: Path) -> None:
    argv = panel_of(tmp_path, LOCAL)
    async with page_server(argv) as gate, opened(gate) as tab:
        await shows(tab, "data-pull", "release-notes", "gateways ready")
        assert await tab.value("location.href") == f"{gate.place.base}/"
        assert await tab.value("window.measured"), "its cells were measured in another font"
        assert await tab.value("document.cookie") == "", "a script can read the cookie"
        await picture(tab, "dashboard")
        # A shell, typed into and looked at.
        await tab.type("s")
        await shows(tab, "leaves the shell")
        await tab.type("echo page-$((40+2))")
        await tab.press("Enter")
        await shows(tab, "page-42")
        await picture(tab, "shell")
        await tab.size(820, 560)
        await shows(tab, "\x1b[32;")
        await picture(tab, "resized")
        # Ctrl+] leaves the shell; what is zoomed is zoomed after a reload.
        await tab.value("[...document.querySelectorAll('#keys button')].at(-1).click()")
        await shows(tab, "Type in it")
        await tab.type("5z")
        views = home / ".local/state/wakedeck/pages"

        def is_saved() -> bool:
            return any(b"zoomed" in one.read_bytes() for one in views.glob("*/*/views/*.json"))

        await eventually(is_saved)
        before = panels()
        await tab.reload()
        await shows(tab, "WHAT HAPPENED")
        assert "queues" not in str(await tab.value("window.drawn")), "it is not zoomed"
        assert not before & panels() and len(panels()) == 1
        await picture(tab, "reloaded")
        # Another tab has a panel of its own, which goes with it.
        other = await tab.another(gate.place.base)
        await eventually(lambda: len(panels()) == 2)
        await other.close()
        await eventually(lambda: len(panels()) == 1)
        os.kill(next(iter(panels())), 9)
        await eventually(lambda: farewell(tab))
        assert "ended unexpectedly" in await farewell(tab)
        await picture(tab, "killed")


async def test_a_phone_and_the_end_of_the_server(tmp_path: Path) -> None:
    argv = panel_of(tmp_path, LOCAL, "--read-only")
    scale = "--force-device-scale-factor=2"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(AsyncExitStack())
        gate = await server.enter_async_context(page_server(argv))
        tab = await stack.enter_async_context(opened(gate, scale))
        await tab.size(390, 760, touch=True)
        await tab.reload()
        await shows(tab, "data-pull", "inbox-triage", "READ-ONLY")
        assert (
            await tab.value("getComputedStyle(document.getElementById('keys')).display") == "flex"
        )
        await tab.value("[...document.querySelectorAll('#keys button')][3].click()")
        await tab.value("document.querySelector('.xterm-helper-textarea').focus()")

        async def is_refused() -> bool:
            await tab.type("s")
            return "No shell in" in str(await tab.value("window.drawn"))

        await eventually(is_refused)
        await picture(tab, "phone")
        await server.aclose()
        await eventually(lambda: farewell(tab))
        assert await farewell(tab) == "The server has ended."
        assert not panels()
        await picture(tab, "ended")
