"""Which kind of trouble the CLI's words tell of, tried in order.

See upstream/openshell: Error phrases.
"""

from __future__ import annotations

from enum import Enum

from services.sources.openshell.cli_text import normalize_text


class ErrorKind(Enum):
    """Kinds of failure, in the order in which they are looked for."""

    USAGE = "unsupported by this version"
    IDENTITY = "certificate or identity"
    AUTH = "credentials"
    NO_GATEWAY = "no gateway configured"
    UNKNOWN_NAME = "unknown gateway"
    MISSING = "missing sandbox"
    SUPERVISOR = "supervisor not connected"
    PHASE = "wrong phase"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


PHRASES: tuple[tuple[ErrorKind, tuple[str, ...]], ...] = (
    (
        ErrorKind.USAGE,
        ("unrecognized subcommand", "unexpected argument", "operation is not implemented"),
    ),
    (
        ErrorKind.IDENTITY,
        (
            "handshake verification failed",
            "invalid peer certificate",
            "unknownissuer",
            "failed to read tls",
        ),
    ),
    (
        ErrorKind.AUTH,
        (
            "missing gateway auth token",
            "device identity required",
            "does not have valid authentication credentials",
            "does not have permission",
        ),
    ),
    (ErrorKind.NO_GATEWAY, ("no active gateway", "no gateway configured")),
    (ErrorKind.UNKNOWN_NAME, ("unknown gateway '", "no gateway metadata found for '")),
    (ErrorKind.MISSING, ("sandbox not found", "status: notfound")),
    (
        ErrorKind.SUPERVISOR,
        (
            "supervisor session not connected",
            "service is currently unavailable",
            "status: unavailable",
        ),
    ),
    (
        ErrorKind.PHASE,
        (
            "not in a state required",
            "must be ready to stop",
            "must be stopped to start",
            "is not ready (phase:",
        ),
    ),
    (
        ErrorKind.UNREACHABLE,
        ("client error (connect)", "tcp connect error", "connection refused", "transport error"),
    ),
)
"""Lower-case words, each enough by itself. A bare `not found` never names a sandbox."""


def error_kind(text: str) -> ErrorKind:
    """The first kind whose words are in what was said on stdout and stderr together."""
    said = normalize_text(text).lower()
    for kind, words in PHRASES:
        if any(word in said for word in words):
            return kind
    return ErrorKind.UNKNOWN
