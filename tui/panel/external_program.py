"""A text shown in a program of the operator's own, such as a pager, and the panel back after it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from textual.app import App, SuspendNotSupported

from services.errors import UnavailableError
from services.process.ends import hear_ends
from services.process.signals import catch_ignored
from tui.panel.leaving import leave_on_signals

PAGER, EDITOR = ("PAGER",), ("VISUAL", "EDITOR")
_USUAL = {PAGER: "less", EDITOR: "vi"}


def command(variables: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
    """The argument list that a variable names, or the usual program.

    Raises:
        UnavailableError: it cannot be read, or there is no such program.
    """
    named = next((one for one in variables if environ.get(one, "").strip()), "")
    try:
        words = shlex.split(environ[named]) if named else [_USUAL[variables]]
    except ValueError as error:
        raise UnavailableError(f"{named} cannot be read: {error}.") from error
    if not words or shutil.which(words[0]) is None:
        asked = f"{named} names {words[0]!r}" if named and words else f"{words[0]!r} is the usual"
        raise UnavailableError(
            f"{asked}, and there is no such program.", advice=f"Set {variables[-1]} to one."
        )
    return words


async def show_text(app: App[int], program: Sequence[str], text: str, name: str) -> None:
    """Give the terminal to the program with the text in a file of the operator's alone.

    The panel goes on asking meanwhile and draws again when the program has ended.

    Raises:
        UnavailableError: this terminal cannot be given away, or the program does not start.
    """
    with tempfile.TemporaryDirectory(prefix="wakedeck-") as folder:
        file = Path(folder) / name
        await asyncio.to_thread(file.write_text, text, "utf-8")
        try:
            with app.suspend():
                # An interrupt typed into the program is for the program.
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
                catch_ignored()
                hear_ends()
                try:
                    child = await asyncio.create_subprocess_exec(*program, str(file))
                    await _wait(child)
                finally:
                    leave_on_signals(partial(_leave, app))
        except SuspendNotSupported as error:
            raise UnavailableError("This terminal cannot be given to another program.") from error
        except OSError as error:
            raise UnavailableError(f"{program[0]} does not start: {error.strerror}.") from error


def _leave(app: App[int]) -> None:
    app.call_later(app.run_action, "leave")


async def _wait(child: asyncio.subprocess.Process) -> None:
    """Wait for its end; a panel that leaves takes it along."""
    try:
        await child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
