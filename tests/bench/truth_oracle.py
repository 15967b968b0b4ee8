"""What is true of an embedded world, seen without anything of the panel.

The process table is read from `/proc`, and each peer is asked in its own way: the gateway over a
socket, an agent by its heartbeat, the host by the record it keeps of itself.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.truth_score import DEAD, LATE, SERVING, STARTING, STOPPED, WAY_IN, WAYS, Timeline

LOOK_S = 0.05
SCAN_S = 0.25
ASK_S = 0.4
ANSWER_S = 1.0
FRESH_S = 2.0
"""A sign of life older than this is none."""
START_S = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process by its number and its start in ticks since boot."""

    pid: int
    start: int


def process_state(pid: int) -> tuple[str, int] | None:
    """The letter of its state and its start in ticks; None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def role_of(pid: int, root: Path) -> str:
    """Which part of this world a process plays by its command line; empty where none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    if "--world" not in words or "-m" not in words:
        return ""
    if words[words.index("--world") + 1] != str(root):
        return ""
    part = words[words.index("-m") + 1].rpartition(".")[2]
    if part == "agent" and "--sandbox" in words:
        return words[words.index("--sandbox") + 1]
    return part if part in WAYS else ""


def living(root: Path) -> dict[str, Running]:
    """The process that plays each part now: of several, the one that began first."""
    found: dict[str, Running] = {}
    for entry in Path("/proc").iterdir():
        role = role_of(int(entry.name), root) if entry.name.isdigit() else ""
        state = process_state(int(entry.name)) if role else None
        if state is None or state[0] in "ZX":
            continue
        known = found.get(role)
        if known is None or state[1] < known.start:
            found[role] = Running(int(entry.name), state[1])
    return found


class Oracle:
    """Looks from threads of its own until it is closed."""

    def __init__(self, root: Path, agents: Iterable[str]) -> None:
        self._root = root
        self.truth = {role: Timeline() for role in (*WAYS, *agents)}
        self._running: dict[str, Running] = {}
        self._alive_since: dict[str, float] = {}
        self._answered = 0.0
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._look_on, self._ask_on)
        ]

    def __enter__(self) -> Oracle:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for one in self._threads:
            one.join()

    def pid(self, role: str) -> int | None:
        """Who plays this part now."""
        known = self._running.get(role)
        return None if known is None else known.pid

    def serving(self, role: str) -> bool:
        return self.truth[role].now == SERVING

    def _look_on(self) -> None:
        scanned = 0.0
        while not self._ended.wait(LOOK_S):
            if time.monotonic() - scanned > SCAN_S:
                scanned = time.monotonic()
                for role, found in living(self._root).items():
                    self._running.setdefault(role, found)
            for role, line in self.truth.items():
                state = self._state(role)
                line.note(time.time(), state)

    def _state(self, role: str) -> str:
        known = self._running.get(role)
        state = None if known is None else process_state(known.pid)
        now = time.time()
        if known is None or state is None or state[0] in "ZX" or state[1] != known.start:
            self._running.pop(role, None)
            self._alive_since.pop(role, None)
            return DEAD
        if state[0] in "Tt":
            self._alive_since.pop(role, None)
            return STOPPED
        since = self._alive_since.setdefault(role, now)
        sign = self._sign(role, known.pid, now)
        if sign >= since and now - sign < FRESH_S:
            return SERVING
        return STARTING if now - since < START_S else LATE

    def _sign(self, role: str, pid: int, now: float) -> float:
        """When it last gave a sign of life of its own."""
        if role == WAY_IN:
            return self._answered
        if role in WAYS:
            return now if self._record(role).get("pid") == pid else 0.0
        try:
            return (self._root / "sandboxes" / role / ".heartbeat").stat().st_mtime
        except OSError:
            return 0.0

    def _record(self, role: str) -> dict[str, object]:
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads((self._root / "run" / f"{role}.json").read_text("utf-8"))
            if isinstance(kept, dict):
                return kept
        return {}

    def _ask_on(self) -> None:
        while not self._ended.wait(ASK_S):
            kept = self._record(WAY_IN)
            place = kept.get("socket")
            mine = kept.get("pid") == self.pid(WAY_IN)
            if mine and isinstance(place, str) and answers(place):
                self._answered = time.time()


def answers(place: str) -> bool:
    """Whether what listens on the Unix socket there says it is ready."""
    question = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(ANSWER_S)
            peer.connect(place)
            peer.sendall(question)
            return peer.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
