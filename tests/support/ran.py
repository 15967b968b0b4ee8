"""A command, or the steps of a link, run to the end, for tests that want the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from services.models import SandboxId, Step
from services.sources.protocol.actor import Actor
from services.terminal.exec.requests import (
    CollectedOutput,
    ExecRequest,
    ShellChoice,
    collect_output,
)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """Input in these pieces."""
    for part in parts:
        yield part


async def ran(
    actor: Actor,
    sandbox: SandboxId,
    argv: Sequence[str],
    timeout_s: float,
    choice: ShellChoice | None = None,
    stdin: bytes | None = None,
) -> CollectedOutput:
    """What one command left behind."""
    given = None if stdin is None else pieces(stdin)
    request = ExecRequest(tuple(argv), choice or ShellChoice(), timeout_s, given)
    return await collect_output(actor.exec(sandbox, request))


async def link_steps(actor: Actor, sandbox: SandboxId) -> list[Step]:
    """The steps of a reconnect, as they changed."""
    return [one async for one in actor.connect(sandbox) if isinstance(one, Step)]
