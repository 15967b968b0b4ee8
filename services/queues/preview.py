"""One line that says what a message is about, from the first part of its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from services.files.bounded import UnfitError, parse_json
from services.text.redact import redact
from services.text.sanitize import sanitize

HEAD = 2048
"""Characters of the content that a preview is made from."""
LIMIT = 240
_TEXT_FIELDS = (
    "text",
    "prompt",
    "question",
    "title",
    "fallbackText",
    "event",
    "message",
    "summary",
)
_ACTION_FIELDS = ("action", "operation", "type", "selectedOption", "emoji")
_PAIR = re.compile(r'"(\w{1,24})"\s*:\s*"((?:[^"\\]|\\.)*)')
_ESCAPE_CUT = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")


@lru_cache(maxsize=2048)
def preview(head: str, size: int) -> str:
    """A harmless line for the first `HEAD` characters of a content of `size`, secrets masked."""
    return redact(_line(head, size))


def _line(head: str, size: int) -> str:
    fields = _fields(head, size)
    if fields is None:
        return sanitize(head, LIMIT)
    words = next(
        (sanitize(_string(fields[k]), LIMIT) for k in _TEXT_FIELDS if _string(fields.get(k))), ""
    )
    asked = [sanitize(_string(fields[k]), 40) for k in _ACTION_FIELDS if _string(fields.get(k))]
    line = ": ".join(part for part in (" ".join(asked), words) if part)
    return sanitize(f"{line or sanitize(head, LIMIT)}{_attached(fields)}", LIMIT)


def _fields(head: str, size: int) -> Mapping[str, object] | None:
    """The object the content is, as far as its head tells; None where it is not one."""
    if not head.lstrip().startswith("{"):
        return None
    if len(head) >= size:
        try:
            whole = parse_json(head)
        except UnfitError:
            return None
        return whole if isinstance(whole, dict) else None
    found: dict[str, object] = {}
    for key, raw in _PAIR.findall(head):
        if key not in found:
            found[key] = _unescaped(raw)
    return found or None


def _unescaped(raw: str) -> str:
    try:
        # A bare line end within a string is no JSON, and one line is made of it anyway.
        return str(parse_json(f'"{" ".join(_ESCAPE_CUT.sub("", raw).split())}"'))
    except UnfitError:
        return raw


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _attached(fields: Mapping[str, object]) -> str:
    """The names of files that go with a message."""
    names: list[str] = []
    for key in ("attachments", "files"):
        items = fields.get(key)
        for item in items if isinstance(items, list) else ():
            name = item.get("name") if isinstance(item, dict) else item
            names.append(sanitize(_string(name), 40) or "file")
    return f" [{', '.join(names[:3])}{', …' if len(names) > 3 else ''}]" if names else ""
