"""A shell in a session's container: which one that is, is asked when it is opened."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from services.errors import ShellError, WakedeckError
from services.models import Retry, ShellState
from services.sources.nanoclaw.commands import shell_argv
from services.terminal.exec.requests import ExecResult
from services.terminal.transport.base import CloseReason, exited
from services.terminal.transport.pty_transport import PtyTransport
from services.text.redact import redact_line

NOTICE = (
    "Inside the agent's container: /workspace/outbound.db is the agent's own queue, never write "
    "it; a shell does not keep the container alive, it is still reaped when idle for 30 min."
)
_NO_SHELL = (126, 127)
_RUNTIME_FAILED = 125


def interpret(code: int, shell: str) -> CloseReason:
    """What the exit code of `docker exec` says of the shell in it."""
    if code in _NO_SHELL:
        return CloseReason(
            ShellState.FAILED,
            f"there is no {shell} in this container; choose another shell",
            code=code,
            retry=Retry.NO,
        )
    if code == _RUNTIME_FAILED:
        return CloseReason(
            ShellState.FAILED, "docker could not open it: the container may have ended"
        )
    if code == 137:
        return CloseReason(ShellState.LOST, "the container was stopped (137)", code=code)
    return exited(code)


def exec_result(code: int, told: str, began: bool) -> ExecResult:
    """What the exit code of `docker exec` says of a command in it.

    Raises:
        ShellError: docker did not start it.
    """
    if began:
        return ExecResult(code)
    lines = told.strip().splitlines()
    why = redact_line(lines[-1], 160) if lines else f"docker ended with {code}"
    raise ShellError(f"It was not started: {why.rstrip('.')}.", retry=Retry.ASK)


class ContainerShell:
    """`docker exec` on a pseudo terminal of ours."""

    notice = NOTICE

    def __init__(self, find: Callable[[], Awaitable[str]], shell: str) -> None:
        """`find` gives the container's name, or raises with the operator's sentence."""
        self._find = find
        self._shell = shell
        self._inner: PtyTransport | None = None
        self._closed = False

    async def open(self, columns: int, lines: int) -> None:
        """Find the container and start the shell in it.

        Raises:
            ShellError: no container runs, or it could not be started.
        """
        try:
            argv = shell_argv(await self._find(), self._shell)
        except ShellError:
            raise
        except WakedeckError as error:
            raise ShellError(error.sentence, retry=Retry.ASK, advice=error.advice) from error
        if self._closed:
            raise ShellError("this shell was closed before it was open")
        inner = PtyTransport(
            argv, env=os.environ, notice=NOTICE, interpret=lambda code: interpret(code, self._shell)
        )
        self._inner = inner
        await inner.open(columns, lines)

    async def read(self) -> bytes | CloseReason:
        """The next output, or how the shell ended."""
        return await self._opened().read()

    async def write(self, data: bytes) -> None:
        """Queue input."""
        await self._opened().write(data)

    async def acknowledge(self) -> bool:
        """Wait until the terminal has taken what was written."""
        return await self._opened().acknowledge()

    async def ping(self) -> bool:
        """Whether `docker exec` still runs."""
        return await self._opened().ping()

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        if self._inner is not None:
            await self._inner.resize(columns, lines)

    async def close(self) -> None:
        """Hang up and end the child."""
        self._closed = True
        if self._inner is not None:
            await self._inner.close()

    def _opened(self) -> PtyTransport:
        if self._inner is None:
            raise ShellError("this shell is not open")
        return self._inner
