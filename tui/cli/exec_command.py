"""`wakedeck exec`: one command in a sandbox, on this process's own stdin, stdout and stderr."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager

from services.config.settings import Settings
from services.terminal.exec.requests import (
    ExecEvent,
    ExecRequest,
    ExecResult,
    ExecStream,
    ShellChoice,
)
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit, print_stderr
from tui.cli.pipes import read_chunks, write_all

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    settings: Settings,
    typed: str,
    argv: tuple[str, ...],
    timeout_s: float | None,
    choice: ShellChoice,
    *,
    stdin: bool,
) -> int:
    """One command; its own code, or 255 where its outcome is unknown.

    Raises:
        NotFoundError, AmbiguousError: the name.
        WakedeckError: it could not be run.
    """
    from tui.cli.query_report import probed_sources

    async def main() -> ExecResult:
        async with probed_sources(settings) as probed:
            sandbox = await probed.sandbox(typed, acting=True)
            actor = probed.sources[sandbox.id.source].actor
            given = read_chunks(sys.stdin.fileno()) if stdin else None
            request = ExecRequest(argv, choice, timeout_s, given)
            with _interruptible(request.stop):
                return await _write_output(actor.exec(sandbox.id, request))

    try:
        result = run_command(main())
    except asyncio.CancelledError:
        print_stderr("wakedeck: left; the command may still run there")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    if result.code is None:
        print_stderr(f"wakedeck: outcome unknown: {result.reason}")
    return exit_status(result.code)


def exit_status(code: int | None) -> int:
    """What this process may end with: a code beyond a byte would wrap to another one, even 0."""
    return code if code is not None and 0 <= code <= Exit.LOST else Exit.LOST


@contextmanager
def _interruptible(stop: asyncio.Event) -> Iterator[None]:
    """The first signal has the command stopped, another one leaves at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def asked() -> None:
        if stop.is_set():
            task.cancel()
            return
        stop.set()
        print_stderr("wakedeck: stopping it; once more to leave at once")

    for number in _SIGNALS:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _write_output(events: AsyncIterator[ExecEvent]) -> ExecResult:
    outlets = {ExecStream.STDOUT: sys.stdout.fileno(), ExecStream.STDERR: sys.stderr.fileno()}
    result = ExecResult(None, "it ended without a word")
    async with aclosing(events) as running:  # type: ignore[type-var]
        async for event in running:
            if isinstance(event, ExecResult):
                result = event
            else:
                await write_all(outlets[event.stream], event.data)
    return result
