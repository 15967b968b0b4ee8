"""A shell on a terminal server; a transport. See upstream/terminal: Independent servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from services.errors import ShellError, WakedeckError
from services.models import Retry, ShellState
from services.net.http import ApiError
from services.sources.terminal.jupyter import JupyterTerminals
from services.terminal.transport.base import CloseReason, Transport, require_open
from services.terminal.transport.close_reasons import HandshakeRefusedError
from services.terminal.transport.end_keys import press_end_keys
from services.terminal.transport.forwarding import ForwardingShell
from services.terminal.transport.websocket import WebSocketTransport

_ADVICE = "see `token_file` and `url` in its table"


@dataclass(slots=True)
class JupyterTerminal:
    """The terminal of one shell, the same over its connections."""

    terminals: JupyterTerminals
    fresh: bool = False
    """Never one that another shell lost."""
    name: str = ""
    found: bool = field(default=False)
    """Whether the last connection went on in what was there before."""

    async def take(self) -> str:
        """Its name, from now on also known here."""
        before = self.name
        self.name, self.found = await self.terminals.take(before, fresh=self.fresh)
        return self.name


class ServerShell(ForwardingShell):
    """One connection to one shell."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[WebSocketTransport]],
        notice: str,
        *,
        ended_by_keys: bool = False,
        terminal: JupyterTerminal | None = None,
    ) -> None:
        """`connect` finds the address and the credential; what it gives is not open yet.

        With `ended_by_keys` a closed connection leaves the shell running.
        """
        super().__init__(notice)
        self._connect = connect
        self._by_keys = ended_by_keys
        self._terminal = terminal
        self._greeting = b""
        self._ended = False

    async def open(self, columns: int, lines: int) -> None:
        """Connect.

        Raises:
            ShellError: as upstream/terminal: Why a session ends.
        """
        again = self._terminal is not None and bool(self._terminal.name)
        try:
            inner = await self._connect()
            await inner.open(columns, lines)
        except HandshakeRefusedError as error:
            raise _refused(error.failure.status, error) from error
        except ApiError as error:
            said = ShellError(error.sentence, retry=Retry.ASK, advice=error.advice)
            raise _refused(error.status, said) from error
        except ShellError:
            raise
        except WakedeckError as error:
            raise ShellError(error.sentence, retry=Retry.AUTO, advice=error.advice) from error
        self._inner = inner
        if self._terminal is not None and again and not self._terminal.found:
            self._greeting = b"the terminal of before is gone: this is a new one\r\n"
        elif self._terminal is not None and self._terminal.found and not again:
            self._greeting = b"this is the terminal whose connection was lost\r\n"

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended."""
        if self._greeting:
            said, self._greeting = self._greeting, b""
            return said
        got = await require_open(self._inner).read()
        self._ended = isinstance(got, CloseReason)
        return got

    async def close(self) -> None:
        """End the shell by keys where nothing else ends it, then drop the connection."""
        if self._inner is None:
            return
        if self._by_keys and not self._ended:
            await press_end_keys(self._inner)
        self._ended = True
        await self._inner.close()


class OwnedShell:
    """A shell whose Jupyter terminal ends with it, and not with a connection."""

    def __init__(self, inner: Transport, terminal: JupyterTerminal) -> None:
        self._inner = inner
        self._terminal = terminal
        self._ending: CloseReason | None = None

    @property
    def notice(self) -> str:
        """The shell's own."""
        return self._inner.notice

    async def open(self, columns: int, lines: int) -> None:
        """As the shell's own."""
        await self._inner.open(columns, lines)

    async def read(self) -> bytes | CloseReason:
        """As the shell's own."""
        got = await self._inner.read()
        if isinstance(got, CloseReason):
            self._ending = got = replace(got, resumes=self._is_kept(got))
        return got

    async def write(self, data: bytes) -> None:
        """As the shell's own."""
        await self._inner.write(data)

    async def acknowledge(self) -> bool:
        """As the shell's own."""
        return await self._inner.acknowledge()

    async def ping(self) -> bool:
        """As the shell's own."""
        return await self._inner.ping()

    async def resize(self, columns: int, lines: int) -> None:
        """As the shell's own."""
        await self._inner.resize(columns, lines)

    async def close(self) -> None:
        """Close, and end the terminal unless its connection was lost: it is found again then."""
        await self._inner.close()
        name, self._terminal.name = self._terminal.name, ""
        if not name:
            return
        if self._ending is not None and self._ending.resumes:
            self._terminal.terminals.lose(name)
        else:
            await self._terminal.terminals.end(name)

    def _is_kept(self, ending: CloseReason) -> bool:
        """Whether its terminal is left for the next shell to find."""
        mine = bool(self._terminal.name) and not self._terminal.fresh
        return mine and ending.state is not ShellState.ENDED


def _refused(status: int | None, error: ShellError) -> ShellError:
    if status in (401, 403):
        return ShellError(
            f"the server does not accept the credential ({status})",
            retry=Retry.ASK,
            advice=_ADVICE,
        )
    return error
