"""Fields of a gateway's answers: each of the expected kind, bounded and harmless, or nothing."""

from __future__ import annotations

import math
from typing import Any

from services.text.redact import redact_line
from services.text.sanitize import sanitize

MOST_NAMES = 12
"""Names shown of a list."""


def table(value: object) -> dict[str, Any]:
    """A table; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def tables(value: object, most: int) -> list[dict[str, Any]]:
    """The tables in a list, the first `most`."""
    return [one for one in value[:most] if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: object, limit: int) -> str:
    """One harmless line."""
    return sanitize(value, limit) if isinstance(value, str) else ""


def words(value: object, limit: int = 200) -> str:
    """One harmless line of a stranger's: what may be a secret in it is masked."""
    return redact_line(value, limit) if isinstance(value, str) else ""


def names(value: object, most: int = MOST_NAMES) -> tuple[str, ...]:
    """The words in a list."""
    found = value if isinstance(value, list) else []
    return tuple(sanitize(one, 60) for one in found if isinstance(one, str))[:most]


def number(value: object) -> float | None:
    """A number that is not negative."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def count(value: object) -> int:
    """A whole number that is not negative; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def seconds(value: object) -> float | None:
    """Seconds, or an instant, of milliseconds."""
    found = number(value)
    return None if found is None else found / 1000


def flag(value: object) -> bool | None:
    """True or false; None where it says neither."""
    return value if isinstance(value, bool) else None
