"""What a gateway said last, from the log that the vellum command keeps of what it starts.

See upstream/vellum: Waiting.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from services.files.bounded import open_regular
from services.sources.vellum.limits import EARLY_S
from services.text.redact import redact_line

_TAIL = 32 * 1024
_TAG = "[gateway]"
_SLACK_S = 2.0
_LONGEST = 160


def last_line(path: Path, started_at: float) -> str:
    """The last line of the gateway that was started then, one harmless line; empty without one.

    All assistants of an environment write there, so only what was said right after counts.
    """
    for line in reversed(_tail(path)):
        stamp, tag, text = line.partition(_TAG)
        at = _instant(stamp.strip())
        if not tag or at is None or not text.strip():
            continue
        if started_at - _SLACK_S <= at <= started_at + EARLY_S + _SLACK_S:
            return redact_line(text.strip(), _LONGEST)
    return ""


def _tail(path: Path) -> list[str]:
    try:
        with open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return file.read(_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _instant(stamp: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(stamp[:40])
    except ValueError:
        return None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()
