"""`wakedeck notify test`: one notice, now, to see whether it arrives."""

from __future__ import annotations

import asyncio

import click

from services.config.notify import urls_of
from services.config.parser import nearest
from services.config.settings import Settings
from services.errors import ConfigError
from services.watch.digest import Notice
from services.watch.sender import Sender
from tui.cli.exit import Exit, print_stderr

TEST = Notice("Wakedeck: a test", "Nothing is wrong: somebody asked whether this arrives.")


def run(settings: Settings, name: str) -> int:
    """Send it; 1 where it could not be sent.

    Raises:
        ConfigError: there is no such table, or it names nobody.
        UnavailableError: apprise is not installed.
    """
    if name not in settings.notify:
        known = ", ".join(sorted(settings.notify)) or "none"
        hint = nearest(name, settings.notify)
        raise ConfigError(f"There is no [notify.{name}]; there are: {known}{hint}")
    problem = asyncio.run(Sender(name, urls_of(name, settings.notify[name])).send(TEST))
    if problem:
        print_stderr(f"wakedeck: not sent: {problem}")
        return Exit.FAILED
    click.echo(f"sent to {name}")
    return Exit.DONE
