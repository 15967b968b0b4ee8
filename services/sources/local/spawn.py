"""The processes of the embedded world: started detached, known and ended by their records."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from services.errors import ProcessError
from services.files.private import open_private
from services.process.identity import Liveness
from services.process.signals import catch_ignored
from services.sources.local import starts
from services.sources.local.layout import ProcessRecord, World
from services.sources.local.process_log import cut
from services.sources.local.process_records import AGENT, alive, identify, keep_child, reap
from services.text.sanitize import sanitize

SANDBOX_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
KILL_WAIT_S = 2.0
_POLL_S = 0.02
_SOMETHING = 4096
"""Bytes of a record and a line of a log."""
_KEPT_ENVIRONMENT = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|TERM|COLORTERM"
    r"|XDG_[A-Z_]+|PYTHONHASHSEED|VIRTUAL_ENV|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH"
)


def start(world: World, role: str) -> int:
    """Start `gateway`, `host` or `agent-<name>` in its own session; its pid.

    The world's folders must exist. The process writes its own record once it is up; what it says
    goes to `world.log(role)`.

    Raises:
        ProcessError: no such role, or the process could not be made.
    """
    argv = [sys.executable, "-P", "-m", *_module(world, role)]
    reap()
    catch_ignored()
    try:
        with _open_log(world.log(role)) as log:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=world.root,
                env=environment(),
                start_new_session=True,
            )
    except OSError as error:
        raise ProcessError(
            f"the {role} process of the local world could not be started: {error.strerror}",
            advice=f"see {world.log(role)}",
        ) from error
    keep_child(child)
    starts.note(world, role, child.pid)
    return child.pid


def _module(world: World, role: str) -> list[str]:
    root = str(world.root.absolute())
    if role in ("gateway", "host"):
        return [f"services.sources.local.{role}", "--world", root]
    name = role.removeprefix(AGENT)
    if role.startswith(AGENT) and SANDBOX_NAME.fullmatch(name):
        return ["services.sources.local.agent", "--world", root, "--sandbox", name]
    raise ProcessError(f"the local world has no role {role!r}")


def environment() -> dict[str, str]:
    """What a process of the world inherits: no secrets, and where these modules live."""
    kept = {name: value for name, value in os.environ.items() if _KEPT_ENVIRONMENT.fullmatch(name)}
    here = str(Path(__file__).resolve().parents[3])
    inherited = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != here]
    kept["PYTHONPATH"] = os.pathsep.join([here, *inherited])
    return kept


def _open_log(path: Path) -> _Log:
    handle = open_private(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        cut(handle)
    except OSError:
        os.close(handle)
        raise
    return _Log(handle)


class _Log:
    """A log open for the time a child is made."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __enter__(self) -> int:
        return self._handle

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def unwritable(world: World) -> str:
    """Why processes of the world can leave nothing in its folder; empty where they can."""
    try:
        with tempfile.TemporaryFile(dir=world.root) as file:
            file.write(bytes(_SOMETHING))
            file.flush()
    except OSError as error:
        return sanitize(error.strerror or type(error).__name__, 80)
    return ""


def terminate(record: ProcessRecord) -> None:
    """Send SIGTERM to the recorded process, if it is still that one."""
    _signal(record, signal.SIGTERM)


def resume(record: ProcessRecord) -> None:
    """Let a suspended process go on (SIGCONT), if it is still that one."""
    _signal(record, signal.SIGCONT)


def end(record: ProcessRecord, grace_s: float) -> bool:
    """End a recorded process; whether it is gone. Blocks for at most `grace_s` + 2 s.

    SIGTERM first, SIGKILL after the grace; a suspended process cannot take SIGTERM and is killed
    at once.
    """
    state = alive(record)
    if state.over:
        return True
    if state is not Liveness.STOPPED:
        _signal(record, signal.SIGTERM)
        if _exited_within(record, grace_s):
            return True
    _signal(record, signal.SIGKILL)
    return _exited_within(record, KILL_WAIT_S)


def _signal(record: ProcessRecord, number: signal.Signals) -> None:
    process = identify(record)
    if process is not None:
        with suppress(PermissionError):
            process.send_signal(number)


def _exited_within(record: ProcessRecord, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not alive(record).over:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
