"""What systemd says of a gateway's user service; asked only where the gateway does not answer.

See upstream/openclaw: Services.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping

from services.agents.openclaw.evidence import Service, ServiceState
from services.errors import ProcessError
from services.process.run import run
from services.text.sanitize import sanitize

_LIMIT_S = 2.0
_PROPERTIES = (
    "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,ActiveEnterTimestampMonotonic"
)
_FINAL = {
    "active": ServiceState.RUNNING,
    "activating": ServiceState.RUNNING,
    "reloading": ServiceState.RUNNING,
    "failed": ServiceState.FAILED,
    "inactive": ServiceState.ENDED,
}


async def ask_service(unit: str, environ: Mapping[str, str]) -> Service:
    """The state of a user unit; read-only, and *not known* where there is no systemd to ask."""
    command = shutil.which("systemctl", path=environ.get("PATH"))
    if not unit:
        return Service(ServiceState.ABSENT)
    if sys.platform != "linux" or command is None:
        return Service(unit=unit)
    try:
        done = await run(
            [command, "--user", "show", unit, "-p", _PROPERTIES],
            timeout_s=_LIMIT_S,
            env=environ,
            max_output=1 << 16,
        )
    except ProcessError:
        return Service(unit=unit)
    if done.code != 0:
        return Service(unit=unit)
    return read_unit(unit, done.stdout.decode("utf-8", "replace"), time.monotonic())


def read_unit(unit: str, text: str, monotonic: float) -> Service:
    """A service from what `systemctl show` printed; a word that is not known says nothing."""
    told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    load, active = told.get("LoadState", ""), told.get("ActiveState", "")
    if load == "not-found":
        return Service(ServiceState.ABSENT, unit)
    if load != "loaded":
        return Service(unit=unit)
    state = _FINAL.get(active, ServiceState.UNKNOWN)
    if active == "activating" and told.get("SubState", "").startswith("auto-restart"):
        state = ServiceState.RESTARTING
    entered = _count(told.get("ActiveEnterTimestampMonotonic", ""))
    running: float | None = None
    if active == "activating":
        running = 0.0
    elif active == "active" and entered:
        running = max(0.0, monotonic - entered / 1_000_000)
    return Service(
        state,
        unit,
        _count(told.get("ExecMainStatus", "")),
        _count(told.get("NRestarts", "")),
        running,
        sanitize(told.get("Result", ""), 40),
    )


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
