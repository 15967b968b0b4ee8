"""A shell of a far side as a transport: bytes over the link, as far as the windows allow."""

from __future__ import annotations

from services.errors import ShellError, UnavailableError, WakedeckError
from services.models import Retry, ShellState
from services.sources.remote.calls import FarStream
from services.sources.remote.link import Link
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason, require_open
from services.text.redact import redact_line
from services.wire.failures import error_of
from services.wire.incoming import word_of
from services.wire.messages import Failed, ShellData, ShellEnded, ShellOpen, ShellResize

_OVER = (ShellState.ENDED, ShellState.LOST, ShellState.FAILED, ShellState.DETACHED)


class RemoteShell:
    """One shell there; its end is told by the far side, or is that of the link."""

    def __init__(self, link: Link, source: str, sandbox: str, choice: ShellChoice) -> None:
        self.notice = f"on {link.label}"
        self._link = link
        self._source = source
        self._sandbox = sandbox
        self._choice = choice
        self._stream: FarStream | None = None

    async def open(self, columns: int, lines: int) -> None:
        """Have it opened there.

        Raises:
            ShellError: as the far side says, or there is no link.
        """
        self._link.start()
        opening = ShellOpen(
            0, self._source, self._sandbox, columns, lines, choice_value(self._choice)
        )
        try:
            self._stream = self._link.open_shell(opening)
            message = await self._stream.next()
        except ShellError:
            raise
        except UnavailableError as error:
            raise ShellError(error.sentence, retry=Retry.AUTO, advice=error.advice) from error
        if isinstance(message, Failed):
            said = error_of(message, self._link.label)
            if isinstance(said, ShellError):
                raise said
            raise ShellError(said.sentence, retry=Retry.NO, advice=said.advice) from said
        if isinstance(message, ShellOpen) and message.notice:
            self.notice = f"{self.notice} · {redact_line(message.notice, 200)}"

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended."""
        stream = require_open(self._stream)
        try:
            message = await stream.next()
        except WakedeckError as error:
            return CloseReason(ShellState.LOST, error.sentence)
        if isinstance(message, ShellData):
            return message.data
        if isinstance(message, ShellEnded):
            return _close_reason(message)
        return CloseReason(ShellState.LOST, "the far side ended it without a word")

    async def write(self, data: bytes) -> None:
        """Send input, as far as the far side takes it."""
        await require_open(self._stream).write(data)

    async def acknowledge(self) -> bool:
        """Wait until the shell there has taken what was written."""
        return await require_open(self._stream).credit.settled()

    async def ping(self) -> bool:
        """Whether the link is there: it is pinged as a whole."""
        return self._link.connected

    async def resize(self, columns: int, lines: int) -> None:
        """Tell the size."""
        if self._stream is not None and not self._stream.over:
            self._link.send(ShellResize(self._stream.id, columns, lines))

    async def close(self) -> None:
        """Have it left there; the far side ends what it started."""
        if self._stream is not None:
            self._stream.ask_to_end()


def _close_reason(said: ShellEnded) -> CloseReason:
    state = word_of(ShellState, said.state, ShellState.LOST)
    if state not in _OVER:
        state = ShellState.LOST
    return CloseReason(
        state,
        redact_line(said.reason) or state.value,
        code=said.code if state is ShellState.ENDED else None,
        retry=word_of(Retry, said.retry, Retry.ASK),
        tries=said.tries,
        resumes=said.resumes and state is ShellState.LOST,
    )


def choice_value(choice: ShellChoice) -> dict[str, object]:
    """How a shell or a command is wished to run, as it travels."""
    said = {
        "pod": choice.pod,
        "first_pod": choice.first_pod,
        "shell": choice.shell,
        "container": choice.container,
    }
    return {name: value for name, value in said.items() if value}
