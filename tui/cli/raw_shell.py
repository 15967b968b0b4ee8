"""`wakedeck shell`, `wakedeck exec -t`: what has this very terminal to itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from services.config.settings import Settings
from services.errors import ChoiceError, RefusedError, UnavailableError
from services.models import Capability, ShellState
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


def run_on_terminal(
    settings: Settings, typed: str, argv: tuple[str, ...], choice: ShellChoice
) -> int:
    """One command on this terminal; its own code, or 255 where its outcome is unknown.

    Raises:
        RefusedError: this process has no terminal to give.
        NotFoundError, AmbiguousError: the name.
        UnavailableError: no commands there.
        ShellError: it could not be started.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RefusedError(
            "`wakedeck exec -t` needs a terminal on stdin and stdout.",
            advice="Without -t the command gets pipes.",
        )
    from services.terminal.exec.sentinel_terminal import SentinelTerminal
    from tui.cli.query_report import probed_sources

    async def main() -> CloseReason:
        async with probed_sources(settings) as probed:
            sandbox = await probed.sandbox(typed, acting=True)
            source = probed.sources[sandbox.id.source]
            refusals = dict((*source.info.unavailable, *sandbox.unavailable))
            if Capability.EXEC in refusals:
                raise UnavailableError(f"No command there: {refusals[Capability.EXEC]}.")

            async def command(chosen: ShellChoice) -> CloseReason:
                shell = source.actor.shell(sandbox.id, replace(chosen, once=True))
                return await relay(SentinelTerminal(shell, argv))

            try:
                return await command(choice)
            except ChoiceError as error:
                picked = replace(choice, pod=choose_from(error.choices))
            return await command(picked)

    ending = asyncio.run(main())
    if ending.state is ShellState.ENDED and ending.code is not None:
        return exit_status(ending.code)
    click.echo(f"wakedeck: outcome unknown: {ending.reason}", err=True)
    return Exit.LOST
