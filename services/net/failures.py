"""What a connection that could not be made means, whatever was to be spoken over it."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from dataclasses import dataclass

from services.models import Retry
from services.text.sanitize import sanitize

_NO_TLS, _NO_TLS_ADVICE = "{address} does not speak TLS", "check the port and the scheme"
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


def os_error_of(error: BaseException) -> OSError | None:
    """The system's own error among the causes of a library's; None where there is none.

    One with an error number counts most: libraries raise others of their own on top of it.
    """
    found: OSError | None = None
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, OSError):
            found = cause
            if cause.errno is not None or isinstance(cause, ssl.SSLError):
                break
        cause = cause.__cause__ or cause.__context__
    return found


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
