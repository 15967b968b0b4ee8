"""The CLI's prose made comparable: colours off, gutters off, wrapped lines joined.

See upstream/openshell: Text and exit codes.
"""

from __future__ import annotations

import re

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
