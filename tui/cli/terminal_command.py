"""`wakedeck exec -t`: one command in a sandbox that has this very terminal to itself."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import click

from services.config.settings import Settings
from services.errors import ChoiceError, RefusedError, UnavailableError
from services.models import Capability, ShellState
from services.terminal.exec.requests import ShellChoice
from services.terminal.exec.sentinel_terminal import SentinelTerminal
from services.terminal.transport.base import CloseReason
from tui.cli.exec_command import exit_status
from tui.cli.exit import Exit
from tui.cli.raw_shell import choose_from
from tui.cli.relay import relay


def run(settings: Settings, typed: str, argv: tuple[str, ...], choice: ShellChoice) -> int:
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
