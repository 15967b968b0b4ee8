"""`wakedeck shell`: a sandbox's shell in this very terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from services.config.settings import Settings
from services.errors import ChoiceError, RefusedError
from services.models import ShellState
from services.terminal.exec.requests import AGENT, ShellChoice
from services.terminal.transport.base import CloseReason
from services.text.sanitize import sanitize
from tui.cli.exec_command import exit_status
from tui.cli.exit import Exit
from tui.cli.relay import relay


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
                return await relay(transport)
            except ChoiceError as error:
                picked = replace(choice, pod=choose_from(error.choices))
            return await relay(actor.shell(sandbox.id, picked))

    ending = asyncio.run(main())
    if ending.state is ShellState.ENDED:
        if ending.code is not None:
            return exit_status(ending.code)
        click.echo(f"wakedeck: {ending.reason or 'the shell ended; exit code unknown'}", err=True)
        return Exit.LOST
    click.echo(f"wakedeck: shell {ending.state.value}: {ending.reason}", err=True)
    return Exit.LOST
