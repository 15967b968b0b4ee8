"""Follows a log file: what is there, then what comes, across truncation; bounded lines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from services.models import LogStream
from services.text.redact import redact
from services.text.sanitize import sanitize

STREAMS = (
    LogStream("agent", "agent"),
    LogStream("gateway", "gateway"),
    LogStream("host", "host (traffic)"),
)
"""The agent's own log, and those of what all agents share."""
_START = 64 * 1024
_LONGEST = 8 * 1024
_POLL_S = 0.5


async def follow(path: Path) -> AsyncIterator[str]:
    """Harmless lines from the last 64 KiB on, for ever; a missing file is waited for."""
    at: int | None = None
    carry = b""
    while True:
        try:
            with path.open("rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                if at is None:
                    at = max(0, end - _START)
                if end < at:
                    at, carry = 0, b""
                stream.seek(at)
                data = stream.read(_START)
                at += len(data)
        except OSError:
            data = b""
        lines = (carry + data).split(b"\n")
        carry = lines.pop()[-_LONGEST:]
        for line in lines:
            yield redact(sanitize(line.decode("utf-8", "replace"), 1000))
        if not data:
            await asyncio.sleep(_POLL_S)
