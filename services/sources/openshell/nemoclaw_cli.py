"""The `nemoclaw` command: where it is, what it can do, and its one repair.

See upstream/openshell: NemoClaw recover. Used only for what the operator confirmed.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from services.errors import ProcessError
from services.process.run import run
from services.sources.openshell.cli import environment
from services.sources.openshell.cli_text import strip_colours
from services.sources.openshell.cli_version import Version, version_of
from services.sources.openshell.nemoclaw_registry import GATEWAY
from services.sources.openshell.records import Target
from services.text.redact import redact_line

PROBE_S = 5.0
RECOVER_S = 330.0
KEEPS_CONTAINERS: Version = (0, 0, 126)
"""From here on its repair makes no container anew."""
FINDS_OWNER: Version = (0, 0, 129)
"""From here on it finds the gateway of a sandbox itself."""
_PLACES = ("~/.local/bin/nemoclaw", "/usr/local/bin/nemoclaw", "/usr/bin/nemoclaw")
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
    recovers: bool

    @property
    def may_recreate(self) -> bool:
        """Whether its repair may make a container anew, as far as is known."""
        return self.version is None or self.version < KEEPS_CONTAINERS


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
    recovers = re.search(r"\brecover\b", said[1]) is not None
    return NemoclawTool(path, version_of(said[0] or ""), recovers)


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


async def recover(tool: NemoclawTool, target: Target) -> str:
    """Run its repair of one sandbox; why it failed in a sentence, empty where it says it is well.

    Raises:
        ProcessError: it could not be started.
    """
    env = _environment()
    port = target.gateway.removeprefix(f"{GATEWAY}-")
    if port != target.gateway and (tool.version is None or tool.version < FINDS_OWNER):
        env["NEMOCLAW_GATEWAY_PORT"] = port
    done = await run([str(tool.path), target.name, "recover"], timeout_s=RECOVER_S, env=env)
    if done.code == 0:
        return ""
    if done.code is None:
        return f"NemoClaw was still at work after {RECOVER_S:g} s; its outcome is not known."
    text = strip_colours(b"\n".join((done.stdout, done.stderr)).decode("utf-8", "replace"))
    said, low = words(text), text.lower()
    if any(one in low for one in _BUSY):
        return "NemoClaw is at work on it already. Try again once it has ended."
    if any(one in low for one in _FINAL):
        return f"NemoClaw cannot repair it ({said}). Only a rebuild helps; that is NemoClaw's."
    return f"NemoClaw could not repair it: {said}."


def words(text: str) -> str:
    """Its first line and its last, harmless and without secrets."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ends = dict.fromkeys(redact_line(line, 160).rstrip(".") for line in (*lines[:1], *lines[-1:]))
    return " … ".join(ends) or "it said nothing"
