"""Whose turn it is to wake what: one repair per gateway in this panel and among all panels.

Between panels a kernel lock on a file decides, so a killed panel lets go too. The file holds the
pid and the start of whoever has it, for the others to name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else has the turn; `who` names them for the operator."""

    who: str


class Turn:
    """The right to wake what a key names; held until released."""

    def __init__(self, turns: Turns, key: str, handle: int | None) -> None:
        self._turns = turns
        self._key = key
        self._handle = handle

    def release(self) -> None:
        """Let the next one have it; idempotent."""
        if self._turns.held.get(self._key) is self:
            del self._turns.held[self._key]
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.ftruncate(handle, 0)
            os.close(handle)


class Turns:
    """Hands out turns; never waits. `folder` is made when first needed, owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.held: dict[str, Turn] = {}

    def path(self, source: str, wake_key: str) -> Path:
        """The lock file of a gateway; any text makes a safe name."""
        name = hashlib.sha256(f"{source}\0{wake_key}".encode()).hexdigest()[:24]
        return self._folder / f"{name}.lock"

    def take(self, source: str, wake_key: str) -> Turn | Busy:
        """The turn, or who has it. Where no file can be locked, this panel alone is guarded."""
        key = f"{source}\0{wake_key}"
        if key in self.held:
            return Busy("another repair of the same gateway")
        handle: int | None = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self.path(source, wake_key)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(_self()).encode(), 0)
        except BlockingIOError:
            who = _holder(handle)
            if handle is not None:
                os.close(handle)
            return Busy(who)
        except OSError as error:
            _LOG.warning("no lock among panels for a wake: %s", error)
            if handle is not None:
                os.close(handle)
                handle = None
        turn = Turn(self, key, handle)
        self.held[key] = turn
        return turn


class Claim:
    """One attempt's wish for the turn of its gateway; the key is asked for once and kept."""

    def __init__(self, turns: Turns, source: str, wake_key: Callable[[], str]) -> None:
        self._turns = turns
        self._source = source
        self._wake_key = wake_key
        self._key: str | None = None
        self._turn: Turn | None = None
        self.busy = ""
        """Who has the turn, where somebody else has."""

    def take(self) -> bool:
        """Have the turn; False where somebody else has it."""
        if self._turn is not None:
            return True
        if self._key is None:
            self._key = self._wake_key()
        taken = self._turns.take(self._source, self._key)
        if isinstance(taken, Busy):
            self.busy = taken.who
            return False
        self._turn, self.busy = taken, ""
        return True

    def release(self) -> None:
        """Let the next one have it; idempotent."""
        if self._turn is not None:
            self._turn.release()
            self._turn = None


def _self() -> dict[str, float]:
    import psutil

    return {"pid": os.getpid(), "started": psutil.Process().create_time()}


def _holder(handle: int | None) -> str:
    if handle is None:
        return "another panel"
    try:
        pid = int(json.loads(os.pread(handle, 4096, 0))["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another panel"
    return f"another panel (process {pid})"
