"""The `nemoclaw` command: where it is, what its help lists, and one call of it.

See upstream/openshell: NemoClaw recover. Used only for what the operator confirmed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from services.errors import ProcessError
from services.lazy_dataclass import dataclass
from services.process.run import run
from services.sources.openshell.cli import environment
from services.sources.openshell.cli_text import strip_colours
from services.sources.openshell.cli_version import Version, version_of
from services.sources.openshell.nemoclaw_registry import GATEWAY
from services.sources.openshell.records import Target
from services.text.redact import redact_line

PROBE_S = 5.0
KEEPS_CONTAINERS: Version = (0, 0, 126)
"""From here on its repair makes no container anew."""
FINDS_OWNER: Version = (0, 0, 129)
"""From here on it finds the gateway of a sandbox itself."""
_PLACES = ("~/.local/bin/nemoclaw", "/usr/local/bin/nemoclaw", "/usr/bin/nemoclaw")
_NAMES = ("<name>", "NAME", "<sandbox>")
_BUSY = ("supervisor_busy", "lifecycle lock")
_FINAL = (
    *("relaunch quarantined", "privileged control unavailable"),
    *("config hash mismatch", "secret boundary"),
)


@dataclass(frozen=True, slots=True)
class NemoclawTool:
    """What the installed command is."""

    path: Path
    version: Version | None
    listed: tuple[tuple[str, ...], ...]
    """The words after a sandbox's name in each line of its help."""

    def offers(self, words: tuple[str, ...]) -> bool:
        """Whether its help lists this command for a sandbox."""
        return any(line[: len(words)] == words for line in self.listed)

    @property
    def version_text(self) -> str:
        """As it says it itself."""
        return ".".join(map(str, self.version)) if self.version else "of an unknown version"

    @property
    def may_recreate(self) -> bool:
        """Whether its repair may make a container anew, as far as is known."""
        return self.version is None or self.version < KEEPS_CONTAINERS


@dataclass(frozen=True, slots=True)
class NemoclawAnswer:
    """What one call left behind; `code` is None where its deadline ended it."""

    code: int | None
    stdout: str
    stderr: str


def locate() -> Path | None:
    """Where it is; None where it is not installed."""
    found = shutil.which("nemoclaw")
    for place in (*((found,) if found else ()), *_PLACES):
        path = Path(place).expanduser()
        if path.is_absolute() and path.is_file():
            return path
    return None


async def detect() -> NemoclawTool | None:
    """What is installed; None where nothing is, or where it does not answer."""
    path = locate()
    if path is None:
        return None
    said = [await _said(path, word) for word in ("--version", "help")]
    if said[1] is None:
        return None
    return NemoclawTool(path, version_of(said[0] or ""), commands_listed(said[1]))


def commands_listed(text: str) -> tuple[tuple[str, ...], ...]:
    """What stands after the place of a sandbox's name, by line; prose is in no such place."""
    lines = (line.split() for line in text.splitlines())
    return tuple(
        tuple(words[words.index(name) + 1 :])
        for words in lines
        for name in words[:2]
        if name in _NAMES
    )


async def _said(path: Path, word: str) -> str | None:
    try:
        done = await run([str(path), word], timeout_s=PROBE_S, env=_environment())
    except ProcessError:
        return None
    return strip_colours(done.stdout.decode("utf-8", "replace")) if done.code == 0 else None


def _environment() -> dict[str, str]:
    """Without the variable that would answer its questions, some of which destroy."""
    kept = environment()
    kept.pop("NEMOCLAW_NON_INTERACTIVE", None)
    return kept


def port_of(gateway: str) -> str:
    """The port of a gateway that is not NemoClaw's first; empty for that one."""
    port = gateway.removeprefix(f"{GATEWAY}-")
    return "" if port == gateway else port


async def call(
    tool: NemoclawTool, target: Target, words: tuple[str, ...], limit_s: float
) -> NemoclawAnswer:
    """Run one of its commands for one sandbox, in a group of its own, without an input.

    Raises:
        ProcessError: it could not be started.
    """
    env = _environment()
    port = port_of(target.gateway)
    if port and (tool.version is None or tool.version < FINDS_OWNER):
        env["NEMOCLAW_GATEWAY_PORT"] = port
    argv = [str(tool.path), target.name, *words]
    done = await run(argv, timeout_s=limit_s, env=env)
    out, err = (one.decode("utf-8", "replace") for one in (done.stdout, done.stderr))
    return NemoclawAnswer(done.code, strip_colours(out), strip_colours(err))


def why_not(answer: NemoclawAnswer, act: str, limit_s: float) -> str:
    """Why a call failed, in a sentence; `act` is what it could not do."""
    if answer.code is None:
        return f"NemoClaw was still at work after {limit_s:g} s; its outcome is not known."
    text = f"{answer.stdout}\n{answer.stderr}"
    said, low = ends(text), text.lower()
    if any(one in low for one in _BUSY):
        return "NemoClaw is at work on it already. Try again once it has ended."
    if any(one in low for one in _FINAL):
        return f"NemoClaw cannot {act} ({said}). Only a rebuild helps; that is NemoClaw's."
    return f"NemoClaw could not {act}: {said}."


def ends(text: str) -> str:
    """Its first line and its last, harmless and without secrets."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = dict.fromkeys(redact_line(line, 160).rstrip(".") for line in (*lines[:1], *lines[-1:]))
    return " … ".join(found) or "it said nothing"
