"""Close reasons: what a connection error means and whether to retry.

The table is upstream/terminal: Why a session ends.
No sentence holds a token, a cookie or a query string: the caller names
its secrets, and whatever a peer echoes of them is masked.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import replace

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    ProxyError,
    SecurityError,
)

from services.errors import ShellError
from services.models import Retry, ShellState
from services.net.failures import (
    ConnectionFailure,
    classify_network_error,
    message_of,
    network_cause,
)
from services.terminal.transport.base import CloseReason
from services.text.sanitize import sanitize

_QUERY = re.compile(r"\?[^\s\"'<>]*")
_INVALID_CODE = "invalid status code"
"""What the library answers to a close frame with such a code: ttyd sends 1006 after a failure."""
_BUSY = frozenset({408, 409, 425, 429})
_PROTOCOL_ERRORS = {1002: "protocol error", 1003: "unsupported data", 1007: "invalid text"}
_IDLE_CUT_S = 15.0
_OPEN_ERRORS: tuple[tuple[type[BaseException], str, Retry, str], ...] = (
    (ProxyError, "the proxy on the way to {address} does not work", Retry.NO, ""),
    (InvalidProxy, "the proxy on the way to {address} does not work", Retry.NO, ""),
    (InvalidURI, "{address} sent us to a page that is no terminal", Retry.NO, "signed out?"),
    (NegotiationError, "{address} is not a server this panel can talk to", Retry.NO, ""),
    (InvalidHandshake, "{address} is not a WebSocket endpoint", Retry.NO, ""),
)
"""First match wins: kind, sentence, retry, advice."""


class HandshakeRefusedError(ShellError):
    """The server answered, and not with a terminal: `failure` holds status and words."""

    def __init__(self, failure: ConnectionFailure) -> None:
        super().__init__(failure.sentence, retry=failure.retry, advice=failure.advice)
        self.failure = failure


def redact_line(text: str, secrets: Sequence[str] = ()) -> str:
    """Sanitise text to one line and redact `secrets` and query strings."""
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(secret, "•••")
    return _QUERY.sub("", sanitize(text))


def classify_open_error(
    error: BaseException,
    address: str,
    *,
    timeout_s: float = 10,
    secrets: Sequence[str] = (),
    secure: bool = False,
    proxy: str = "",
) -> ConnectionFailure:
    """Judge an exception of the connection or its handshake; `address` is `host:port`.

    `secure` says that TLS was spoken to it, `proxy` is the address of one on the way.
    """
    if isinstance(error, InvalidStatus):
        return replace(
            _classify_status(error, address, secrets),
            status=error.response.status_code,
            server_message=_server_message(error, secrets),
            retry_after_s=_retry_after(error),
        )
    if isinstance(error, SecurityError):
        return ConnectionFailure(
            f"{address} answered outside the rules: {redact_line(str(error))}", Retry.NO
        )
    if isinstance(error, InvalidProxyStatus):
        code = error.response.status_code
        named = f" {proxy}" if proxy else ""
        return ConnectionFailure(
            f"the proxy{named} refused to connect to {address} ({code})", Retry.NO
        )
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError):
        return ConnectionFailure(
            f"{address} closed the connection before it answered",
            Retry.AUTO,
            "is it a WebSocket endpoint?",
        )
    if proxy and isinstance(error, ProxyError):
        said = redact_line(str(error.__cause__ or error), secrets)
        return ConnectionFailure(
            f"the proxy {proxy} did not connect to {address}: {said}", Retry.AUTO
        )
    for kind, sentence, retry, advice in _OPEN_ERRORS:
        if isinstance(error, kind):
            return ConnectionFailure(sentence.format(address=address), retry, advice)
    cause = network_cause(error)
    if proxy and isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError | TimeoutError):
        failure = classify_network_error(cause, proxy, timeout_s=timeout_s)
        return replace(failure, sentence=f"the proxy on the way to {address}: {failure.sentence}")
    return classify_network_error(cause, address, timeout_s=timeout_s, secure=secure)


def _classify_status(
    error: InvalidStatus, address: str, secrets: Sequence[str]
) -> ConnectionFailure:
    code = error.response.status_code
    said = _server_message(error, secrets)
    tail = f": {said}" if said else ""
    if code == 401:
        return ConnectionFailure(f"{address} does not accept the credential (401){tail}", Retry.ASK)
    if code == 403:
        return ConnectionFailure(
            f"{address} refused access (403){tail}"
            if said
            else f"{address} refused access (403) and gave no reason",
            Retry.NO,
        )
    if code == 404:
        return ConnectionFailure(f"{address} knows no such terminal (404){tail}", Retry.NO)
    if code in _BUSY or code >= 500:
        wait = _retry_after(error)
        later = "" if wait is None else f"; try again in {wait:.0f} s"
        return ConnectionFailure(f"{address} is busy or failing ({code}){tail}{later}", Retry.AUTO)
    if 200 <= code < 300:
        return ConnectionFailure(
            f"a web server answered at {address}, not a terminal ({code})", Retry.NO
        )
    return ConnectionFailure(f"{address} refused the terminal ({code}){tail}", Retry.NO)


def _server_message(error: InvalidStatus, secrets: Sequence[str]) -> str:
    return redact_line(message_of(bytes(error.response.body or b"")), secrets)


def _retry_after(error: InvalidStatus) -> float | None:
    wait = error.response.headers.get("Retry-After", "")
    return float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 6 else None


def classify_close(
    error: ConnectionClosed,
    *,
    idle_s: float = 0.0,
    silent_end: bool = False,
    secrets: Sequence[str] = (),
) -> CloseReason:
    """Judge the end of a connection that was open; `idle_s` is how long nothing had come.

    `silent_end` names a family whose normal end is a dropped connection
    (upstream/pods: JSON endings).
    """
    if error.rcvd is None:
        return _classify_drop(error, idle_s, silent_end)
    code = error.rcvd.code
    said = redact_line(error.rcvd.reason, secrets)
    tail = f": {said}" if said else ""
    if code in (1000, 1005):
        return CloseReason(ShellState.ENDED, f"the shell ended; exit code unknown{tail}")
    if code == 1001:
        return CloseReason(ShellState.ENDED, f"the server is going away{tail}", retry=Retry.AUTO)
    if code in (1012, 1013):
        return CloseReason(
            ShellState.LOST, f"the server is restarting or busy{tail}", retry=Retry.AUTO
        )
    if code in _PROTOCOL_ERRORS:
        return CloseReason(
            ShellState.LOST, f"{_PROTOCOL_ERRORS[code]} ({code}){tail}", retry=Retry.NO
        )
    if code == 1008:
        return CloseReason(ShellState.LOST, f"refused by policy{tail}", retry=Retry.NO)
    if code == 1009:
        return CloseReason(ShellState.LOST, f"the server says we sent too much at once{tail}")
    if code == 1011:
        return CloseReason(ShellState.LOST, f"the server failed{tail}", retry=Retry.AUTO, tries=2)
    return CloseReason(ShellState.LOST, f"the server closed with {code}{tail}")


def _classify_drop(error: ConnectionClosed, idle_s: float, silent_end: bool) -> CloseReason:
    cause = error.__cause__
    if error.sent is not None and error.sent.code == 1009:
        return CloseReason(ShellState.LOST, "the server sent a message above 1 MiB")
    if isinstance(cause, PayloadTooBig):
        return CloseReason(ShellState.LOST, "the server sent a message above 1 MiB")
    if error.sent is not None and error.sent.reason == _INVALID_CODE:
        return CloseReason(
            ShellState.ENDED,
            "the server ended the session (by a code that may not be sent); exit code unknown",
        )
    if error.sent is not None and error.sent.code in _PROTOCOL_ERRORS:
        code = error.sent.code
        return CloseReason(
            ShellState.LOST, f"the server sent {_PROTOCOL_ERRORS[code]} ({code})", retry=Retry.NO
        )
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        return CloseReason(
            ShellState.LOST, "the connection was reset, outcome unknown", retry=Retry.AUTO
        )
    if isinstance(cause, TimeoutError | OSError) and not isinstance(cause, EOFError):
        return CloseReason(
            ShellState.LOST, "the connection was lost, outcome unknown", retry=Retry.AUTO
        )
    if silent_end:
        return CloseReason(ShellState.ENDED, "the server ended the session (no close frame)")
    if idle_s >= _IDLE_CUT_S:
        return CloseReason(
            ShellState.LOST,
            f"the connection was dropped after {idle_s:.0f} s of silence (an idle limit on the"
            " way?), outcome unknown",
            retry=Retry.AUTO,
        )
    return CloseReason(ShellState.LOST, "the server closed without saying why, outcome unknown")
