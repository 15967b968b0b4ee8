"""The CLI's prose made comparable, and the kinds of failure it names.

See upstream/openshell: Text and exit codes.
"""

from __future__ import annotations

import re
from enum import Enum

from services.text.sanitize import sanitize

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]"
)
_GUTTER = re.compile(r"^\s*(?:[│├╰]─?▶?|─▶|[|`]->|\|(?=\s))\s*")
_CROSS = re.compile(r"\bError:\s+[×x]\s+")
_EXCERPT = 64 * 1024
"""Characters of an answer that are looked at for words."""


def strip_colours(text: str) -> str:
    """`text` without control sequences, its lines kept."""
    return _SEQUENCE.sub("", text)


def normalize_text(text: str) -> str:
    """One line: no sequences, no gutters, white space collapsed; bounded."""
    lines = strip_colours(text[:_EXCERPT]).splitlines()
    return " ".join(" ".join(_GUTTER.sub("", line) for line in lines).split())


def error_text(text: str, limit: int = 200) -> str:
    """What an error says, harmless and short, without the printer's decoration."""
    line = normalize_text(text)
    cross = _CROSS.search(line)
    if cross is not None:
        line = line[cross.end() :]
    return sanitize(line.removeprefix("error: ").rstrip(". "), limit)


def is_cli_error(text: str) -> bool:
    """Whether the CLI itself is heard complaining, as opposed to a remote program."""
    return _CROSS.search(normalize_text(text)) is not None


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
