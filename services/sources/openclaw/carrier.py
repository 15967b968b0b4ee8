"""Where a gateway answers, and its probes over HTTP: what became of each."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from services.agents.openclaw.probes import Carrier, Reach, Reply
from services.errors import DeadlineError, UnavailableError
from services.lazy_dataclass import dataclass
from services.net.failures import is_loopback, network_cause
from services.net.http import ApiError, Http, OtherTypeError
from services.net.pins import pinned_context, read_fingerprint, unproven_context
from services.text.redact import redact_line

JSON = "application/json"
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where one gateway answers, over HTTP and WebSocket alike."""

    url: str
    pin: str = ""
    """The fingerprint of the one certificate that is trusted there; empty for the system's own."""
    owner_proven: bool = False
    """Whose the port of this machine is, is proven otherwise: its certificate is not asked for."""

    @classmethod
    def named(cls, url: str, fingerprint: str) -> GatewayAddress:
        """What an operator named.

        Raises:
            UnavailableError: that is no address of a gateway, one on another machine without TLS,
                or no fingerprint.
        """
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            parts, host = urlsplit(""), ""
        scheme = _SCHEMES.get(parts.scheme)
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
        pin = read_fingerprint(fingerprint)
        if fingerprint and (not pin or scheme == "http"):
            raise UnavailableError(
                "`tls_fingerprint` of this source is no SHA-256 fingerprint of a wss address.",
                advice="64 hexadecimal digits, with or without colons.",
            )
        return cls(url, pin)

    @classmethod
    def local(cls, port: int, *, tls: bool) -> GatewayAddress:
        """A port of this machine, whose owner the caller proves."""
        return cls(f"{'https' if tls else 'http'}://127.0.0.1:{port}", owner_proven=True)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken there."""
        return _SCHEMES[urlsplit(self.url).scheme] == "https"

    @property
    def far(self) -> bool:
        """Whether it is on another machine."""
        return not is_loopback(urlsplit(self.url).hostname or "")

    @property
    def where(self) -> str:
        """Host and port, for people."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        return redact_line(f"{shown}:{self.port}", 120)

    @property
    def port(self) -> int:
        """The one that is meant where none is written, too."""
        return urlsplit(self.url).port or (443 if self.secure else 80)

    @property
    def socket_url(self) -> str:
        """Of its WebSocket."""
        return f"{'wss' if self.secure else 'ws'}://{urlsplit(self.url).netloc}/"

    def tls(self) -> ssl.SSLContext | None:
        """The context of a connection; None for the system's own."""
        if self.pin:
            return pinned_context(self.pin)
        return unproven_context() if self.owner_proven and self.secure else None

    def http(self) -> Http:
        """GETs of it; no credential travels."""
        scheme = "https" if self.secure else "http"
        base = f"{scheme}://{urlsplit(self.url).netloc}"
        return Http(base, self.where, lambda: {}, context=self.tls)


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
