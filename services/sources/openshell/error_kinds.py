"""Which kind of trouble the CLI's words tell of, tried in order.

See upstream/openshell: Error phrases.
"""

from __future__ import annotations

from enum import Enum

from services.sources.openshell.cli_text import normalised


class Trouble(Enum):
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


PHRASES: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    (
        Trouble.USAGE,
        ("unrecognized subcommand", "unexpected argument", "operation is not implemented"),
    ),
    (
        Trouble.IDENTITY,
        (
            "handshake verification failed",
            "invalid peer certificate",
            "unknownissuer",
            "failed to read tls",
        ),
    ),
    (
        Trouble.AUTH,
        (
            "missing gateway auth token",
            "device identity required",
            "does not have valid authentication credentials",
            "does not have permission",
        ),
    ),
    (Trouble.NO_GATEWAY, ("no active gateway", "no gateway configured")),
    (Trouble.UNKNOWN_NAME, ("unknown gateway '", "no gateway metadata found for '")),
    (Trouble.MISSING, ("sandbox not found", "status: notfound")),
    (
        Trouble.SUPERVISOR,
        (
            "supervisor session not connected",
            "service is currently unavailable",
            "status: unavailable",
        ),
    ),
    (
        Trouble.PHASE,
        (
            "not in a state required",
            "must be ready to stop",
            "must be stopped to start",
            "is not ready (phase:",
        ),
    ),
    (
        Trouble.UNREACHABLE,
        ("client error (connect)", "tcp connect error", "connection refused", "transport error"),
    ),
)
"""Lower-case words, each enough by itself. A bare `not found` never names a sandbox."""


def trouble(text: str) -> Trouble:
    """The first kind whose words are in what was said on stdout and stderr together."""
    said = normalised(text).lower()
    for kind, words in PHRASES:
        if any(word in said for word in words):
            return kind
    return Trouble.UNKNOWN
