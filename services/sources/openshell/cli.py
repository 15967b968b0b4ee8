"""The `openshell` command: where it is, in which environment it runs, what it answered."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from services.errors import ProcessError, UnavailableError
from services.lazy_dataclass import dataclass
from services.process.run import run
from services.sources.openshell.cli_text import ErrorKind, error_kind, error_text

PROBE_S = 3.5
LIST_S = 4.0
"""Seconds for calls that only look; they run side by side within one background look."""
AT_ONCE = 32
"""Children of one source at the same time."""
MAX_OUTPUT = 4 << 20
_DROPPED = ("OPENSHELL_GATEWAY", "OPENSHELL_WORKSPACE")
_PLACES = ("~/.local/bin/openshell", "/usr/local/bin/openshell", "/usr/bin/openshell")
MISSING = "openshell is not installed, or not where it is looked for."
MISSING_ADVICE = "Install openshell, or set `binary` of this source to its path."


@dataclass(frozen=True, slots=True)
class CliResult:
    """What one call left behind; `code` is None where its deadline ended it."""

    code: int | None
    stdout: str
    stderr: str
    truncated: bool = False
    took_s: float = 0.0

    @property
    def text(self) -> str:
        """Both streams: the CLI is not strict about which one it uses.

        See upstream/openshell: Text and exit codes.
        """
        return f"{self.stdout}\n{self.stderr}"

    @property
    def error_kind(self) -> ErrorKind:
        """What kind of failure the words tell of."""
        return error_kind(self.text)

    @property
    def timed_out(self) -> bool:
        """Whether its deadline ended it."""
        return self.code is None

    @property
    def error_text(self) -> str:
        """What it said went wrong, for an operator."""
        if self.truncated:
            return f"it printed more than {MAX_OUTPUT >> 20} MiB"
        return error_text(self.stderr) or error_text(self.stdout) or f"it ended with {self.code}"


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child gets: no gateway chosen by variable, UTF-8, no browser.

    See upstream/openshell: Configuration folder.
    """
    inherited = os.environ if base is None else base
    kept = {name: value for name, value in inherited.items() if not name.startswith(_DROPPED)}
    return {**kept, "LC_ALL": "C.UTF-8", "OPENSHELL_NO_BROWSER": "1"}


def locate(configured: str = "") -> Path | None:
    """The CLI's path, looked for as NemoClaw does; None where there is none.

    See upstream/openshell: Finding the command.
    """
    if configured:
        path = Path(configured).expanduser()
        return path if os.access(path, os.X_OK) and path.is_file() else None
    found = shutil.which("openshell")
    if found and Path(found).is_absolute():
        return Path(found)
    for place in _PLACES:
        path = Path(place).expanduser()
        if os.access(path, os.X_OK) and path.is_file():
            return path
    return None


def config_folder() -> Path:
    """Where the CLI keeps its registrations (upstream/openshell: Configuration folder)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base else Path.home() / ".config") / "openshell"


class Cli:
    """Runs the CLI; every call has a deadline and a group of its own."""

    def __init__(self, configured: str = "") -> None:
        self._configured = configured
        self._turns = asyncio.Semaphore(AT_ONCE)

    def path(self) -> Path:
        """Where it is now.

        Raises:
            UnavailableError: it is nowhere.
        """
        found = locate(self._configured)
        if found is None:
            raise UnavailableError(MISSING, advice=MISSING_ADVICE)
        return found

    async def run(
        self,
        *arguments: str,
        limit_s: float,
        gateway: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> CliResult:
        """Run it to its end or its deadline; the gateway is always named on the command line.

        Raises:
            UnavailableError: it is not there, or cannot be run.
        """
        argv = self.argv(*arguments, gateway=gateway)
        async with self._turns:
            started = time.monotonic()
            try:
                done = await run(
                    argv,
                    timeout_s=limit_s,
                    env={**environment(), **(extra or {})},
                    max_output=MAX_OUTPUT,
                )
            except ProcessError as error:
                raise UnavailableError(error.sentence, advice=MISSING_ADVICE) from error
        return CliResult(
            done.code,
            done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"),
            done.truncated,
            time.monotonic() - started,
        )

    def argv(self, *arguments: str, gateway: str = "") -> list[str]:
        """The whole command line of a call.

        Raises:
            UnavailableError: it is nowhere.
        """
        named = ["-g", gateway] if gateway else []
        return [str(self.path()), *named, *arguments]
