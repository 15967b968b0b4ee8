"""How the operator wants a shell or a command to run, and what a command left behind."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What one command left behind."""

    stdout: bytes
    stderr: bytes
    code: int | None
    """None: no status arrived, the outcome is unknown."""
    reason: str = ""
    """Why the outcome is unknown."""
