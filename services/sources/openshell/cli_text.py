"""The CLI's prose made comparable, and the kinds of failure it names.

See upstream/openshell: Text and exit codes.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from services.files.bounded import LISTS, UnfitError, parse_json
from services.text.sanitize import sanitize

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]"
)
_GUTTER = re.compile(r"^\s*(?:[│├╰]─?▶?|─▶|[|`]->|\|(?=\s))\s*")
_CROSS = re.compile(r"\bError:\s+[×x]\s+")
_CAUSE = re.compile(r"^\s*(?:[├╰]─▶|[|`]->)")
_HELP = re.compile(r"^\s*(?:help:|tip:|Usage:|For more information)", re.IGNORECASE)
_USAGE = re.compile(
    r"^error: (?:unexpected argument|unrecognized subcommand|invalid value) '([^']{1,60})'"
)
_STATUS = re.compile(r"\b(?:code|status): '?([^',]{1,120})'?")
_MESSAGE = re.compile(r'\bmessage: "((?:[^"\\]|\\.){0,400})"')
_ADDRESS = re.compile(r"<?\b[a-z][a-z0-9+.-]*://\S+")
_FOREIGN = re.compile(r",?\s*\b(?:source: tonic\b|details: |metadata: |MetadataMap\b).*")
_SENTENCE = re.compile(r"(?<=\w\w)[.!?]\s+(?=[A-Z'\"`])")
_BRACKET = re.compile(r"^[\[{]", re.MULTILINE)
_MOST_STARTS = 20
_EXCERPT = 64 * 1024
"""Characters of an answer that are looked at for words."""


def strip_colours(text: str) -> str:
    """`text` without control sequences, its lines kept."""
    return _SEQUENCE.sub("", text)


def json_of(text: str) -> tuple[Any, str]:
    """The JSON at the end of an answer, and the notice that stood before it, as one line.

    It begins at the last line that starts with a bracket and from which one value reaches to the
    end of the text.

    Raises:
        UnfitError: there is no such line, or its value is beyond all bounds.
    """
    plain = strip_colours(text)
    starts = [match.start() for match in _BRACKET.finditer(plain)]
    problem = UnfitError("it is not JSON")
    for start in reversed(starts[-_MOST_STARTS:]):
        try:
            return parse_json(plain[start:], LISTS), sanitize(" ".join(plain[:start].split()), 200)
        except UnfitError as error:
            problem = error
    raise problem


def normalize_text(text: str) -> str:
    """One line: no sequences, no gutters, white space collapsed; bounded."""
    lines = strip_colours(text[:_EXCERPT]).splitlines()
    return " ".join(" ".join(_GUTTER.sub("", line) for line in lines).split())


def error_text(text: str, limit: int = 200) -> str:
    """What an error says: its first sentence and its innermost cause, harmless and short.

    Neither the printer's decoration nor usage hints, addresses or the words of a library.
    """
    lines = strip_colours(text[:_EXCERPT]).splitlines()
    usage = next((found for line in lines if (found := _USAGE.match(line.strip()))), None)
    if usage is not None:
        return sanitize(f"this openshell does not know `{usage[1]}`", limit)
    head, *causes = _parts(lines)
    said = _first_sentence(head)
    cause = _first_sentence(causes[-1]) if causes else ""
    if cause and cause.lower() not in said.lower():
        said = f"{said}: {cause}" if said else cause
    return sanitize(said, limit)


def _parts(lines: list[str]) -> list[str]:
    """What was said and each cause of it, every one on a line of its own again."""
    start = next((n for n, line in enumerate(lines) if _CROSS.search(line)), 0)
    parts = [""]
    for number, line in enumerate(lines[start:]):
        if number and (not line.strip() or _HELP.match(line)):
            if parts[0]:
                break
            continue
        if _CAUSE.match(line):
            parts.append("")
        words = _GUTTER.sub("", line)
        if not number:
            words = _CROSS.sub("", words)
        parts[-1] = f"{parts[-1]} {words}".strip()
    return [" ".join(part.split()) for part in parts]


def _first_sentence(words: str) -> str:
    words = words.removeprefix("error: ")
    status = _STATUS.search(words)
    if status is not None:
        message = _MESSAGE.search(words)
        words = message[1] if message is not None and message[1] else status[1]
    words = _FOREIGN.sub("", _ADDRESS.sub("", words))
    return _SENTENCE.split(" ".join(words.split()), maxsplit=1)[0].rstrip("., :")


def is_cli_error(text: str) -> bool:
    """Whether the CLI itself is heard complaining, as opposed to a remote program."""
    return _CROSS.search(normalize_text(text)) is not None


class ErrorKind(Enum):
    """Kinds of failure, in the order in which they are looked for."""

    USAGE = "unsupported by this version"
    TLS_FILE = "a file of mutual TLS on this machine"
    CLIENT_EXPIRED = "this machine's certificate has expired"
    CLIENT_REFUSED = "this machine's certificate is not taken"
    SERVER_EXPIRED = "the gateway's certificate has expired"
    SERVER_EARLY = "the gateway's certificate is not valid yet"
    OTHER_ADDRESS = "the gateway's certificate is for another address"
    PLAIN = "plain answer where TLS was asked for"
    IDENTITY = "certificate or identity"
    AUTH = "credentials"
    PERMISSION = "not allowed"
    NO_GATEWAY = "no gateway configured"
    UNKNOWN_NAME = "unknown gateway"
    MISSING = "missing sandbox"
    SUPERVISOR = "supervisor not connected"
    PHASE = "wrong phase"
    TLS = "TLS, in words this panel does not know"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"

    @property
    def of_tls(self) -> bool:
        """Whether it tells of certificates or of TLS: nothing that a start mends."""
        return self in _OF_TLS


_OF_TLS = frozenset(
    (
        *(ErrorKind.TLS_FILE, ErrorKind.CLIENT_EXPIRED, ErrorKind.CLIENT_REFUSED),
        *(ErrorKind.SERVER_EXPIRED, ErrorKind.SERVER_EARLY, ErrorKind.OTHER_ADDRESS),
        *(ErrorKind.PLAIN, ErrorKind.IDENTITY, ErrorKind.TLS),
    )
)


PHRASES: tuple[tuple[ErrorKind, tuple[str, ...]], ...] = (
    (
        ErrorKind.USAGE,
        ("unrecognized subcommand", "unexpected argument", "operation is not implemented"),
    ),
    (
        ErrorKind.TLS_FILE,
        (
            "failed to read tls",
            "no private key found",
            "error parsing tls",
            "keymismatch",
            "sent no certificates",
        ),
    ),
    (ErrorKind.CLIENT_EXPIRED, ("fatal alert: certificateexpired",)),
    (ErrorKind.CLIENT_REFUSED, ("fatal alert", "close_notify")),
    (ErrorKind.SERVER_EXPIRED, ("certificate expired", "not valid after")),
    (ErrorKind.SERVER_EARLY, ("not valid yet", "not valid before")),
    (ErrorKind.OTHER_ADDRESS, ("not valid for name",)),
    (ErrorKind.PLAIN, ("invalidcontenttype",)),
    (
        ErrorKind.IDENTITY,
        (
            "handshake verification failed",
            "invalid peer certificate",
            "unknownissuer",
            "badsignature",
        ),
    ),
    (
        ErrorKind.AUTH,
        (
            "missing gateway auth token",
            "device identity required",
            "does not have valid authentication credentials",
        ),
    ),
    (ErrorKind.PERMISSION, ("does not have permission",)),
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
_TLS_WORD = re.compile(r"(?<![\w.-])(?:certificates?|m?tls|ssl|handshake|alert)(?![\w-])")


def error_kind(text: str) -> ErrorKind:
    """The first kind whose words are in what was said on stdout and stderr together."""
    said = normalize_text(text).lower()
    for kind, words in PHRASES:
        if kind is ErrorKind.UNREACHABLE and _TLS_WORD.search(_ADDRESS.sub("", said)):
            return ErrorKind.TLS
        if any(word in said for word in words):
            return kind
    return ErrorKind.TLS if _TLS_WORD.search(_ADDRESS.sub("", said)) else ErrorKind.UNKNOWN
