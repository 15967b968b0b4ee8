"""One command over the channels of Kubernetes: its streams apart, its code from the status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.errors import ShellError
from services.terminal.k8s_channels import ChannelFraming, OutcomeKind
from services.terminal.requests import ExecResult
from services.terminal.transport import Ending
from services.terminal.websocket import WebSocketTransport


async def run(
    connect: Callable[[ChannelFraming], WebSocketTransport],
    timeout_s: float,
    stdin: bytes | None = None,
) -> ExecResult:
    """Run to the end over a fresh transport, which is closed in every case.

    `stdin` is sent whole and ended, None where none was asked for in the URL.

    Raises:
        ShellError: not connected, not started, or `stdin` on a server that cannot end it (v4).
    """
    stdout, stderr = bytearray(), bytearray()
    framing = ChannelFraming(terminal=False, on_stderr=stderr.extend)
    transport = connect(framing)
    reason = ""
    try:
        async with asyncio.timeout(timeout_s):
            await transport.open(80, 24)
            end = () if stdin is None else (framing.encode_end_of_input(),)
            feeding = asyncio.ensure_future(_feed(transport, stdin or b"", end))
            try:
                while not isinstance(got := await transport.read(), Ending):
                    stdout += got
                reason = got.reason
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
    except TimeoutError:
        reason = f"no status within {timeout_s:g} s; the command may still run in the pod"
    finally:
        await transport.close()
    outcome = framing.outcome
    if outcome is not None and outcome.kind is OutcomeKind.EXITED:
        return ExecResult(bytes(stdout), bytes(stderr), outcome.code)
    if outcome is not None and outcome.kind is not OutcomeKind.UNKNOWN:
        raise ShellError(outcome.ending.reason, retry=outcome.ending.retry)
    return ExecResult(bytes(stdout), bytes(stderr), None, reason)


async def _feed(transport: WebSocketTransport, stdin: bytes, end: tuple[bytes, ...]) -> None:
    await transport.write(stdin)
    await transport.send(end)
