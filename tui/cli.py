"""The command line: the same services, with or without a screen.

stdout is data, stderr is prose. Usage errors exit with 2; each command documents its own codes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from services.config import Flags, Settings, load
from services.errors import (
    AmbiguousError,
    ConfigError,
    NotFoundError,
    RefusedError,
    WakedeckError,
)

FAILED, USAGE, REFUSED, UNKNOWN_SANDBOX = 1, 2, 3, 4


def exit_code(error: WakedeckError) -> int:
    """The exit code that tells a script what kind of error this was."""
    if isinstance(error, ConfigError | AmbiguousError):
        return USAGE
    if isinstance(error, RefusedError):
        return REFUSED
    return UNKNOWN_SANDBOX if isinstance(error, NotFoundError) else FAILED


def say(text: str) -> None:
    """One line of prose for the operator."""
    click.echo(text, err=True)


def told(error: WakedeckError) -> int:
    """Say what went wrong and what to do; gives the exit code."""
    say(f"wakedeck: {error.sentence}")
    if error.advice:
        say(f"  {error.advice}")
    return exit_code(error)


def ending(command: Callable[..., int]) -> Callable[..., None]:
    """Turn a command's number, or the services' error, into the process's exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except WakedeckError as error:
            code = told(error)
        except KeyboardInterrupt:
            code = 130
        except BrokenPipeError:
            # Whoever read our output has gone; keep the interpreter from saying so again.
            sys.stderr.close()
            code = 0
        sys.exit(code)

    return run


def settings_of(context: click.Context) -> Settings:
    """The settings the global options ask for.

    Raises:
        ConfigError: as `services.config.load`.
    """
    flags: Flags = context.find_root().obj
    return load(flags)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", metavar="P", help="Use this profile of the configuration.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="F",
    help="Read this file instead of the usual one.",
)
@click.option("--read-only", is_flag=True, help="Look, never act.")
@click.option("--local", is_flag=True, help="Serve the embedded world alone.")
@click.version_option(package_name="wakedeck", prog_name="wakedeck")
@click.pass_context
def main(
    context: click.Context, profile: str | None, config: Path | None, read_only: bool, local: bool
) -> None:
    """See every agent sandbox live, wake it with one key, work in a shell inside it.

    Without a command, opens the panel.
    """
    context.obj = Flags(config, profile, read_only or None, local)
    if context.invoked_subcommand is None:
        _panel(context)


@ending
def _panel(context: click.Context) -> int:
    settings = settings_of(context)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say("wakedeck: the panel needs a terminal; `wakedeck status` works without one.")
        return USAGE
    from tui.app import run_panel

    return run_panel(settings)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
@click.pass_context
@ending
def status(context: click.Context, as_json: bool) -> int:
    """One line per gateway and totals. Exits 1 when something needs attention."""
    from tui import headless

    return headless.status(settings_of(context), as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
@click.pass_context
@ending
def sandboxes(context: click.Context, as_json: bool) -> int:
    """Every sandbox with its state and queues."""
    from tui import headless

    return headless.sandboxes(settings_of(context), as_json)


@main.command()
@click.argument("sandbox")
@click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 2000))
@click.pass_context
@ending
def queues(context: click.Context, sandbox: str, as_json: bool, limit: int) -> int:
    """The newest messages of one sandbox. Exits 4 where there is none of that name."""
    from tui import headless

    return headless.queues(settings_of(context), sandbox, limit, as_json)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="JSON, one event per line.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 50_000))
@click.pass_context
@ending
def events(context: click.Context, as_json: bool, limit: int) -> int:
    """What changed and what was done, newest last, across restarts."""
    from tui import headless

    return headless.events(settings_of(context), limit, as_json)


@main.command()
@click.argument("sandbox")
@click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
@click.pass_context
@ending
def wake(context: click.Context, sandbox: str, as_json: bool) -> int:
    """Bring one sandbox back. Exits 0 done, 1 failed, 3 refused, 4 unknown sandbox."""
    from services.models import Verb
    from tui import headless

    return headless.attempt(settings_of(context), Verb.WAKE, sandbox, as_json)


@main.command()
@click.argument("sandbox", required=False)
@click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
@click.pass_context
@ending
def reconnect(context: click.Context, sandbox: str | None, as_json: bool) -> int:
    """Bring one sandbox back and prove the link to it.

    Without a name: NemoClaw's default sandbox, or the only one there is.
    """
    from services.models import Verb
    from tui import headless

    return headless.attempt(settings_of(context), Verb.RECONNECT, sandbox, as_json)


@main.command()
@click.argument("sandbox")
@click.option("--pod", help="The pod, where a sandbox has several.")
@click.option("--first-pod", is_flag=True, help="Take the first pod without asking.")
@click.option("--container", help="The container, where a pod has several.")
@click.option("--shell", type=click.Choice(["bash", "sh", "zsh"]), help="The shell to run.")
@click.option("--agent", is_flag=True, help="Attach to the agent itself, after a warning.")
@click.pass_context
@ending
def shell(
    context: click.Context,
    sandbox: str,
    pod: str | None,
    first_pod: bool,
    container: str | None,
    shell: str | None,
    agent: bool,
) -> int:
    """A shell in a sandbox, in this terminal. Exits with its code; 255 when it was lost."""
    from services.terminal.requests import AGENT, ShellChoice
    from tui import raw_shell

    chosen = AGENT if agent else shell
    return raw_shell.run(
        settings_of(context), sandbox, ShellChoice(pod, first_pod, chosen, container)
    )


@main.command(name="exec", context_settings={"ignore_unknown_options": True})
@click.argument("sandbox")
@click.option("--pod", help="The pod, where a sandbox has several.")
@click.option("--first-pod", is_flag=True, help="Take the first pod without asking.")
@click.option("--container", help="The container, where a pod has several.")
@click.option("--shell", type=click.Choice(["bash", "sh", "zsh"]), help="The shell that runs it.")
@click.option("--timeout", default=60.0, show_default=True, type=click.FloatRange(0.1, 86_400))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
@ending
def exec_(
    context: click.Context,
    sandbox: str,
    pod: str | None,
    first_pod: bool,
    container: str | None,
    shell: str | None,
    timeout: float,
    command: tuple[str, ...],
) -> int:
    """Run one command in a sandbox. Exits with its code; 255 when the outcome is unknown."""
    from services.terminal.requests import ShellChoice
    from tui import headless

    choice = ShellChoice(pod, first_pod, shell, container)
    return headless.execute(settings_of(context), sandbox, command, timeout, choice)


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.125, 64))
@click.option("--max", "at_once", is_flag=True, help="As fast as it can be drawn.")
@click.pass_context
@ending
def replay(context: click.Context, file: Path, speed: float, at_once: bool) -> int:
    """Play a transcript in this terminal. Exits 3 where FILE is none."""
    settings = settings_of(context)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say("wakedeck: a replay needs a terminal.")
        return USAGE
    from tui import replay as player

    return player.run(settings, file, speed, at_once)


@main.group()
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


@local.command(name="status")
@click.pass_context
@ending
def local_status(context: click.Context) -> int:
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


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
@click.pass_context
@ending
def doctor(context: click.Context, as_json: bool) -> int:
    """What was found on this machine, and where every file of ours is."""
    from tui import doctor as report

    return report.run(settings_of(context), as_json)


@main.group()
def config() -> None:
    """Where settings come from."""


@config.command()
@click.pass_context
@ending
def show(context: click.Context) -> int:
    """Every value and its origin."""
    from tui import doctor as report

    return report.show_config(settings_of(context))


@config.command()
@click.pass_context
@ending
def path(context: click.Context) -> int:
    """The file that is read."""
    from services import paths

    flags: Flags = context.find_root().obj
    click.echo(str(flags.config or paths.config_file()))
    return 0
