"""`wakedeck local …`: the embedded world."""

from __future__ import annotations

import click

from tui.commands.ending import ending, settings_of


@click.group()
def local() -> None:
    """The embedded world: real processes on this machine, made to be broken."""


@local.command()
@click.pass_context
@ending
def up(context: click.Context) -> int:
    """Start it and keep it until `wakedeck local down`."""
    from tui import local_world

    return local_world.up(settings_of(context))


@local.command()
@click.pass_context
@ending
def down(context: click.Context) -> int:
    """End every process of it; its files stay."""
    from tui import local_world

    return local_world.down(settings_of(context))


@local.command()
@click.pass_context
@ending
def status(context: click.Context) -> int:
    """Which of its processes run. Exits 1 where not all do."""
    from tui import local_world

    return local_world.status(settings_of(context))


@local.command()
@click.argument("sandbox")
@click.argument("kind")
@click.pass_context
@ending
def fault(context: click.Context, sandbox: str, kind: str) -> int:
    """Break something on purpose; KIND `help` lists what can be broken."""
    from tui import local_world

    return local_world.fault(settings_of(context), sandbox, kind)
