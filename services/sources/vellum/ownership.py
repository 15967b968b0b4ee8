"""Whose a process and a listener are: recorded numbers and open ports prove nothing alone.

See upstream/vellum: Identity.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from services.lazy_dataclass import dataclass
from services.process.identity import (
    Liveness,
    ProcessId,
    Program,
    boot_id,
    port_owner,
    program,
    programs,
)
from services.sources.vellum.layout import EnvironmentPaths, place
from services.sources.vellum.pid_files import PidFile, PidState
from services.text.sanitize import sanitize

_RUNTIMES = frozenset(("bun", "node"))
_PORT_NAMES = ("GATEWAY_PORT", "RUNTIME_HTTP_PORT")


class Holder(Enum):
    """Who listens on the gateway's port."""

    UNKNOWN = "not looked at"
    NOBODY = "nobody"
    OURS = "its gateway"
    OTHER = "another program"
    HIDDEN = "another user's program"


@dataclass(frozen=True, slots=True)
class Listener:
    """Who holds a port now."""

    holder: Holder = Holder.UNKNOWN
    process: ProcessId | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """Its program and pid."""
        return self.name if self.process is None else f"{self.name} (pid {self.process.pid})"


@dataclass(frozen=True, slots=True)
class Marks:
    """What the command line or the environment of an assistant's processes names."""

    assistant: str
    instance: str
    """Its instance folder."""
    ports: tuple[int, ...] = ()
    shared: bool = False
    """Another assistant has the same gateway port: a port tells nothing."""

    def fits(self, found: Program) -> bool:
        """Whether a program is one of this assistant's: by its folder, else by its port."""
        if not found.own or not _is_vellum(found):
            return False
        values = [word.partition("=")[2] for word in found.environment]
        if any(_within(value, self.instance) for value in (*found.argv, *values)):
            return True
        if self.shared:
            return False
        numbers = {str(port) for port in self.ports}
        named = {f"{name}={number}" for name in _PORT_NAMES for number in numbers}
        return not numbers.isdisjoint(found.argv) or not named.isdisjoint(found.environment)


def recorded(file: PidFile, marks: Marks) -> PidFile:
    """The pid file with whose process it names now: a stranger's is not alive."""
    if file.pid is None:
        return file
    process = ProcessId.capture(file.pid)
    found = program(file.pid)
    if process is None or found is None or process.liveness() is Liveness.DEAD:
        return PidFile(PidState.DEAD, file.pid, file.written_at)
    if process.liveness() is Liveness.ZOMBIE:
        return PidFile(PidState.ZOMBIE, file.pid, file.written_at)
    if not marks.fits(found):
        name = sanitize(found.name, 40)
        return PidFile(PidState.STRANGER, file.pid, file.written_at, None, name)
    return PidFile(PidState.ALIVE, file.pid, file.written_at, process, sanitize(found.name, 40))


def listener(port: int, gateway: PidFile, marks: Marks) -> Listener:
    """Who listens on a port: the recorded gateway, another process of this assistant, or others."""
    if gateway.process is not None and gateway.process.owns_port(port):
        return Listener(Holder.OURS, gateway.process, gateway.name)
    if not boot_id() or not Path("/proc/self/net").exists():
        return Listener()
    owner = port_owner(port)
    if owner is None:
        return Listener(Holder.NOBODY)
    found = None if owner.process is None else program(owner.process.pid)
    if found is None or owner.process is None:
        return Listener(Holder.HIDDEN)
    name = sanitize(owner.name, 40) or "a program"
    ours = Holder.OURS if marks.fits(found) else Holder.OTHER
    return Listener(ours, owner.process, name)


def starter(assistant: str, paths: EnvironmentPaths) -> int | None:
    """The pid of a `vellum wake` of an assistant of this registry that runs now."""
    return _starter(programs(), assistant, paths)


def _starter(found: Iterable[Program], assistant: str, paths: EnvironmentPaths) -> int | None:
    for one in found:
        if "wake" in one.argv and assistant in one.argv and _is_command(one) and _uses(one, paths):
            return one.pid
    return None


def _uses(found: Program, paths: EnvironmentPaths) -> bool:
    """Whether it reads the same lockfile; one whose environment cannot be seen may."""
    if not found.environment:
        return True
    environ = dict(word.partition("=")[::2] for word in found.environment)
    return place(paths.environment, environ).lockfile == paths.lockfile


def _is_command(found: Program) -> bool:
    return any(Path(word).name == "vellum" or "@vellumai/cli" in word for word in found.argv)


def _is_vellum(found: Program) -> bool:
    """By the program or its script: a folder or a file that it was given tells nothing of it."""
    runs, *words = found.argv or ("",)
    script = next((word for word in words if not word.startswith("-")), "")
    return (
        Path(runs).name in _RUNTIMES
        or "vellum" in Path(runs).name.lower()
        or "vellum" in script.lower()
        or any(word.startswith("--vellum-") for word in words)
    )


def _within(value: str, folder: str) -> bool:
    return bool(folder) and (value == folder or value.startswith(f"{folder.rstrip('/')}/"))
