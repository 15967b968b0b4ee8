"""The command line: the same services, with or without a screen.

stdout is data, stderr is prose, and one gate stands before both: what is printed cannot steer a
terminal. Bytes that `exec` and `shell` hand on go past it by their file descriptors: they are a
program's, not ours. Usage errors exit with 2; each command documents its own codes.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

import click

from services.config.settings import Flags
from services.errors import RefusedError
from services.process.signals import catch_ignored
from services.text.sanitize import printable
from tui.cli.exit import Exit, exit_with_code, os_error, report_error, settings_of


class GatedStream:
    """A text stream whose `write` escapes control, invisible and direction-changing characters."""

    errors = "backslashreplace"

    def __init__(self, stream: TextIO) -> None:
        """What cannot be spelled in the stream's encoding is escaped from now on."""
        self._stream = stream
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError, ValueError):
                reconfigure(errors=self.errors)

    @property
    def encoding(self) -> str:
        """Never ASCII by name: click would then write to the bytes below and miss the gate."""
        known = self._stream.encoding or "utf-8"
        return "utf-8" if known.lower() in ("ascii", "ansi_x3.4-1968", "us-ascii") else known

    def write(self, text: str) -> int:
        """Write the text as it may be shown; the count is that of `text`."""
        self._stream.write(printable(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each as `write` does."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def gated() -> Iterator[None]:
    """Stdout and stderr behind the gate for as long as this lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        one if isinstance(one, GatedStream) or one is None else GatedStream(one) for one in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


_COMMANDS = {
    "queries": ("status", "sandboxes", "queues", "logs", "events"),
    "watch": ("watch", "notify"),
    "serve": ("serve",),
    "actions": ("wake", "reconnect", "shell", "exec"),
    "local": ("local",),
    "source": ("source",),
    "system": ("doctor", "config", "replay"),
    "completions": ("completions",),
}
"""The commands by the module of `tui.cli` they are in."""
_MODULES = {name: module for module, names in _COMMANDS.items() for name in names}


class GatedGroup(click.Group):
    """The commands, with all they print behind the gate: usage errors and completions as well.

    A command's module is loaded when the command is asked for.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in order."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None where there is none."""
        if (module := _MODULES.get(cmd_name)) is not None:
            found = import_module(f"tui.cli.{module}")
            # A name that Python keeps for itself ends with an underscore there.
            self.add_command(getattr(found, cmd_name, None) or getattr(found, f"{cmd_name}_"))
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run as click does."""
        with gated():
            try:
                return super().main(*args, **extra)
            except OSError as error:  # its own help, which no command of ours prints
                sys.exit(int(report_error(os_error(error))))


def _profiles(*asked: Any) -> Any:
    from tui.cli.completions import profiles

    return profiles(*asked)


@click.group(
    cls=GatedGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--profile",
    metavar="P",
    help="Use this profile of the configuration.",
    shell_complete=_profiles,
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="F",
    help="Read this file instead of the usual one.",
)
@click.option("--read-only", is_flag=True, help="Look, never act.")
@click.option("--theme", metavar="T", help="Use these colours, such as wakedeck-contrast.")
@click.option("--local", is_flag=True, help="Serve the embedded world alone.")
@click.version_option(package_name="wakedeck", prog_name="wakedeck")
@click.pass_context
def main(
    context: click.Context,
    profile: str | None,
    config: Path | None,
    read_only: bool,
    theme: str | None,
    local: bool,
) -> None:
    """See every agent sandbox live, wake it with one key, work in a shell inside it.

    Without a command, opens the panel.
    """
    catch_ignored()
    context.obj = Flags(config, profile, read_only or None, local, theme)
    if context.invoked_subcommand is None:
        _panel(context)
    else:
        gc.enable()


@exit_with_code
def _panel(context: click.Context) -> int:
    settings = settings_of(context)
    from tui import gc_control
    from tui.panel import drivers

    try:
        drivers.check()
        drivers.check_limits()
    except RefusedError as error:
        report_error(error)
        return Exit.USAGE

    gc_control.disable_until_started()
    from tui.run import run_panel

    return run_panel(settings)
