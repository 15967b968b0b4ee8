"""`wakedeck local …`: brings the embedded world up and down and breaks it on purpose."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from services.config import paths
from services.config.settings import Settings
from services.config.sources import LocalTable
from services.errors import ConfigError
from services.process.identity import Liveness
from services.sources.local import faults, process_records, starts, world
from services.sources.local.layout import World
from tui.cli import tables
from tui.cli.event_loop import run_command


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


def up(settings: Settings, tcp: bool, sandboxes: int | None = None) -> int:
    """Start it and keep it; with `tcp` its gateway listens on a port too.

    `sandboxes` is how many rows it shows, simulated ones included.
    """
    place = world_of(settings)
    started = run_command(world.keep_up(place, tcp=tcp, sandboxes=sandboxes))
    click.echo("started" if started else "already up", err=True)
    if tcp:
        click.echo(
            f"gateway on 127.0.0.1:{world.tcp_port(place)}, token in {place.token}", err=True
        )
    click.echo(str(place.root))
    return 0


def down(settings: Settings) -> int:
    """End its processes; its files stay."""
    open_panels = run_command(world.take_down(world_of(settings)))
    if open_panels:
        click.echo(f"ended; {open_panels} open panel(s) will show it as down", err=True)
    else:
        click.echo("ended", err=True)
    return 0


def status(settings: Settings, as_json: bool) -> int:
    """One line for each process; 1 where not all run."""
    place = world_of(settings)
    shapes = []
    for role in world.roles(place):
        record = place.read_record(role)
        alive = Liveness.DEAD if record is None else process_records.alive(record)
        starting = starts.under_way(place, role, time.time())
        known = starts.read(place, role) if starting else record
        shape: dict[str, object] = {
            "process": role,
            "state": "starting" if starting else alive.value,
            "pid": None if known is None else known.pid,
        }
        if role == "gateway":
            shape |= {"socket": record.socket if record else "", "port": world.tcp_port(place)}
        shapes.append(shape)
    if as_json:
        whole = {"schema": tables.SCHEMA, "root": str(place.root), "processes": shapes}
        click.echo(json.dumps(whole, indent=2))
    else:
        rows = [(str(s["process"]), str(s["state"]), str(s["pid"] or "-")) for s in shapes]
        for line in tables.table(rows):
            click.echo(line)
    running = all(one["state"] == Liveness.RUNNING.value for one in shapes)
    return 0 if running else 1


def fault(settings: Settings, sandbox: str, kind: str) -> int:
    """Break something; an unknown kind is a usage error that lists the known ones."""
    known = {one.value: one for one in faults.InjectedFault}
    if kind not in known:
        raise ConfigError(f"No fault {kind!r}. There are: {', '.join(known)}.")
    click.echo(faults.inject(world_of(settings), sandbox, known[kind]), err=True)
    return 0


def kinds(as_json: bool) -> int:
    """Everything that can be broken."""
    names = [one.value for one in faults.InjectedFault]
    if as_json:
        click.echo(json.dumps({"schema": tables.SCHEMA, "faults": names}, indent=2))
    else:
        for name in names:
            click.echo(name)
    return 0
