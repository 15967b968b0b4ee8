"""Which proxy stands on the way to a server: the one that is named, or the environment's.

As kubectl has it (upstream/pods: Proxies), so that whatever it reaches is reached from here too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.net.failures import is_loopback
from services.text.sanitize import sanitize

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy."""

    url: str = field(repr=False)
    """With its user and password; names of hosts are resolved by the proxy."""
    address: str
    """`host:port`, for people."""

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken to the proxy itself."""
        return self.url.startswith("https:")


def proxy_for(server: str, named: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy to `server` (a URL, also `ws` and `wss`), None where there is none.

    `named` is the one that a configuration names for this server; it holds for every server.

    Raises:
        UnavailableError: what is named is no proxy; the sentence says where it is named.
    """
    if named:
        return _parse(named, "The proxy-url of the kubeconfig")
    parts = urlsplit(server)
    host = parts.hostname or ""
    secure = parts.scheme in ("https", "wss")
    if host == "localhost" or is_loopback(host):
        return None
    port = parts.port or (443 if secure else 80)
    for name in ("HTTPS_PROXY" if secure else "HTTP_PROXY", "ALL_PROXY"):
        said, variable = _variable(environ, name)
        if said:
            bypassed = _is_bypassed(host, port, _variable(environ, "NO_PROXY")[0])
            # A word without a scheme is an HTTP proxy.
            named = said if "://" in said else f"http://{said}"
            return None if bypassed else _parse(named, f"The variable {variable}")
    return None


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    for spelled in (name, name.lower()):
        if environ.get(spelled):
            return environ[spelled].strip(), spelled
    return "", name


def _parse(text: str, where: str) -> Proxy:
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _unfit(where, "its host or port is not valid") from None
    if parts.scheme not in _PORTS:
        scheme = sanitize(parts.scheme, 20) or "none"
        raise _unfit(where, f"its scheme is {scheme}; known are {', '.join(_PORTS)}")
    if not parts.hostname:
        raise _unfit(where, "it names no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # The libraries resolve names themselves for socks5, and refuse a user without a password.
    scheme = "socks5h" if parts.scheme == "socks5" else parts.scheme
    url = f"{scheme}://{_user(parts)}{host}:{port}"
    return Proxy(url, sanitize(f"{host}:{port}", 200))


def _user(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    user, password = unquote(parts.username), unquote(parts.password or "")
    return f"{quote(user, safe='')}:{quote(password, safe='')}@"


def _unfit(where: str, why: str) -> UnavailableError:
    # The text itself may hold a password.
    return UnavailableError(f"{where} is not a proxy: {why}.")


def _is_bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY leaves a server out: hosts, domains, addresses and networks."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for word in filter(None, (one.strip().lower() for one in no_proxy.split(","))):
        if word == "*":
            return True
        if address is not None and "/" in word:
            try:
                if address in ipaddress.ip_network(word, strict=False):
                    return True
            except ValueError:
                pass
            continue
        name, _, wanted = word.rpartition(":")
        if not (name and wanted.isdecimal() and (":" not in name or name.endswith("]"))):
            name, wanted = word, ""
        if wanted and int(wanted[:6]) != port:
            continue
        name = name.strip("[]").removeprefix("*")
        if host == name.rstrip(".") or (name and host.endswith("." + name.lstrip("."))):
            return True
    return False
