"""What is run for an operator: a gateway's own service starts or restarts it, once it may.

See upstream/openclaw: Services.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from services.errors import ProcessError
from services.files.bounded import UnfitError, parse_json, read_bounded
from services.process.run import run
from services.sources.openclaw.layout import StateDirectory
from services.text.redact import redact_line
from services.text.sanitize import end_sentence, sanitize

START_S, RESTART_S, VALIDATE_S = 60.0, 360.0, 30.0
_MOST_HINTS = 3


def program(command: str, environ: Mapping[str, str]) -> str:
    """The path of the command; empty where there is none."""
    named = str(Path(command).expanduser()) if command.startswith("~") else command
    return shutil.which(named, path=environ.get("PATH", os.defpath)) or ""


def missing(command: str) -> str:
    """The sentence for a command that is not there."""
    return f"{sanitize(command, 80)} is not installed or not on the PATH."


def installed_version(command: str, environ: Mapping[str, str]) -> str:
    """The version of the command as its package has it; empty where that cannot be told."""
    tool = program(command, environ)
    if not tool:
        return ""
    try:
        fields = parse_json(read_bounded(Path(tool).resolve().parent / "package.json"))
    except (OSError, UnfitError, RuntimeError):
        return ""
    told = fields.get("version") if isinstance(fields, dict) else None
    ours = isinstance(fields, dict) and fields.get("name") == "openclaw"
    return sanitize(told, 30) if ours and isinstance(told, str) else ""


def start_argv(tool: str, place: StateDirectory) -> list[str]:
    """The words that start the service of one state directory."""
    return _argv(tool, place, "start")


def restart_argv(tool: str, place: StateDirectory) -> list[str]:
    """The words that restart the gateway of one state directory once what runs has ended."""
    return _argv(tool, place, "restart", "--safe")


async def find_invalid(tool: str, place: StateDirectory, environ: Mapping[str, str]) -> str:
    """Why its configuration is not accepted, as a clause; empty also where that cannot be told.

    Its yes is no proof: what it passes may yet end with exit 78. Cancelling ends the command.
    """
    profile = ["--profile", place.profile] if place.profile else []
    try:
        done = await run(
            [tool, *profile, "config", "validate", "--json"],
            timeout_s=VALIDATE_S,
            env=start_environ(place, environ),
            cwd=place.path.parent,
        )
        told = parse_json(done.stdout)
    except (ProcessError, UnfitError):
        return ""
    if not isinstance(told, dict) or told.get("valid") is not False:
        return ""
    issues = told.get("issues")
    said = [
        f"{redact_line(str(one.get('path') or '-'), 80)}: "
        f"{redact_line(str(one.get('message') or 'it does not say why'), 160)}"
        for one in (issues if isinstance(issues, list) else [])[:_MOST_HINTS]
        if isinstance(one, dict)
    ]
    return "; ".join(said).rstrip(".") or "it does not say why"


def _argv(tool: str, place: StateDirectory, *words: str) -> list[str]:
    profile = ["--profile", place.profile] if place.profile else []
    return [tool, *profile, "gateway", *words, "--json"]


async def run_service(
    argv: list[str], limit_s: float, place: StateDirectory, environ: Mapping[str, str]
) -> tuple[str, bool]:
    """Run one of them: why it failed, and whether that may pass by itself; empty where it is done.

    Cancelling ends the command.
    """
    try:
        done = await run(
            argv, timeout_s=limit_s, env=start_environ(place, environ), cwd=place.path.parent
        )
    except ProcessError as error:
        return error.sentence, False
    if done.timed_out:
        return f"It took longer than {limit_s:g} s.", True
    if done.code:
        return read_refusal(done.code, done.stdout, done.stderr), False
    return "", False


def start_environ(place: StateDirectory, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for it: none that names another gateway than its words do."""
    dropped = {"OPENCLAW_PROFILE", "OPENCLAW_GATEWAY_PORT"}
    if place.profile:
        dropped |= {"OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH"}
    return {name: value for name, value in environ.items() if name not in dropped}


def read_refusal(code: int | None, stdout: bytes, stderr: bytes) -> str:
    """Why it failed, in the command's own words where it has some."""
    try:
        told = parse_json(stdout)
    except UnfitError:
        told = None
    fields = told if isinstance(told, dict) else {}
    error, hints = fields.get("error"), fields.get("hints")
    words = [error] if isinstance(error, str) else []
    if isinstance(hints, list):
        words += [one for one in hints if isinstance(one, str)][:_MOST_HINTS]
    if not words:
        lines = stderr.decode("utf-8", "replace").strip().splitlines()
        words = lines[-1:] or [f"it ended with {code}"]
    return " ".join(end_sentence(redact_line(one, 200)) for one in words)
