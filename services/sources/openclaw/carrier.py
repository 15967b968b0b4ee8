"""Where a gateway answers, and its probes over HTTP: what became of each."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.agents.openclaw.probes import Carrier, Reach, Reply
from services.errors import DeadlineError, UnavailableError
from services.net.failures import is_loopback, network_cause
from services.net.http import ApiError, Http, OtherTypeError
from services.text.redact import redact_line

JSON = "application/json"
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_HEX = re.compile(r"[0-9a-f]{64}")


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


def read_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as it is written anywhere, as 64 digits; empty where it is none."""
    bare = text.strip().lower().removeprefix("sha256").lstrip(":=")
    digits = bare.replace(":", "").replace(" ", "")
    return digits if _HEX.fullmatch(digits) else ""


def pinned_context(fingerprint: str) -> ssl.SSLContext:
    """A context that goes on after the handshake only with the certificate of this fingerprint."""

    class PinnedConnection(ssl.SSLObject):
        """One end of TLS: nothing is read or written before its peer is the pinned one."""

        def do_handshake(self) -> None:
            super().do_handshake()
            _require(self.getpeercert(binary_form=True), fingerprint)

    class PinnedSocket(ssl.SSLSocket):
        """The same over a socket."""

        def do_handshake(self, *args: Any, **named: Any) -> None:
            super().do_handshake(*args, **named)
            _require(self.getpeercert(binary_form=True), fingerprint)

    context = unproven_context()
    context.sslobject_class = PinnedConnection
    context.sslsocket_class = PinnedSocket
    return context


def unproven_context() -> ssl.SSLContext:
    """A context that takes any certificate: for a port of this machine whose owner is proven."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _require(certificate: bytes | None, fingerprint: str) -> None:
    found = hashlib.sha256(certificate or b"").hexdigest()
    if not hmac.compare_digest(found, fingerprint):
        error = ssl.SSLCertVerificationError(1, "another certificate than the pinned one")
        error.verify_message = f"it is another one than the pinned one (sha256 {found[:16]}…)"
        raise error
