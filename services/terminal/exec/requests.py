"""Requests for a shell or a command, and the events of a running command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from dataclasses import field
from enum import Enum
from typing import TypeAlias

from services.lazy_dataclass import dataclass

MAX_OUTPUT_BYTES = 16 << 20

AGENT = "agent"
"""The `shell` that is no new one: the process the sandbox was made for."""


@dataclass(frozen=True, slots=True)
class ShellChoice:
    """How the operator wants a shell or a command to run; the defaults leave it to the source."""

    pod: str | None = None
    first_pod: bool = False
    shell: str | None = None
    """`bash`, `sh`, `zsh`, or `AGENT` where the source has an attachment."""
    container: str | None = None
    once: bool = False
    """Never opened again by itself, nor found again: a command runs in it, which runs once."""


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """One command to run."""

    argv: tuple[str, ...]
    choice: ShellChoice = ShellChoice()
    timeout_s: float | None = None
    """From now to its end; then it is stopped. None: as long as it takes."""
    stdin: AsyncIterable[bytes] | None = None
    """Its input, ended where this ends; None for none at all."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to have it end early, as by Ctrl-C; what it still says is told, and its code."""


class ExecStream(Enum):
    """Where a command wrote."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class ExecOutput:
    """Bytes as they came; a wire that has one stream for both says stdout."""

    data: bytes
    stream: ExecStream = ExecStream.STDOUT


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command ended; the last of its events."""

    code: int | None
    """None: no status arrived, or it was stopped at its deadline: the outcome is unknown."""
    reason: str = ""
    """Why the outcome is unknown."""


ExecEvent: TypeAlias = ExecOutput | ExecResult


@dataclass(frozen=True, slots=True)
class CollectedOutput:
    """Output and exit code of a finished command."""

    stdout: bytes
    stderr: bytes
    code: int | None
    reason: str = ""


async def collect_output(
    events: AsyncIterator[ExecEvent], most: int = MAX_OUTPUT_BYTES
) -> CollectedOutput:
    """Run it to its end, keeping the first `most` bytes of each stream.

    Raises:
        WakedeckError: as the command's own source.
    """
    kept = {stream: bytearray() for stream in ExecStream}
    result = ExecResult(None, "it ended without a word")
    async with aclosing(events) as running:  # type: ignore[type-var]
        async for event in running:
            if isinstance(event, ExecResult):
                result = event
            else:
                held = kept[event.stream]
                held += event.data[: most - len(held)]
    stdout, stderr = (bytes(kept[stream]) for stream in ExecStream)
    return CollectedOutput(stdout, stderr, result.code, result.reason)
