"""Who may ask: the name they asked this server by, where they come from, and what they know."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import field
from hmac import compare_digest
from urllib.parse import urlsplit

from services.errors import ConfigError
from services.lazy_dataclass import dataclass

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9647
_SCHEME_PORTS = {"http": 80, "https": 443}
_LONGEST = 512
"""Characters of a header or a secret that are looked at."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens and by which address browsers reach it."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    public: str = ""
    """Scheme and authority of the reverse proxy before it; empty: there is none."""

    def on_port(self, port: int) -> Place:
        """The same with the port that was really given."""
        return Place(self.host, port, self.public)

    @property
    def base(self) -> str:
        """The address a browser is pointed at, without a path."""
        return self.public or f"http://{_authority(self.host, self.port)}"

    @property
    def secure(self) -> bool:
        """Whether browsers speak TLS to it."""
        return self.base.startswith("https:")

    @property
    def authorities(self) -> frozenset[str]:
        """What the Host header may say."""
        if self.public:
            scheme, authority = self.public.split("://")
            return _spelled(scheme, authority)
        names = {_authority(self.host, self.port), f"localhost:{self.port}"}
        return frozenset().union(*(_spelled("http", one) for one in names))

    @property
    def origins(self) -> frozenset[str]:
        """What the Origin header may say."""
        scheme = self.base.partition(":")[0]
        return frozenset(f"{scheme}://{one}" for one in self.authorities)


def place(host: str, port: int, public: str) -> Place:
    """Where to listen, checked.

    Raises:
        ConfigError: it is no such place, or one that would be served to a network in the clear.
    """
    try:
        at = ipaddress.ip_address(DEFAULT_HOST if host == "localhost" else host)
    except ValueError as error:
        raise ConfigError(f"{host!r} is no address to listen on; say {DEFAULT_HOST}.") from error
    base = _public(public) if public else ""
    if not at.is_loopback and not base.startswith("https:"):
        raise ConfigError(
            f"On {at} the page would cross a network in the clear.",
            advice="Let a proxy with TLS stand before it and name it: --public-url https://NAME.",
        )
    return Place(str(at), port, base)


def _public(text: str) -> str:
    """Scheme and authority of the url of a proxy."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigError("--public-url is no address.") from error
    name = (parts.hostname or "").lower()
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    if parts.scheme not in _SCHEME_PORTS or not bare or not name.isascii() or not _is_name(name):
        raise ConfigError("--public-url has to be https://NAME or https://NAME:PORT, and no more.")
    return f"{parts.scheme}://{_authority(name, port or _SCHEME_PORTS[parts.scheme])}"


def _is_name(name: str) -> bool:
    return bool(name) and all(one.isalnum() or one in ".-:" for one in name)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _spelled(scheme: str, authority: str) -> frozenset[str]:
    """An authority with a port, and without it where a browser leaves it out."""
    name, _, port = authority.rpartition(":")
    usual = int(port) == _SCHEME_PORTS[scheme]
    return frozenset((authority, name) if usual else (authority,))


@dataclass(frozen=True, slots=True)
class Gate:
    """The secrets of one launch, and what is asked of every request."""

    place: Place
    token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    """In the address that is printed; it is changed for the cookie."""
    cookie: str = field(default_factory=secrets.token_urlsafe, repr=False)

    @property
    def cookie_name(self) -> str:
        """One of its own for each port: browsers do not tell the ports of a machine apart."""
        name = f"wakedeck-{self.place.port}"
        return f"__Host-{name}" if self.place.secure else name

    @property
    def address(self) -> str:
        """What the operator opens."""
        return f"{self.place.base}/?token={self.token}"

    def knows_host(self, said: Iterable[str]) -> bool:
        """Whether the server was asked for by a name of its own, said once."""
        found = list(said)
        return len(found) == 1 and found[0][:_LONGEST].lower() in self.place.authorities

    def knows_origin(self, said: Iterable[str], *, needed: bool) -> bool:
        """Whether a request comes from our own page; a plain navigation says nothing of it."""
        found = list(said)
        if not found:
            return not needed
        return len(found) == 1 and found[0][:_LONGEST].lower() in self.place.origins

    def takes_token(self, said: str) -> bool:
        """Whether it is the token of this launch."""
        return _same(said, self.token)

    def takes_cookie(self, said: str) -> bool:
        """Whether it is the cookie of this launch."""
        return _same(said, self.cookie)


def _same(said: str, secret: str) -> bool:
    return compare_digest(said[:_LONGEST].encode("utf-8", "replace"), secret.encode())
