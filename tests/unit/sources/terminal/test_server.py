"""Addresses of terminal servers: what they name, and where their credential goes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.config.sources import TerminalTable
from services.errors import UnavailableError
from services.models import GatewayState, SandboxState
from services.sources.terminal.health import judge_status
from services.sources.terminal.server import TerminalServer


def of(url: str, family: str = "terminado", **more: object) -> TerminalServer:
    return TerminalServer(TerminalTable(url=url, family=family, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "url", "terminal"),
    [
        ("terminado", "http://h:8888/lab?token=t", "ws://h:8888/terminals/websocket/1"),
        ("terminado", "https://h/base/tree/", "wss://h:443/base/terminals/websocket/1"),
        ("terminado", "ws://h:1/websocket", "ws://h:1/websocket"),
        ("terminado", "http://[::1]:8888/", "ws://[::1]:8888/terminals/websocket/1"),
        ("ttyd", "http://h:7681", "ws://h:7681/ws"),
        ("ttyd", "https://u:p@h/tty/?arg=x", "wss://h:443/tty/ws?arg=x"),
        ("ttyd", "ws://h:7681/ws", "ws://h:7681/ws"),
        ("json", "wss://h/term?pod=a%20b", "wss://h:443/term?pod=a%20b"),
        ("json", "http://h:80/term", "ws://h:80/term"),
    ],
)
def test_where_a_terminal_is(family: str, url: str, terminal: str) -> None:
    assert of(url, family).terminal_url("1") == terminal


@pytest.mark.parametrize(
    "url",
    ["", "h:8888", "ftp://h", "http://", "http://[::1", "http://h:99999", "http:///x", "ws://a b"],
)
def test_what_is_no_address_is_a_sentence(url: str) -> None:
    with pytest.raises(UnavailableError, match="address of this terminal server"):
        of(url).terminal_url()


def test_credentials_travel_in_a_header_and_only_where_they_may(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("from-file\n")
    assert of("http://localhost:1/?token=t").headers() == {"Authorization": "token t"}
    assert of("ws://127.0.0.1:1/x", "json", token_file=str(token)).headers() == {
        "Authorization": "Bearer from-file"
    }
    basic = base64.b64encode(b"u:p@:").decode()
    assert of("http://u:p%40%3A@localhost", "ttyd").headers() == {"Authorization": f"Basic {basic}"}
    assert of("http://far.example", "ttyd").headers() == {}
    for far in ("http://far.example/?token=t", "ws://u:p@far.example"):
        with pytest.raises(UnavailableError, match="without TLS"):
            of(far).headers()
        assert of(far, allow_plain=True).headers()
    with pytest.raises(UnavailableError, match="without TLS"):
        of("ws://far.example/?secret=1", "json").headers()
    with pytest.raises(UnavailableError, match="cannot be read"):
        of("http://localhost", token_file=str(tmp_path / "gone")).headers()
    (tmp_path / "odd").write_text("a\nb")
    with pytest.raises(UnavailableError, match="none to send"):
        of("http://localhost", token_file=str(tmp_path / "odd")).headers()


@pytest.mark.parametrize("status", [400, 405, 426])
def test_a_websocket_address_is_known_by_its_refusal(status: int) -> None:
    health = judge_status(of("ws://h/x"), status)
    assert (health.server, health.terminal) == (GatewayState.READY, SandboxState.READY)
    asked = judge_status(of("http://h"), status)
    assert asked.server is GatewayState.WRONG


def test_no_status_but_these_is_ready() -> None:
    for status in range(300, 600):
        for server in (
            of("ws://h/x"),
            of("http://h"),
            of("http://h", "ttyd"),
            of("ws://h", "json"),
        ):
            health = judge_status(server, status, "said")
            if health.terminal is SandboxState.READY:
                assert status in (400, 405, 426) and server.address.direct
            assert health.server is GatewayState.READY or health.server_reason
