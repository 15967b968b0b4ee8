"""Commands about this machine and this installation: `doctor`, `config`, `replay`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from services.config.settings import Flags
from tui.cli.exit import Exit, exit_with_code, json_option, print_stderr, settings_of


@click.command()
@json_option
@click.option("--toml", "block_alone", is_flag=True, help="Only the tables to configure.")
@click.pass_context
@exit_with_code
def doctor(context: click.Context, as_json: bool, block_alone: bool) -> int:
    """What is on this machine, what each system needs, and a configuration to paste.

    Exits 1 where the configuration cannot be used, or a configured host is not connected.
    """
    from tui.cli import doctor as report

    return report.run(context.find_root().obj, as_json, block_alone)


@click.group()
def config() -> None:
    """Where settings come from."""


@config.command()
@json_option
@click.pass_context
@exit_with_code
def show(context: click.Context, as_json: bool) -> int:
    """Every value and where it came from."""
    from tui.cli import config_report

    return config_report.show(settings_of(context), as_json)


@config.command()
@exit_with_code
def default() -> int:
    """Every table and key with its default and what it is for, as a file."""
    from tui.cli import config_report

    return config_report.default()


@config.command()
@click.pass_context
@exit_with_code
def init(context: click.Context) -> int:
    """Write that file where it is read. Exits 3 where there is one already."""
    from tui.cli import config_report

    flags: Flags = context.find_root().obj
    return config_report.write(flags.config)


@config.command()
@click.pass_context
@exit_with_code
def path(context: click.Context) -> int:
    """The file that is read."""
    from services.config import paths

    flags: Flags = context.find_root().obj
    click.echo(str(flags.config or paths.config_file()))
    return Exit.DONE


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.125, 64))
@click.option("--max", "at_once", is_flag=True, help="As fast as it can be drawn.")
@click.pass_context
@exit_with_code
def replay(context: click.Context, file: Path, speed: float, at_once: bool) -> int:
    """Play a transcript in this terminal. Exits 3 where FILE is none."""
    settings = settings_of(context)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print_stderr("wakedeck: a replay needs a terminal.")
        return Exit.USAGE
    from tui.panel import replay as player

    return player.run(settings, file, speed, at_once)
