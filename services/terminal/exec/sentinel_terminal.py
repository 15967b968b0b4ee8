"""One command that has a terminal to itself, its exit code by sentinel lines; a transport.

It is typed into a new shell, so it works wherever there is one; keys, sizes and output pass as they
are. See upstream/pods: Commands by markers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.models import ShellState
from services.terminal.exec.sentinel import SentinelParser, new_marker, sentinel_script
from services.terminal.transport.base import CloseReason, Transport, exited


class SentinelTerminal:
    """One command; `shell` is not open yet and of its own, and never opened again by itself."""

    notice = ""

    def __init__(self, shell: Transport, argv: Sequence[str]) -> None:
        """Type that command into that shell.

        Raises:
            RefusedError: it is longer than 64 KiB.
        """
        begin, end = new_marker(), new_marker()
        self._shell = shell
        self._script = sentinel_script(argv, begin, end, terminal=True).encode("ascii")
        self._parser = SentinelParser(begin, end, raw=True)
        self._lost: CloseReason | None = None

    async def open(self, columns: int, lines: int) -> None:
        """Open the shell and type the command.

        Raises:
            ShellError, ChoiceError: as the shell's own `open`.
        """
        await self._shell.open(columns, lines)
        await self._shell.write(self._script)

    async def read(self) -> bytes | CloseReason:
        """The command's next output, or its code; without one the outcome is unknown."""
        while True:
            if self._parser.code is not None:
                return exited(self._parser.code)
            if self._lost is not None:
                return self._lost
            got = await self._shell.read()
            if isinstance(got, CloseReason):
                self._lost = _without_code(got)
                output = self._parser.flush()
            else:
                output = self._parser.feed(got)
            if output:
                return output

    async def write(self, data: bytes) -> None:
        """Keys for the command."""
        await self._shell.write(data)

    async def acknowledge(self) -> bool:
        """As the shell's own."""
        return await self._shell.acknowledge()

    async def ping(self) -> bool:
        """As the shell's own."""
        return await self._shell.ping()

    async def resize(self, columns: int, lines: int) -> None:
        """As the shell's own."""
        await self._shell.resize(columns, lines)

    async def close(self) -> None:
        """Leave the shell, which ends what runs in it as far as the platform lets us."""
        await self._shell.close()


def _without_code(ending: CloseReason) -> CloseReason:
    """The end of the shell is none of the command's: its code would be a false one."""
    state = ShellState.LOST if ending.state is ShellState.ENDED else ending.state
    said = f"the terminal ended before the command's status: {ending.reason}"
    return replace(ending, state=state, code=None, reason=said)
