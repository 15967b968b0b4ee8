"""Where the embedded world keeps its files, and the records its processes leave.

::

    <root>/
      lock                      flock while a world is brought up or down
      keep                      present: the world outlives its panels (`wakedeck local up`)
      leases/<pid>.lease        flock held by each live panel
      run/gateway.json          ProcessRecord; `run/host.json`, `run/agent-<name>.json` likewise
      gateway/token             bearer token, 0600
      gateway/faults.json       faults the gateway obeys; SIGUSR1 makes it read them again
      logs/<role>.log           stdout and stderr of each process
      sandboxes/<name>/         inbound.db, outbound.db, .heartbeat
      (upstream/nanoclaw: Files of an install)
      sandboxes/<name>/agent.lock      pid of the agent that owns the folder
      sandboxes/<name>/crashes.jsonl   one line for each start that failed
      sandboxes/<name>/work/    where its shell opens
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

SANDBOX_NAMES = ("inbox-triage", "release-notes", "data-pull", "night-watch")
"""The four sandboxes of a fresh world."""

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Who plays a role. A pid may since belong to somebody else; with its start it may not."""

    role: str
    """`gateway`, `host` or `agent-<name>`."""
    pid: int
    created: float
    """The process's creation time as psutil gives it, seconds since the epoch."""
    port: int | None = None


@dataclass(frozen=True, slots=True)
class World:
    """The folder of one embedded world; nothing here touches the disk but the named methods."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def keep(self) -> Path:
        return self.root / "keep"

    @property
    def leases(self) -> Path:
        return self.root / "leases"

    @property
    def token(self) -> Path:
        return self.root / "gateway" / "token"

    @property
    def faults(self) -> Path:
        return self.root / "gateway" / "faults.json"

    @property
    def sandboxes(self) -> Path:
        return self.root / "sandboxes"

    def record(self, role: str) -> Path:
        return self.root / "run" / f"{role}.json"

    def log(self, role: str) -> Path:
        return self.root / "logs" / f"{role}.log"

    def sandbox(self, name: str) -> Path:
        return self.sandboxes / name

    def work(self, name: str) -> Path:
        return self.sandboxes / name / "work"

    def names(self) -> tuple[str, ...]:
        """The sandboxes that exist on disk, sorted."""
        try:
            return tuple(sorted(p.name for p in self.sandboxes.iterdir() if p.is_dir()))
        except OSError:
            return ()

    def create(self) -> None:
        """Make the folders, owner only; what is there already stays."""
        for folder in (
            self.root,
            self.leases,
            self.root / "run",
            self.root / "logs",
            self.root / "gateway",
            self.sandboxes,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read_record(self, role: str) -> ProcessRecord | None:
        """The record of a role; None where it is missing or not a whole record."""
        return _record_of(self.record(role))

    def write_record(self, record: ProcessRecord) -> None:
        """Replace the record of a role whole."""
        write_private(self.record(record.role), json.dumps(asdict(record)))


def _record_of(path: Path) -> ProcessRecord | None:
    try:
        fields = json.loads(path.read_text("utf-8"))
        return ProcessRecord(
            role=str(fields["role"]),
            pid=int(fields["pid"]),
            created=float(fields["created"]),
            port=None if fields.get("port") is None else int(fields["port"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Replace a file whole, mode 0600: a reader sees the old text or the new, never half."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
