"""Carries the probes of a gateway over HTTP, and says what became of each."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from services.agents.openclaw.probes import Carrier, Reach, Reply
from services.errors import DeadlineError, UnavailableError
from services.net.failures import is_loopback, network_cause
from services.net.http import ApiError, Http, OtherTypeError
from services.text.redact import redact_line

JSON = "application/json"
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


def gateway_http(url: str) -> Http:
    """GETs of the gateway at an address; no credential travels.

    Raises:
        UnavailableError: that is no address of a gateway, or one on another machine without TLS.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    scheme = _SCHEMES.get(parts.scheme)
    host = parts.hostname or ""
    if scheme is None or not host or parts.path.strip("/"):
        raise UnavailableError(
            "The `url` of this source is no address of a gateway.",
            advice="Such as wss://host.example:18789, or ws://127.0.0.1:18789 for a tunnel.",
        )
    if parts.username or parts.password or parts.query:
        raise UnavailableError("The `url` of this source may hold no credential.")
    if scheme == "http" and not is_loopback(host):
        raise UnavailableError(
            "What a gateway on another machine says would travel without TLS.",
            advice="Use a wss address, or a tunnel to it.",
        )
    shown = f"[{host}]" if ":" in host else host
    where = f"{shown}:{port or (443 if scheme == 'https' else 80)}"
    return Http(f"{scheme}://{where}", redact_line(where, 120), lambda: {})


def socket_url(url: str) -> str:
    """The address of the WebSocket of a gateway whose address `gateway_http` took."""
    parts = urlsplit(url)
    return f"{'wss' if _SCHEMES[parts.scheme] == 'https' else 'ws'}://{parts.netloc}/"


def carrier_over(http: Callable[[], Http]) -> Carrier:
    """A carrier over the connections of one gateway."""

    async def carry(path: str, limit_s: float) -> Reply:
        try:
            return Reply(Reach.ANSWERED, 200, True, await http().get(path, (), limit_s, only=JSON))
        except ApiError as error:
            return Reply(Reach.ANSWERED, error.status, True, error.body)
        except OtherTypeError:
            return Reply(Reach.ANSWERED, 200)
        except DeadlineError as error:
            return Reply(Reach.SILENT, problem=error.sentence)
        except UnavailableError as error:
            refused = isinstance(network_cause(error), ConnectionRefusedError)
            reach = Reach.REFUSED if refused else Reach.FAILED
            return Reply(reach, problem=error.sentence)

    return carry
