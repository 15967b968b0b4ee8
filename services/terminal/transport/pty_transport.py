"""A shell of a local child process on a pseudo terminal of ours, such as `docker exec`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.errors import ProcessError, ShellError
from services.models import Retry, ShellState
from services.terminal.transport.base import CloseReason, exited, require_open
from services.terminal.transport.pty import PtyProcess

_EXIT_LIMIT_S = 2.0


class PtyTransport:
    """One child is one shell; its exit code is the shell's unless `interpret` knows better."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        notice: str = "",
        interpret: Callable[[int], CloseReason] = exited,
        stdout: int | None = None,
    ) -> None:
        """`stdout`, needed until it is open, takes the child's stdout instead of the terminal."""
        self.notice = notice
        self._argv = tuple(argv)
        self._env = dict(env)
        self._cwd = cwd
        self._interpret = interpret
        self._stdout = stdout
        self._process: PtyProcess | None = None

    async def open(self, columns: int, lines: int) -> None:
        """Start the child on a terminal of that size.

        Raises:
            ShellError: it could not be run.
        """
        try:
            self._process = await PtyProcess.start(
                self._argv,
                env=self._env,
                cwd=self._cwd,
                columns=columns,
                lines=lines,
                stdout=self._stdout,
            )
        except ProcessError as error:
            raise ShellError(error.sentence, retry=Retry.NO) from error

    async def read(self) -> bytes | CloseReason:
        """The next output, or how the child ended."""
        process = self._opened()
        data = await process.read()
        if data:
            return data
        if not await process.wait(_EXIT_LIMIT_S):
            await process.terminate()
            return CloseReason(
                ShellState.ENDED, "the program closed its terminal; exit code unknown"
            )
        return self._interpret(await process.terminate())

    async def write(self, data: bytes) -> None:
        """Queue input; nothing once the child is gone."""
        self._opened().write(data)

    async def acknowledge(self) -> bool:
        """Wait until the terminal has taken what was written."""
        await self._opened().drain()
        return True

    async def ping(self) -> bool:
        """Whether the child still runs."""
        return self._opened().alive

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        if self._process is not None:
            self._process.resize(columns, lines)

    async def close(self) -> None:
        """Hang up, wait half a second, then end everything still on this terminal."""
        if self._process is not None:
            await self._process.terminate()

    def _opened(self) -> PtyProcess:
        return require_open(self._process)
