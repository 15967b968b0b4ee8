"""Breaks an embedded world from outside: signals to its processes, and new ones in their place.

Which, when and for how long comes from a seed alone; who is broken already is passed over.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.truth_score import DEAD, STOPPED, WAY_IN, WAYS

AGENT = "agent"
MIX = (
    ("kill", AGENT),
    ("kill", AGENT),
    ("kill", "gateway"),
    ("kill", "host"),
    ("stop", AGENT),
    ("stop", AGENT),
    ("stop", "gateway"),
    ("stop, kill", AGENT),
    ("stop, kill", "gateway"),
    ("replace", AGENT),
    ("replace", "gateway"),
    ("slow", AGENT),
    ("slow", "gateway"),
    ("blink", AGENT),
)
"""Every fault of one round: each round is the same mix in another order."""
GAPS_S = (4.0, 9.0)
"""Between one fault and the next; the longest still makes six a minute."""
HOLDS_S = (6.5, 13.0)
SHORT, SHORT_S = ("blink", "replace"), 0.3
GONE_S = 5.0
"""How long a killed gateway may wait to be collected: until then no other one starts."""
HOGS = 6
_HOG = "import os; os.nice(19)\nwhile True: pass"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to whom, how long after the last one and for how long."""

    kind: str
    role: str
    gap_s: float
    hold_s: float

    @property
    def makes(self) -> tuple[str, ...]:
        """What is true of the role after each half of it; nothing where it does not last."""
        return {"kill": (DEAD,), "stop": (STOPPED,), "stop, kill": (STOPPED, DEAD)}.get(
            self.kind, ()
        )


def plan(seed: int, agents: Sequence[str]) -> Iterator[Fault]:
    """Faults without end; the same for the same seed."""
    chance = random.Random(seed)
    while True:
        for kind, where in chance.sample(MIX, len(MIX)):
            role = chance.choice(agents) if where == AGENT else where
            gap, hold = chance.uniform(*GAPS_S), chance.uniform(*HOLDS_S)
            yield Fault(kind, role, gap, SHORT_S if kind in SHORT else hold)


class Breaker:
    """Does it, and mends it again."""

    def __init__(self, root: Path, home: Path, pid_of: Callable[[str], int | None]) -> None:
        self._root = root
        self._home = home
        self._pid_of = pid_of
        self._children: list[subprocess.Popen[bytes]] = []
        self._hogs: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._last: dict[str, int] = {}
        self._starting = threading.Lock()

    def begin(self, fault: Fault) -> None:
        """The first half."""
        self.reap()
        match fault.kind:
            case "kill" | "replace":
                self._signal(fault.role, signal.SIGKILL)
            case "stop" | "stop, kill" | "blink":
                self._signal(fault.role, signal.SIGSTOP)
            case "slow":
                self._slow(fault.role)

    def turn(self, fault: Fault) -> None:
        """The second half of a fault that has two."""
        if fault.kind == "stop, kill":
            self._signal(fault.role, signal.SIGKILL)

    def mend(self, fault: Fault) -> None:
        """As it was before, by other means than the panel's own."""
        match fault.kind:
            case "kill" | "stop, kill" | "replace":
                self._start(fault.role)
            case "stop" | "blink":
                self._signal(fault.role, signal.SIGCONT)
            case "slow":
                self._quicken(fault.role)

    def reap(self) -> None:
        """Collect those of ours that were killed."""
        with self._starting:
            self._children = [one for one in self._children if one.poll() is None]

    def close(self) -> None:
        """Let everything go on, and end the hogs; the world itself is taken down by its owner."""
        for hogs in self._hogs.values():
            _end(hogs)
        for role in (*WAYS, *(folder.name for folder in (self._root / "sandboxes").iterdir())):
            self._signal(role, signal.SIGCONT)

    def await_children(self) -> None:
        """Collect every process started here; the world has been taken down."""
        for one in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(5)

    def _signal(self, role: str, number: signal.Signals) -> None:
        pid = self._pid_of(role)
        if pid is not None:
            self._last[role] = pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _start(self, role: str) -> None:
        """A new one; a gateway, once the last one is gone from the process table too."""
        due = time.monotonic() + GONE_S
        last = Path(f"/proc/{self._last.get(role, 0)}")
        while role == WAY_IN and last.exists() and time.monotonic() < due:
            self.reap()
            time.sleep(GONE_S / 100)
        part = role if role in WAYS else AGENT
        argv = [sys.executable, "-P", "-m", f"services.sources.local.{part}"]
        argv += ["--world", str(self._root)]
        log = self._root / "logs" / f"{part}.log"
        if part == AGENT:
            argv += ["--sandbox", role]
            log = self._root / "logs" / f"agent-{role}.log"
            # The dead one's; whoever starts it elsewhere removes it, as a wake would.
            (self._root / "sandboxes" / role / "agent.lock").unlink(missing_ok=True)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }
        with log.open("ab") as said, self._starting:
            self._children.append(
                subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    cwd=self._root,
                    env=environ,
                    start_new_session=True,
                )
            )

    def _slow(self, role: str) -> None:
        """The least share of one core, beside some who want all of it; the rest is spared."""
        pid = self._pid_of(role)
        if pid is None:
            return
        core = {min(os.sched_getaffinity(0))}
        hogs = [subprocess.Popen([sys.executable, "-c", _HOG]) for _ in range(HOGS)]
        self._hogs[role] = hogs
        with contextlib.suppress(OSError):
            for hog in hogs:
                os.sched_setaffinity(hog.pid, core)
            os.sched_setaffinity(pid, core)
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))

    def _quicken(self, role: str) -> None:
        _end(self._hogs.pop(role, []))
        pid = self._pid_of(role)
        if pid is None:
            return
        try:
            os.sched_setaffinity(pid, os.sched_getaffinity(0))
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        except ProcessLookupError:
            return
        except PermissionError:
            # Without the right to give back its share: another one in its place.
            self._signal(role, signal.SIGKILL)
            self._start(role)


def _end(hogs: Sequence[subprocess.Popen[bytes]]) -> None:
    for hog in hogs:
        hog.kill()
        hog.wait()
