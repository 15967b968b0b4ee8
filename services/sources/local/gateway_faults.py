"""The faults the embedded gateway obeys, as `gateway/faults.json` holds them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("wakedeck.gateway")


@dataclass(frozen=True, slots=True)
class Faults:
    """What to do wrong, on purpose; instants are seconds since the epoch."""

    credential_refused: bool = False
    """403 for everything that needs the token."""
    drain_until: float | None = None
    """Not ready and no new terminals until then; then a clean exit."""
    drop_shells: Mapping[str, float] = field(default_factory=dict)
    """Sandbox to when it was asked: its terminals opened before that are cut."""


def read_faults(path: Path) -> Faults:
    """What the file asks for; a missing or corrupt one asks for nothing, and the log says so."""
    try:
        fields = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Faults()
    except (OSError, ValueError, RecursionError) as error:
        log.warning("faults cannot be read (%s): none are obeyed", type(error).__name__)
        return Faults()
    if not isinstance(fields, dict):
        log.warning("faults are not a JSON object: none are obeyed")
        return Faults()
    dropped = fields.get("drop_shells")
    return Faults(
        credential_refused=fields.get("credential_refused") is True,
        drain_until=_instant(fields.get("drain_until")),
        drop_shells={
            str(name): asked
            for name, value in (dropped if isinstance(dropped, dict) else {}).items()
            if (asked := _instant(value)) is not None
        },
    )


def _instant(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
