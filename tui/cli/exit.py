"""Exit codes of the commands: errors become one sentence on stderr and a documented code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from functools import wraps
from typing import Any

import click

from services.config import paths
from services.config.settings import Flags, Settings, load
from services.errors import (
    AmbiguousError,
    ConfigError,
    NotFoundError,
    RefusedError,
    ShellError,
    UnavailableError,
    WakedeckError,
    unforeseen,
)
from services.logs import own_log
from services.process.signals import raise_interrupt
from services.text.sanitize import sanitize

_LOG = logging.getLogger(__name__)


class Exit(IntEnum):
    """Every exit code of ours; `docs/commands.md` lists them."""

    DONE = 0
    FAILED = 1
    """An attempt failed, something needs attention, or a system could not be reached."""
    USAGE = 2
    """The command line or the configuration is wrong, or a name means several sandboxes."""
    REFUSED = 3
    """Read-only, or it needs a confirmation or a terminal."""
    UNKNOWN_SANDBOX = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """Whoever read what a command says has gone: 128 and the number of that signal."""
    LOST = 255
    """A shell was lost, or the outcome of a command is unknown."""


def exit_code(error: WakedeckError) -> Exit:
    """The exit code that tells a script what kind of error this was."""
    if isinstance(error, ConfigError | AmbiguousError):
        return Exit.USAGE
    if isinstance(error, RefusedError):
        return Exit.REFUSED
    if isinstance(error, ShellError) and isinstance(error.__cause__, NotFoundError):
        # What a shell was to be opened in is not there.
        return Exit.UNKNOWN_SANDBOX
    return Exit.UNKNOWN_SANDBOX if isinstance(error, NotFoundError) else Exit.FAILED


def print_stderr(text: str) -> None:
    """One line of prose for the operator."""
    click.echo(text, err=True)


def report_error(error: WakedeckError) -> Exit:
    """Print the error and its advice on stderr; returns the exit code."""
    with suppress(OSError):  # stderr may be full or gone as well
        print_stderr(f"wakedeck: {error.sentence}")
        if error.advice:
            print_stderr(f"  {error.advice}")
    return exit_code(error)


def exit_with_code(command: Callable[..., int]) -> Callable[..., None]:
    """Decorator that turns a command's result or a service error into the exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            raise_interrupt()
            code = command(*args, **kwargs)
        except WakedeckError as error:
            code = report_error(error)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt:
            code = Exit.INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has gone; keep the interpreter from saying so again.
            sys.stderr.close()
            code = Exit.DONE
        except OSError as error:
            code = report_error(os_error(error))
        except Exception as error:
            code = report_error(unforeseen("wakedeck itself", error))
        sys.exit(int(code))

    return run


def os_error(error: OSError) -> UnavailableError:
    """What a file, or the place that is printed to, could not do, as one sentence."""
    _LOG.error("a command failed", exc_info=error)
    why = error.strerror or type(error).__name__
    what = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return UnavailableError(sanitize(f"{what}{why}.", 300))


def settings_of(context: click.Context) -> Settings:
    """The settings the global options ask for.

    Raises:
        ConfigError: as `services.config.settings.load`.
    """
    flags: Flags = context.find_root().obj
    own_log.configure(paths.log_file(), logging.WARNING)
    return load(flags)


json_option = click.option("--json", "as_json", is_flag=True, help="Stable, versioned JSON.")
"""What every listing understands."""
