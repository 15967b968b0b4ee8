"""Where the embedded world keeps its files, and the records its processes leave.

::

    <root>/
      lock                      flock while a world is brought up or down
      keep                      present: the world outlives its panels (`wakedeck local up`)
      tcp                       present: the gateway listens on a loopback port too (`--tcp`)
      simulated                 how many rows are shown, simulated ones included (`--sandboxes`)
      leases/<pid>.lease        flock held by each live panel
      run/gateway.json          ProcessRecord; `run/host.json`, `run/agent-<name>.json` likewise
      starting/<role>           ProcessRecord of who was started and left no record yet
      run/gateway.sock          where the gateway listens; a short folder where this is too long
      gateway/token             bearer token of the gateway's present life, 0600
      gateway/faults.json       faults the gateway obeys; SIGUSR1 makes it read them again
      logs/<role>.log           stdout and stderr of each process
      sandboxes/<name>/         inbound.db, outbound.db, .heartbeat
      (upstream/nanoclaw: Files of an install)
      sandboxes/<name>/agent.lock      ProcessRecord of the agent that owns the folder
      sandboxes/<name>/crashes.jsonl   one line for each start that failed
      sandboxes/<name>/work/    where its shell opens
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from services.files.bounded import parse_json, read_bounded
from services.files.private import private_folder
from services.process.identity import ProcessId

SANDBOX_NAMES = ("inbox-triage", "release-notes", "data-pull", "night-watch")
"""The four sandboxes of a fresh world."""

HOST = "127.0.0.1"
_LARGEST_RECORD = 16 * 1024


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Who plays a role. A pid may since belong to somebody else; with its start it may not."""

    role: str
    """`gateway`, `host` or `agent-<name>`."""
    pid: int
    created: float
    """When it began, in seconds of the wall clock of that time; to be read by people."""
    port: int | None = None
    """Of a gateway that listens on TCP too."""
    start_ticks: int | None = None
    """As `ProcessId`; None in a record of an earlier version."""
    boot_id: str = ""
    socket: str = ""
    """Of a gateway: the Unix socket it listens on."""

    @property
    def process(self) -> ProcessId | None:
        """The process, where the record tells it apart from others."""
        if self.start_ticks is None:
            return None
        return ProcessId(self.pid, self.start_ticks, self.boot_id)

    @classmethod
    def of(cls, fields: object) -> ProcessRecord | None:
        """A record from decoded JSON; None where it is not a whole one."""
        if not isinstance(fields, dict):
            return None
        role, pid, created = (fields.get(name) for name in ("role", "pid", "created"))
        port, socket = fields.get("port"), fields.get("socket")
        if not isinstance(role, str) or type(pid) is not int:
            return None
        if not isinstance(created, int | float) or type(port) not in (int, type(None)):
            return None
        known = ProcessId.of(fields)
        return cls(
            role,
            pid,
            float(created),
            port,
            known.start_ticks if known else None,
            known.boot_id if known else "",
            socket if isinstance(socket, str) else "",
        )


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
    def tcp(self) -> Path:
        return self.root / "tcp"

    @property
    def simulated(self) -> Path:
        return self.root / "simulated"

    @property
    def leases(self) -> Path:
        return self.root / "leases"

    @property
    def starts(self) -> Path:
        return self.root / "starting"

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
            self.starts,
            self.root / "logs",
            self.root / "gateway",
            self.sandboxes,
        ):
            private_folder(folder)

    def read_record(self, role: str) -> ProcessRecord | None:
        """The record of a role; None where it is missing or not a whole record."""
        return read_record_file(self.record(role))

    def write_record(self, record: ProcessRecord) -> None:
        """Replace the record of a role whole."""
        write_record_file(self.record(record.role), record)


def read_record_file(path: Path) -> ProcessRecord | None:
    """The record in a file; None where it is missing or not a whole record."""
    try:
        return ProcessRecord.of(parse_json(read_bounded(path, _LARGEST_RECORD)))
    except (OSError, ValueError):
        return None


def write_record_file(path: Path, record: ProcessRecord) -> None:
    """Replace a record whole."""
    write_private(path, json.dumps(asdict(record)))


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
