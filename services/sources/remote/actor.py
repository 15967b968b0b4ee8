"""Acts through a far side: it has the locks, the identity checks and the files, and it decides."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from services.errors import NotFoundError, ShellError, UnavailableError, WakedeckError
from services.models import Capability, Retry, SandboxId, ShellState, Step, StepState
from services.sources.protocol.verdict import Verdict
from services.sources.remote.calls import FarStream
from services.sources.remote.link import Link
from services.sources.remote.mirror import FarSource
from services.terminal.exec.requests import (
    ExecEvent,
    ExecOutput,
    ExecRequest,
    ExecResult,
    ExecStream,
    ShellChoice,
)
from services.terminal.transport.base import CloseReason, Transport, exited, require_open
from services.text.redact import redact_line
from services.wire.failures import error_of
from services.wire.frames import WireError
from services.wire.incoming import word_of
from services.wire.messages import Done, Failed, Item, ShellData, ShellEnded, ShellOpen, ShellResize

SIGN_IN_S = 40.0
MOST_STEPS = 64
"""Steps of one verb, each with a name of its own."""
_UNKNOWN = "the far side ended without a word"
_OVER = (ShellState.ENDED, ShellState.LOST, ShellState.FAILED, ShellState.DETACHED)


class RemoteActor:
    """The verbs of a far side."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def wake_key(self, sandbox: SandboxId) -> str:
        """The gateway there, as far as it is known here; the far side has the real lock."""
        far, native = target(self._link, sandbox)
        row = far.sandboxes.get(native)
        return str(sandbox.native_id if row is None or row.gateway is None else row.gateway)

    async def wake(self, sandbox: SandboxId) -> AsyncGenerator[Step]:
        async with aclosing(steps(self._link, sandbox, "wake", {})) as told:
            async for step in told:
                if isinstance(step, Step):
                    yield step

    async def connect(self, sandbox: SandboxId) -> AsyncGenerator[Step | Verdict]:
        """The link of a sandbox there; none where its source says that it has no such verb."""
        far, _ = target(self._link, sandbox)
        if Capability.RECONNECT.value not in far.info.capabilities:
            why = redact_line(far.info.unavailable.get(Capability.RECONNECT.value, ""), 200)
            yield Step("connect", StepState.SKIPPED, detail=why or "there is no link to mend")
            return
        async with aclosing(steps(self._link, sandbox, "connect", {})) as told:
            async for step in told:
                yield step

    def asking_shell(self) -> SandboxId | None:
        """The host itself, where ssh could ask for what is missing."""
        asks = self._link.status.asks and bool(self._link.command.asking)
        return SandboxId(self._link.key, self._link.key) if asks else None

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        if sandbox == self.asking_shell():
            return self._ssh()
        far, native = target(self._link, sandbox)
        return RemoteShell(self._link, far.info.key, native, choice)

    def _ssh(self) -> Transport:
        """ssh run once where it may ask; the link is tried again when it has ended."""
        from services.terminal.transport.pty_transport import PtyTransport

        def interpret(code: int) -> CloseReason:
            self._link.retry_now()
            return exited(code)

        argv = self._link.command.asking
        notice = f"on your own machine: {' '.join(argv)}"
        return PtyTransport(argv, env=os.environ, notice=notice, interpret=interpret)

    async def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncGenerator[ExecEvent]:
        """One command there; what is lost on the way leaves its outcome unknown."""
        far, native = target(self._link, sandbox)
        args = {
            "source": far.info.key,
            "sandbox": native,
            "argv": list(request.argv),
            "choice": choice_value(request.choice),
            "timeout_s": request.timeout_s,
            "stdin": request.stdin is not None,
        }
        stream = self._link.call("exec", args)
        helpers = [
            asyncio.create_task(_pass_input(stream, request)),
            asyncio.create_task(_pass_stop(stream, request)),
        ]
        result = ExecResult(None, _UNKNOWN)
        try:
            while not isinstance(message := await _next(stream), Done):
                if isinstance(message, ExecResult):
                    result = message
                    break
                if isinstance(message, Failed):
                    raise error_of(message, self._link.label)
                if isinstance(message, ShellData):
                    stderr = message.stream == ExecStream.STDERR.value
                    yield ExecOutput(
                        message.data, ExecStream.STDERR if stderr else ExecStream.STDOUT
                    )
                elif isinstance(message, Item):
                    result = _result(message.value)
            yield result
        finally:
            for task in helpers:
                task.cancel()
            stream.cancel()

    async def sign_in(self) -> str:
        """Make the link now, if it is not there.

        Raises:
            UnavailableError: it cannot be made, with the reason.
        """
        link = self._link
        link.start()
        if not link.connected:
            link.retry_now()
            await link.settled(SIGN_IN_S)
        if not link.connected:
            raise UnavailableError(link.status.sentence, advice=link.status.advice)
        return f"connected to {link.label}: {link.status.product}"

    async def close(self) -> None:
        """The link is closed by the observer."""


def target(link: Link, sandbox: SandboxId) -> tuple[FarSource, str]:
    """The far source of a sandbox, and its id there.

    Raises:
        NotFoundError: there is none.
    """
    found = link.mirror.split(sandbox)
    if found is None:
        raise NotFoundError(f"{link.label} has no {redact_line(sandbox.native_id, 80)!r}.")
    return found


async def steps(
    link: Link, sandbox: SandboxId, method: str, args: Mapping[str, Any]
) -> AsyncGenerator[Step | Verdict]:
    """The steps of a verb there, as they come.

    Raises:
        WakedeckError: as the far side says, or the link is gone.
    """
    far, native = target(link, sandbox)
    call = link.call(method, {"source": far.info.key, "sandbox": native, **args})
    names: set[str] = set()
    async with aclosing(call.items()) as items:
        async for item in items:
            try:
                step = far.incoming.step(item)
            except WireError as error:
                raise UnavailableError(f"{link.label}: {error}.") from error
            if isinstance(step, Step):
                names.add(step.name)
            if len(names) > MOST_STEPS:
                raise UnavailableError(f"{link.label} tells of more than {MOST_STEPS} steps.")
            yield step


async def _next(stream: FarStream) -> Any:
    """The next message of a command; a link that is gone is an unknown outcome."""
    try:
        return await stream.next()
    except WakedeckError as error:
        return ExecResult(None, error.sentence)


def _result(value: object) -> ExecResult:
    if not isinstance(value, dict):
        return ExecResult(None, _UNKNOWN)
    code = value.get("code")
    known = type(code) is int and -(1 << 31) <= code < 1 << 31
    reason = redact_line(str(value.get("reason") or ""), 300)
    return ExecResult(code if known else None, reason or ("" if known else _UNKNOWN))


async def _pass_input(stream: FarStream, request: ExecRequest) -> None:
    if request.stdin is None:
        return
    async for data in request.stdin:
        await stream.write(data)
    stream.end_input()


async def _pass_stop(stream: FarStream, request: ExecRequest) -> None:
    await request.stop.wait()
    stream.ask_to_end()


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
