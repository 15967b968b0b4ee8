"""Values that must not appear in anything a command says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from services.sources.vellum.layout import EnvironmentPaths

_NAMES = frozenset(
    (
        "accessToken",
        "bearerToken",
        "guardianBootstrapSecret",
        "refreshToken",
        "signingKey",
    )
)
_LARGEST = 8 << 20


def secrets(place: EnvironmentPaths, assistant: str) -> tuple[str, ...]:
    """Every secret value of the registry and of one assistant's token file."""
    files = (place.registry(), place.token(assistant))
    return tuple({value for path in files for value in _values(_load(path))})


def _values(node: object, depth: int = 0) -> Iterator[str]:
    if depth > 8:
        return
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _NAMES and isinstance(value, str) and len(value) >= 4:
                yield value
            else:
                yield from _values(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, depth + 1)


def _load(path: Path) -> object:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
