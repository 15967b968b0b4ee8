"""`wakedeck local …`: brings the embedded world up and down and breaks it on purpose."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from services import paths
from services.config import Settings
from services.errors import ConfigError
from services.source_tables import LocalTable
from services.sources.local import faults, spawn, world
from services.sources.local.layout import World


def world_of(settings: Settings) -> World:
    """The embedded world of these settings.

    Raises:
        ConfigError: no source of kind `local` is configured.
    """
    for source in settings.sources:
        if isinstance(source.table, LocalTable):
            root = source.table.root
            return World(Path(root).expanduser() if root else paths.local_world())
    raise ConfigError("This profile has no source of kind 'local'.", advice="Add --local.")


def up(settings: Settings) -> int:
    """Start it and keep it."""
    place = world_of(settings)
    started = asyncio.run(world.keep_up(place))
    click.echo("started" if started else "already up", err=True)
    click.echo(str(place.root))
    return 0


def down(settings: Settings) -> int:
    """End its processes; its files stay."""
    looking = asyncio.run(world.take_down(world_of(settings)))
    if looking:
        click.echo(f"ended; {looking} open panel(s) will show it as down", err=True)
    else:
        click.echo("ended", err=True)
    return 0


def status(settings: Settings) -> int:
    """One line for each process; 1 where not all run."""
    place = world_of(settings)
    whole = True
    for role in world.roles(place):
        record = place.read_record(role)
        alive = spawn.Liveness.DEAD if record is None else spawn.alive(record)
        whole = whole and alive is spawn.Liveness.RUNNING
        pid = "-" if record is None else str(record.pid)
        click.echo(f"{role:<24}{alive.value:<10}{pid}")
    return 0 if whole else 1


def fault(settings: Settings, sandbox: str, kind: str) -> int:
    """Break something; an unknown kind is a usage error that lists the known ones."""
    known = {one.value: one for one in faults.Fault}
    if kind not in known:
        raise ConfigError(f"No fault {kind!r}. There are: {', '.join(known)}.")
    click.echo(faults.inject(world_of(settings), sandbox, known[kind]), err=True)
    return 0
