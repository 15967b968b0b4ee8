"""Identity of a process: its pid with its start since boot, so that a reused pid is another.

See upstream/repair: Process identity. No other module reads `/proc` or a creation time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from enum import Enum
from functools import cache
from pathlib import Path

from services.lazy_dataclass import dataclass

PROC = Path("/proc")
_LISTENING, _CONNECTED = "0A", "01"
_LARGEST_CLOCK_STEP_S = 86_400.0
_LARGEST_PID = 1 << 31
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK") if sys.platform == "linux" else 100
_LONGEST = 256 * 1024
"""Bytes read of a command line or an environment."""
_STATE, _START_TICKS = 0, 19
"""Fields of `/proc/PID/stat` behind the command's name."""


class Liveness(Enum):
    """What became of a process."""

    RUNNING = "running"
    STOPPED = "stopped"
    """Suspended by a signal: it exists and does nothing."""
    ZOMBIE = "zombie"
    """Dead, not yet collected by its parent."""
    DEAD = "dead"
    """Gone, or its pid belongs to another process now."""

    @property
    def over(self) -> bool:
        """Whether it will never run again."""
        return self in (Liveness.ZOMBIE, Liveness.DEAD)


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of one boot of this machine."""

    pid: int
    start_ticks: int
    """Clock ticks between the boot and its start; no change of the wall clock moves them."""
    boot_id: str

    @classmethod
    def capture(cls, pid: int | None = None) -> ProcessId | None:
        """The process that has this pid now, ours without one; None where there is none."""
        number = os.getpid() if pid is None else pid
        found = _read(number)
        return None if found is None else cls(number, found[1], boot_id())

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> ProcessId | None:
        """The process that a JSON object names; None where it names none whole."""
        pid, ticks, boot = (fields.get(name) for name in ("pid", "start_ticks", "boot_id"))
        if not isinstance(pid, int) or not isinstance(ticks, int) or not isinstance(boot, str):
            return None
        return cls(pid, ticks, boot) if 0 < pid < _LARGEST_PID else None

    def fields(self) -> dict[str, int | str]:
        """The same as fields of a JSON object."""
        return {"pid": self.pid, "start_ticks": self.start_ticks, "boot_id": self.boot_id}

    def started_at(self) -> float:
        """When it began, in seconds of the present wall clock, also after that clock was set."""
        if sys.platform != "linux":
            return self.start_ticks / _TICKS_A_SECOND
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - self.start_ticks / _TICKS_A_SECOND
        return time.time() - age

    def send_signal(self, number: signal.Signals) -> bool:
        """Signal this process and never another one that has its pid by now; whether it was.

        Raises:
            PermissionError: it belongs to another user.
        """
        if not hasattr(os, "pidfd_open"):
            return self.alive() and _kill(self.pid, number)
        try:
            handle = os.pidfd_open(self.pid)
        except (OSError, ValueError):
            return False
        try:
            # The handle holds the pid: what is alive now is what is signalled.
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def liveness(self) -> Liveness:
        """What became of it."""
        found = _read(self.pid) if self.boot_id == boot_id() else None
        if found is None or found[1] != self.start_ticks:
            return Liveness.DEAD
        if found[0] in "ZX":
            return Liveness.ZOMBIE
        return Liveness.STOPPED if found[0] in "Tt" else Liveness.RUNNING

    def alive(self) -> bool:
        """Whether it exists and can run again."""
        return not self.liveness().over

    def age_s(self) -> float:
        """Seconds since it began, by a clock that nobody sets; 0 where that cannot be told."""
        if not hasattr(time, "CLOCK_BOOTTIME"):
            return 0.0
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        return max(0.0, now - self.start_ticks / _TICKS_A_SECOND)

    def owns_port(self, port: int) -> bool:
        """Whether it, or a process it started, listens on a TCP port of this machine."""
        return bool(held_ports([(self, port)]))

    def ports(self) -> frozenset[int]:
        """TCP ports that it, or a process it started, listens on."""
        if not self.alive():
            return frozenset()
        if sys.platform != "linux":
            return _foreign_ports(self.pid)
        held: set[int] = set()
        for pid in (self.pid, *_descendants(self.pid)):
            held |= _sockets(pid)
        return frozenset(port for port, inode in _listening() if inode in held)


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs, as far as its user may know. The environment may hold secrets."""

    pid: int
    name: str
    own: bool
    """Whether it is a process of our user."""
    argv: tuple[str, ...] = ()
    environment: tuple[str, ...] = field(default=(), repr=False)
    """`NAME=value` words; empty where it may not be read."""


@dataclass(frozen=True, slots=True)
class PortOwner:
    """Who listens on a port; `process` is None where that cannot be read (another user's)."""

    process: ProcessId | None
    name: str = ""


def boot_id() -> str:
    """The identity of the present boot; empty where the system has none."""
    return _boot_id()


def held_ports(claims: Sequence[tuple[ProcessId, int]]) -> frozenset[tuple[ProcessId, int]]:
    """The claims that hold: that process, or one it started, listens on that TCP port.

    The kernel's tables are read once, however many there are.
    """
    if sys.platform != "linux":
        return frozenset((one, port) for one, port in claims if port in one.ports())
    inodes: dict[int, set[int]] = {}
    for port, inode in _listening() if claims else ():
        inodes.setdefault(port, set()).add(inode)
    return frozenset((one, port) for one, port in claims if _holds(one, inodes.get(port, set())))


def _holds(one: ProcessId, wanted: set[int]) -> bool:
    """Itself first: what it has started is found by a walk over every process."""
    if not wanted or not one.alive():
        return False
    if _sockets(one.pid) & wanted:
        return True
    return any(_sockets(pid) & wanted for pid in _descendants(one.pid))


def port_owner(port: int) -> PortOwner | None:
    """The process that listens on a TCP port of this machine; None where nobody does."""
    wanted = listening_inodes(port)
    if not wanted:
        return None
    for pid in _pids():
        if _sockets(pid) & wanted:
            return PortOwner(ProcessId.capture(pid), _name(pid))
    return PortOwner(None)


def listening_inodes(port: int) -> frozenset[int]:
    """Inodes of the sockets that listen on a TCP port, whatever their address."""
    return frozenset(inode for number, inode in _listening() if number == port)


def program(pid: int) -> Program | None:
    """What the process of this pid runs now; None where there is none."""
    if sys.platform != "linux":
        return _foreign_program(pid)
    folder = PROC / str(pid)
    try:
        own = folder.stat().st_uid == os.getuid()
    except OSError:
        return None
    return Program(
        pid, _name(pid), own, _words(folder / "cmdline"), _words(folder / "environ") if own else ()
    )


def programs() -> Iterator[Program]:
    """Every process of our user."""
    for pid in _pids():
        found = program(pid)
        if found is not None and found.own:
            yield found


def _listening() -> Iterator[tuple[int, int]]:
    """(port, inode) of every TCP socket that listens."""
    for table in ("net/tcp", "net/tcp6"):
        with suppress(OSError):
            for line in (PROC / "self" / table).read_text("ascii", "replace").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    yield int(fields[1].rpartition(":")[2], 16), int(fields[9])


def _words(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(word for word in text.split("\0") if word)


def _foreign_ports(pid: int) -> frozenset[int]:
    import psutil

    try:
        held = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return frozenset()
    return frozenset(one.laddr.port for one in held if one.status == psutil.CONN_LISTEN)


def _foreign_program(pid: int) -> Program | None:
    import psutil

    try:
        process = psutil.Process(pid)
        name, own = process.name(), process.uids().real == os.getuid()
        if not own:
            return Program(pid, name, own)
        words = tuple(f"{key}={value}" for key, value in process.environ().items())
        return Program(pid, name, own, tuple(process.cmdline()), words)
    except psutil.Error:
        return None


def client_uid(port: int, client_port: int) -> int | None:
    """Whose the other end of a connection to a loopback port of ours is; None where not known."""
    with suppress(OSError):
        for line in (PROC / "self/net/tcp").read_text("ascii", "replace").splitlines()[1:]:
            fields = line.split()
            ends = [int(one.rpartition(":")[2], 16) for one in fields[1:3]]
            if ends == [client_port, port] and fields[3] == _CONNECTED:
                return int(fields[7])
    return None


def started_as(pid: int, created: float) -> bool:
    """Whether a pid may be the process that began at a wall-clock instant, in seconds.

    For what was written down without ticks. The clock of the boot is set by whole seconds, so
    the part of a second has to be the same and the rest only near.
    """
    found = _read(pid)
    if found is None:
        return False
    if sys.platform != "linux":
        return found[1] == round(created * _TICKS_A_SECOND)
    apart = (round(created * _TICKS_A_SECOND) - found[1]) % _TICKS_A_SECOND
    near = abs(ProcessId(pid, found[1], boot_id()).started_at() - created) < _LARGEST_CLOCK_STEP_S
    return near and apart == 0


def _kill(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


@cache
def _boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "" if sys.platform == "linux" else sys.platform


def _read(pid: int) -> tuple[str, int] | None:
    """(state letter, start ticks) of a process, or nothing where it is not there."""
    if not 0 < pid < _LARGEST_PID:
        return None
    try:
        text = (PROC / str(pid) / "stat").read_bytes().decode("ascii", "replace")
    except OSError:
        return None if sys.platform == "linux" else _foreign(pid)
    fields = text.rpartition(")")[2].split()
    return fields[_STATE], int(fields[_START_TICKS])


def _foreign(pid: int) -> tuple[str, int] | None:
    """The same where there is no `/proc`: the kernel keeps the start as it was when it began."""
    import psutil

    try:
        process = psutil.Process(pid)
        letter = {psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_STOPPED: "T"}.get(process.status(), "R")
        return letter, round(process.create_time() * 100)
    except psutil.Error:
        return None


def _pids() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(one.name) for one in PROC.iterdir() if one.name.isdigit())


def _parent(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "stat").read_bytes().decode("ascii", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _descendants(pid: int) -> list[int]:
    parents = {one: _parent(one) for one in _pids()}
    found, waiting = [], [pid]
    while waiting:
        at = waiting.pop()
        below = [one for one, parent in parents.items() if parent == at]
        found += below
        waiting += below
    return found


def _sockets(pid: int) -> set[int]:
    found = set()
    with suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return found


def _name(pid: int) -> str:
    try:
        return (PROC / str(pid) / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
