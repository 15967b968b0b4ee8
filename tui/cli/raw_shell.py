"""`wakedeck shell`: a sandbox's shell in this very terminal, restored on every way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click

from services.config.settings import Settings
from services.errors import ChoiceError, RefusedError
from services.models import ShellState
from services.terminal.exec.requests import AGENT, ShellChoice
from services.terminal.transport.base import CloseReason, Transport
from services.text.sanitize import sanitize
from tui.cli.exec_command import exit_status
from tui.cli.exit import Exit
from tui.cli.pipes import read_chunks, write_all


@contextlib.contextmanager
def raw_mode(handle: int) -> Iterator[None]:
    """Hand every key on as it is; the terminal is as it was afterwards, whatever happened."""
    before = termios.tcgetattr(handle)
    try:
        tty.setraw(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _size() -> tuple[int, int]:
    # The terminal itself is asked: COLUMNS and LINES in the environment do not follow a resize.
    try:
        columns, lines = os.get_terminal_size(sys.stdin.fileno())
    except OSError:
        return 80, 24
    return max(columns, 2), max(lines, 1)


async def _output(transport: Transport) -> CloseReason:
    while True:
        got = await transport.read()
        if isinstance(got, CloseReason):
            return got
        await write_all(sys.stdout.fileno(), got)


async def _relay(transport: Transport) -> CloseReason:
    loop = asyncio.get_running_loop()
    resized = asyncio.Event()

    async def send_typed() -> None:
        async for data in read_chunks(sys.stdin.fileno()):
            await transport.write(data)

    async def send_sizes() -> None:
        while True:
            await resized.wait()
            resized.clear()
            await transport.resize(*_size())
            await asyncio.sleep(0.05)

    output = asyncio.create_task(_output(transport))
    helpers = [asyncio.create_task(send_typed()), asyncio.create_task(send_sizes())]
    loop.add_signal_handler(signal.SIGWINCH, resized.set)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, output.cancel)
    try:
        return await output
    finally:
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)


async def _run(transport: Transport) -> CloseReason:
    try:
        await transport.open(*_size())
        if transport.notice:
            click.echo(transport.notice, err=True)
        with raw_mode(sys.stdin.fileno()):
            return await _relay(transport)
    except asyncio.CancelledError:
        return CloseReason(ShellState.DETACHED, "ended by a signal")
    finally:
        await transport.close()


def choose_from(choices: Sequence[str]) -> str:
    """Ask which of several to use, on the terminal."""
    for number, name in enumerate(choices, 1):
        click.echo(f"{number:>3}  {sanitize(name, 253)}", err=True)
    number = click.prompt("Which one", type=click.IntRange(1, len(choices)), err=True)
    return choices[number - 1]


def confirm_attach(warning: str) -> None:
    """Ask for confirmation before attaching to a process that is not only ours.

    Raises:
        RefusedError: there is no such process, or the operator does not want it.
    """
    if not warning:
        raise RefusedError("There is no agent to attach to there, only new shells.")
    for line in warning.splitlines():
        click.echo(line, err=True)
    if not click.confirm("Attach?", err=True):
        raise RefusedError("Not attached.")


def run(settings: Settings, typed: str, choice: ShellChoice) -> int:
    """Give this terminal to a sandbox's shell; its exit code, or 255 where it was lost.

    Raises:
        RefusedError: stdin is no terminal, or the operator does not want to attach.
        NotFoundError, AmbiguousError: the name.
        ShellError: the shell could not be opened.
    """
    if not sys.stdin.isatty():
        raise RefusedError(
            "`wakedeck shell` needs a terminal on stdin.", advice="For one command: wakedeck exec."
        )
    from tui.cli.query_report import probed_sources

    async def main() -> CloseReason:
        async with probed_sources(settings) as probed:
            sandbox = await probed.sandbox(typed, acting=True)
            source = probed.sources[sandbox.id.source]
            actor = source.actor
            try:
                transport = actor.shell(sandbox.id, choice)
                if choice.shell == AGENT:
                    confirm_attach(source.attachment)
                return await _run(transport)
            except ChoiceError as error:
                picked = replace(choice, pod=choose_from(error.choices))
            return await _run(actor.shell(sandbox.id, picked))

    ending = asyncio.run(main())
    if ending.state is ShellState.ENDED:
        if ending.code is not None:
            return exit_status(ending.code)
        click.echo(f"wakedeck: {ending.reason or 'the shell ended; exit code unknown'}", err=True)
        return Exit.LOST
    click.echo(f"wakedeck: shell {ending.state.value}: {ending.reason}", err=True)
    return Exit.LOST
