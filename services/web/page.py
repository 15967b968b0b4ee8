"""The page: its text, the few files it asks for, and the headers that keep it to itself."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path

from services.errors import UnavailableError
from services.web.gate import Place

MISSING = "The page needs aiohttp and textual-serve, which are not installed."
ADVICE = "Install the extra: pip install 'wakedeck[web]'."
_OURS = Path(__file__).parent / "static"
_OF_TEXTUAL = {
    "textual.js": ("js/textual.js", "text/javascript"),
    "xterm.css": ("css/xterm.css", "text/css"),
    "mono.ttf": ("fonts/RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}
_OF_OURS = {"page.js": "text/javascript", "page.css": "text/css"}
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport"
 content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/xterm.css">
<link rel="stylesheet" href="/static/page.css">
<script src="/static/page.js"></script>
<script src="/static/textual.js"></script>
</head>
<body>
<main class="textual-terminal" data-session-websocket-url="{socket}" data-font-size="15"></main>
<nav id="keys" aria-label="Keys"></nav>
<dialog id="ended"><p></p><button type="button">Open again</button></dialog>
<noscript>The panel is drawn by a script, which this browser does not run.</noscript>
</body>
</html>
"""


def page(title: str, place: Place, authority: str) -> str:
    """The page, for a browser that reached the server as `authority`."""
    return _PAGE.format(title=escape(title), socket=escape(socket_address(place, authority)))


def socket_address(place: Place, authority: str) -> str:
    """Where its WebSocket is."""
    return f"{'wss' if place.secure else 'ws'}://{authority}/ws"


def headers(place: Place, authority: str = "") -> dict[str, str]:
    """What every answer says: nothing is fetched from, sent to or framed by anybody else.

    Styles may be inline: the terminal in the page sizes its cells by them. Scripts may not.
    """
    socket = socket_address(place, authority).removesuffix("/ws") if authority else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"font-src 'self'; img-src data:; connect-src 'self' {socket}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cache-Control": "no-store",
        "Server": "wakedeck",
    }


@cache
def files() -> dict[str, tuple[bytes, str]]:
    """Every file of the page by its name, with its type.

    Raises:
        UnavailableError: textual-serve is not installed, or is another than this page knows.
    """
    found = find_spec("textual_serve")
    if found is None or found.origin is None:
        raise UnavailableError(MISSING, advice=ADVICE)
    theirs = Path(found.origin).parent / "static"
    try:
        return {
            **{
                name: ((theirs / at).read_bytes(), kind) for name, (at, kind) in _OF_TEXTUAL.items()
            },
            **{name: ((_OURS / name).read_bytes(), kind) for name, kind in _OF_OURS.items()},
        }
    except OSError as error:
        raise UnavailableError(
            "This textual-serve has not the files that the page is made of.",
            advice="Install the one that goes with it: pip install 'wakedeck[web]'.",
        ) from error
