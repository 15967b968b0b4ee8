"""One terminal server as both halves of the source reach it: address, credential, requests."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from services.config.sources import TerminalTable
from services.errors import UnavailableError
from services.files.bounded import UnfitError, read_text
from services.net.failures import is_loopback
from services.net.http import Http, context_of
from services.text.sanitize import sanitize

_SCHEMES = {"http": False, "https": True, "ws": False, "wss": True}
_PORTS = {False: 80, True: 443}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's address, its credential apart."""

    secure: bool
    host: str
    port: int
    path: str
    """Without a slash at its end."""
    direct: bool
    """It is the terminal itself, no server that has some."""
    query: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """As the address has it: a token, or USER:PASSWORD."""

    @property
    def place(self) -> str:
        """Host and port, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def base(self, scheme: str = "http") -> str:
        """The address without path and query: `scheme` is `http` or `ws`."""
        return f"{scheme}{'s' if self.secure else ''}://{self.place}"


def read_address(url: str, family: str) -> ServerAddress:
    """What an address says.

    Raises:
        UnavailableError: it is none of a terminal server.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    secure = _SCHEMES.get(parts.scheme)
    if secure is None or not host or not host.isprintable() or " " in host:
        raise UnavailableError(
            "The address of this terminal server is none.",
            advice="`url` begins with http, https, ws or wss and names a host.",
        )
    token, pairs = "", parse_qsl(parts.query, keep_blank_values=True)
    if family == "terminado":
        # Jupyter prints its address with the token; in a header it stays out of logs.
        token = next((value for name, value in pairs if name == "token"), "")
        pairs = [one for one in pairs if one[0] != "token"]
    if parts.username is not None:
        token = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    path = parts.path.rstrip("/")
    if parts.scheme.startswith("http") and family == "terminado":
        # Jupyter's own address is that of a page below its root.
        path = path.removesuffix("/lab").removesuffix("/tree")
    return ServerAddress(
        secure,
        host,
        port or _PORTS[secure],
        path,
        family == "json" or parts.scheme.startswith("ws"),
        urlencode(pairs, quote_via=quote),
        token,
    )


class TerminalServer:
    """What the table says, read when it is needed."""

    def __init__(self, table: TerminalTable) -> None:
        self.table = table

    @cached_property
    def address(self) -> ServerAddress:
        """Where it is.

        Raises:
            UnavailableError: the table says no address of a terminal server.
        """
        return read_address(self.table.url, self.table.family)

    @property
    def is_jupyter(self) -> bool:
        """Whether terminals are made, listed and ended by requests."""
        return self.table.family == "terminado" and not self.address.direct

    def headers(self) -> dict[str, str]:
        """What authenticates a request, read anew each time.

        Raises:
            UnavailableError: the file cannot be read, or a credential would travel without TLS.
        """
        token = self._token()
        exposed = not self.address.secure and not is_loopback(self.address.host)
        if exposed and (token or self.address.query) and not self.table.allow_plain:
            raise UnavailableError(
                f"A credential would travel to {sanitize(self.address.place, 100)} without TLS.",
                advice="Use an https or wss address, or say allow_plain = true.",
            )
        if not token:
            return {}
        if not token.isprintable() or not token.isascii():
            raise UnavailableError("The credential of this terminal server is none to send.")
        if ":" in token:
            pair = base64.b64encode(token.encode("ascii")).decode("ascii")
            return {"Authorization": f"Basic {pair}"}
        scheme = "token" if self.table.family == "terminado" else "Bearer"
        return {"Authorization": f"{scheme} {token}"}

    def _token(self) -> str:
        if not self.table.token_file:
            return self.address.token
        path = Path(self.table.token_file).expanduser()
        try:
            return read_text(path).strip()
        except (OSError, UnfitError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise UnavailableError(f"The token file {path} cannot be read: {why}.") from error

    def tls(self) -> ssl.SSLContext | None:
        """How TLS is spoken; None for the system's authorities.

        Raises:
            UnavailableError: the configured authority is none.
        """
        if not self.table.authority or not self.address.secure:
            return None
        return context_of(self.table.authority)

    def http(self) -> Http:
        """Requests to it.

        Raises:
            UnavailableError: the table says no address of a terminal server.
        """
        where = self.address
        return Http(where.base(), where.place, self.headers, context=self.tls)

    def terminal_url(self, name: str = "") -> str:
        """Where a terminal is; `name` is that of one of Jupyter's."""
        where = self.address
        path = where.path
        if self.is_jupyter:
            path += f"/terminals/websocket/{quote(name, safe='')}"
        elif self.table.family == "ttyd" and not where.direct:
            path += "/ws"
        return where.base("ws") + (path or "/") + (f"?{where.query}" if where.query else "")
