"""`wakedeck local …`: the embedded world."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from tui.cli import completions
from tui.cli.exit import exit_with_code, json_option, settings_of


@click.group()
def local() -> None:
    """The embedded world: real processes on this machine, made to be broken."""


@local.command()
@click.option("--tcp", is_flag=True, help="Let its gateway listen on a loopback port too.")
@click.option(
    "--sandboxes",
    type=click.IntRange(4, 10_000),
    metavar="N",
    help="Show N rows: four real ones, the others simulated and marked as such.",
)
@click.pass_context
@exit_with_code
def up(context: click.Context, tcp: bool, sandboxes: int | None) -> int:
    """Start it and keep it until `wakedeck local down`."""
    from tui.cli import local_world

    return local_world.up(settings_of(context), tcp, sandboxes)


@local.command()
@click.pass_context
@exit_with_code
def down(context: click.Context) -> int:
    """End every process of it; its files stay."""
    from tui.cli import local_world

    return local_world.down(settings_of(context))


@local.command()
@json_option
@click.pass_context
@exit_with_code
def status(context: click.Context, as_json: bool) -> int:
    """Which of its processes run. Exits 1 where not all do."""
    from tui.cli import local_world

    return local_world.status(settings_of(context), as_json)


def _kinds(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from services.sources.local.faults import InjectedFault

    return [CompletionItem(one.value) for one in InjectedFault if one.value.startswith(typed)]


@local.command()
@click.argument("sandbox", shell_complete=completions.sandboxes)
@click.argument("kind", shell_complete=_kinds)
@click.pass_context
@exit_with_code
def fault(context: click.Context, sandbox: str, kind: str) -> int:
    """Break something on purpose; `wakedeck local faults` lists what can be broken."""
    from tui.cli import local_world

    return local_world.fault(settings_of(context), sandbox, kind)


@local.command()
@json_option
@exit_with_code
def faults(as_json: bool) -> int:
    """What can be broken."""
    from tui.cli import local_world

    return local_world.kinds(as_json)
