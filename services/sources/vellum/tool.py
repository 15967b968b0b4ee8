"""Whether the vellum command can be run: found by looking for files, never by running it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from services.files.bounded import open_regular
from services.text.sanitize import sanitize


class Tool:
    """The command as configured: a name looked for on the PATH, or a path."""

    def __init__(self, command: str, environ: Mapping[str, str]) -> None:
        self._command = command or "vellum"
        self._path = environ.get("PATH", os.defpath)

    def program(self) -> str:
        """The path of the command; empty where there is none."""
        command = self._command
        if command.startswith("~"):
            command = str(Path(command).expanduser())
        return shutil.which(command, path=self._path) or ""

    def problem(self) -> str:
        """Why it cannot be run, without a full stop; empty where it can."""
        program = self.program()
        if not program:
            return f"{sanitize(self._command, 80)} is not installed or not on the PATH"
        needed = _interpreter(program)
        if needed and shutil.which(needed, path=self._path) is None:
            return f"it needs {sanitize(needed, 40)}, which is not on the PATH"
        return ""


def _interpreter(program: str) -> str:
    """What `env` would look for to run a script; empty for anything else."""
    try:
        with open_regular(Path(program)) as file:
            first = file.readline(256).decode("utf-8", "replace").split()
    except OSError:
        return ""
    if len(first) < 2 or not first[0].startswith("#!") or not first[0].endswith("/env"):
        return ""
    words = [word for word in first[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""
