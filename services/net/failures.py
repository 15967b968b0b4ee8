"""What a connection that could not be made means, whatever was to be spoken over it."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import ssl

from services.files.bounded import UnfitError, parse_json
from services.lazy_dataclass import dataclass
from services.models import Retry
from services.text.sanitize import sanitize

_NO_TLS, _NO_TLS_ADVICE = "{address} does not speak TLS", "check the port and the scheme"
_ERRNO = re.compile(r"\[Errno (\d{1,5})\]")
_DEEPEST = 12
_MESSAGE = 16_384
"""Bytes of a refusal that are read."""
_ERRORS: tuple[tuple[type[BaseException], str, Retry, str], ...] = (
    (ssl.SSLError, _NO_TLS, Retry.NO, _NO_TLS_ADVICE),
    (TimeoutError, "no answer from {address} in {limit} s", Retry.AUTO, "is a proxy needed?"),
    (socket.gaierror, "cannot resolve {host}", Retry.AUTO, ""),
    (ConnectionRefusedError, "{address} refused the connection", Retry.AUTO, ""),
    (ConnectionResetError, "{address} cut the connection before it answered", Retry.AUTO, ""),
)
"""First match wins: kind, sentence, retry, advice."""


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """Why a connection was not opened, and what to do."""

    sentence: str
    retry: Retry
    advice: str = ""
    status: int | None = None
    """The HTTP status, where the handshake was answered with another one than 101."""
    server_message: str = ""
    """The server's own words of such an answer, harmless and masked."""
    retry_after_s: float | None = None


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def network_cause(error: BaseException) -> BaseException:
    """What is at the bottom of an exception of a library: the system's own error, where there is.

    A connection that was tried over several addresses fails with the first one's error.
    """
    best, seen = error, error
    for _ in range(_DEEPEST):
        if isinstance(seen, BaseExceptionGroup):
            seen = seen.exceptions[0]
        if isinstance(seen, ssl.SSLError):
            return seen
        if isinstance(seen, OSError):
            best = seen
        below = seen.__cause__ or seen.__context__
        if below is None:
            break
        seen = below
    if isinstance(best, OSError) and type(best) is not OSError and best.errno is not None:
        return best
    numbers = {int(one) for one in _ERRNO.findall(str(best))}
    if isinstance(best, OSError) and best.errno is None and len(numbers) == 1:
        return OSError(numbers.pop(), "")
    return best


def classify_network_error(
    error: BaseException, address: str, *, timeout_s: float = 10, secure: bool = False
) -> ConnectionFailure:
    """Judge an exception of a connection; `address` is `host:port`.

    `secure` says that TLS was spoken to it.
    """
    host = address.rsplit(":", 1)[0]
    if secure and isinstance(error, ConnectionResetError):
        return ConnectionFailure(_NO_TLS.format(address=address), Retry.NO, _NO_TLS_ADVICE)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _classify_certificate(error, host)
    for kind, sentence, retry, advice in _ERRORS:
        if isinstance(error, kind):
            said = sentence.format(address=address, host=host, limit=f"{timeout_s:g}")
            return ConnectionFailure(said, retry, advice)
    if isinstance(error, OSError):
        said = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return ConnectionFailure(f"{address} cannot be reached ({said})", Retry.AUTO)
    return ConnectionFailure(f"{address} could not be opened ({type(error).__name__})", Retry.ASK)


def _classify_certificate(error: ssl.SSLCertVerificationError, host: str) -> ConnectionFailure:
    said = sanitize(error.verify_message or "not trusted")
    if "mismatch" in said.lower() or "not valid for" in said.lower():
        return ConnectionFailure(
            f"the name on the certificate is not {host}", Retry.NO, "is tls-server-name needed?"
        )
    return ConnectionFailure(
        f"the certificate of {host} was not accepted: {said}",
        Retry.NO,
        "name the authority that signed it in the configuration",
    )


def message_of(body: bytes) -> str:
    """A server's own words in a refusal: of a JSON object its message, else short plain text.

    As they came: neither harmless nor masked.
    """
    text = body[:_MESSAGE].decode("utf-8", "replace").strip()
    try:
        fields = parse_json(text)
    except UnfitError:
        return "" if text.startswith("<") else text
    if isinstance(fields, dict):
        for key in ("message", "detail", "error", "status"):
            if isinstance(fields.get(key), str):
                return str(fields[key])
    return ""
