"""A NanoClaw install for tests: upstream's own files, a scripted `docker`, a host that talks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.clock import Clock
from services.config.sources import NanoClawTable
from services.sources.nanoclaw.source import open_nanoclaw
from services.sources.protocol.source import OpenSource
from tests.support.nanoclaw_install import GROUP, SmallInstall

FIXTURES = Path(__file__).parents[1] / "fixtures" / "nanoclaw"
NOW = 1_795_194_300.0
"""2026-11-20T17:05:00Z, the reference clock of `states/`."""
ALPHA = "ag-fixture-alpha"
BETA = "3f0b2c1e-5a77-4f0d-9c55-0d2b7f6a9b10"

DOCKER = r"""#!/bin/sh
here="$(dirname "$0")"
{ for word in "$@"; do printf '%s\037' "$word"; done; printf '\n'; } >> "$here/argv"
if [ -f "$here/hang" ]; then exec sleep 60; fi
if [ -f "$here/failure" ]; then cat "$here/failure" >&2; exit 1; fi
verb="$1"; shift
case "$verb" in
  ps) cat "$here/ps" ;;
  inspect)
    shift 4; code=0
    for name; do cat "$here/inspect-$name" 2>/dev/null || code=1; done
    exit $code ;;
  logs) cat "$here/logs" 2>/dev/null; [ -f "$here/live" ] && exec sleep 60; exit 0 ;;
  stop) : > "$here/ps"; echo "$3" ;;
  exec)
    tty=; input=
    while :; do case "$1" in
      -it) tty=1; shift ;;
      -i) input=1; shift ;;
      -w|-e) shift 2 ;;
      *) break ;;
    esac; done
    shift
    [ "$tty" ] && exec "$@"
    # As the real one: what it starts does not end with it.
    if [ "$input" ]; then exec 3<&0; else exec 3</dev/null; fi
    setsid env --default-signal=INT,QUIT "$@" <&3 & exec 3<&- 0</dev/null
    wait $!; exit $? ;;
  *) echo "unknown verb $verb" >&2; exit 1 ;;
esac
"""


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for a Unix socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="nc-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install_states(root: Path) -> Path:
    """Upstream's sessions in every state, as a root with logs; heartbeats as of 17:04:58."""
    shutil.copytree(FIXTURES / "states", root)
    shutil.copytree(FIXTURES / "logs", root / "logs")
    for beat in root.rglob(".heartbeat"):
        os.utime(beat, (NOW - 2, NOW - 2))
    return root


def session(root: Path, name: str, group: str = ALPHA) -> Path:
    """The folder of a session."""
    return root / "data" / "v2-sessions" / group / name


def opened(root: Path, clock: Clock, **options: Any) -> OpenSource:
    """That root as a source called `claw`."""
    return open_nanoclaw("claw", NanoClawTable(label="claw", root=str(root), **options), clock)


@dataclass
class ScriptedDocker:
    """A `docker` on the PATH that says what its folder holds and records what it was asked."""

    folder: Path
    root: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / "docker"
        program.write_text(DOCKER, "utf-8")
        program.chmod(0o700)
        (self.folder / "ps").write_text("", "utf-8")

    def run(self, *homes: tuple[str, str, float], source: str = "{root}") -> list[str]:
        """Containers for (group, session, started at); gives their names."""
        rows: list[str] = []
        names: list[str] = []
        for number, (group, name, started) in enumerate(homes):
            called = f"nanoclaw-v2-{group[:5]}-{int(started * 1000) + number}"
            names.append(called)
            key = f"{abs(hash((group, name, started))):064x}"[:64]
            rows.append(json.dumps({"ID": key, "Names": called, "State": "running"}))
            place = source.replace("{root}", str(self.root))
            mounts = [
                {"Destination": "/app/src", "Source": f"{place}/container/agent-runner/src"},
                {"Destination": "/workspace", "Source": f"{place}/data/v2-sessions/{group}/{name}"},
            ]
            told = [key, {}, "0001-01-01T00:00:00Z", "", mounts]
            (self.folder / f"inspect-{key}").write_text(json.dumps(told) + "\n", "utf-8")
        (self.folder / "ps").write_text("".join(f"{row}\n" for row in rows), "utf-8")
        return names

    def add(
        self,
        name: str,
        labels: dict[str, str],
        started: float,
        install: SmallInstall,
        session: str,
        state: str = "running",
    ) -> None:
        """One more container, with the labels of a newer host; `session` is what it mounts."""
        key = hashlib.sha256(name.encode()).hexdigest()
        place = install.root / "data/v2-sessions" / GROUP / session
        began = datetime.fromtimestamp(started, UTC).isoformat()
        told = [key, labels, began, began, [{"Destination": "/workspace", "Source": str(place)}]]
        (self.folder / f"inspect-{key}").write_text(json.dumps(told) + "\n", "utf-8")
        row = json.dumps({"ID": key, "Names": name, "State": state, "Status": "Up 5 minutes"})
        with (self.folder / "ps").open("a", encoding="utf-8") as listed:
            listed.write(f"{row}\n")

    def fail(self, words: str) -> None:
        (self.folder / "failure").write_text(words, "utf-8")

    def hang(self) -> None:
        (self.folder / "hang").touch()

    def heal(self) -> None:
        for name in ("failure", "hang"):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def asked(self) -> list[list[str]]:
        """Every argv after `docker`, oldest first."""
        try:
            text = (self.folder / "argv").read_text("utf-8")
        except FileNotFoundError:
            return []
        return [line.split("\037")[:-1] for line in text.splitlines()]


Answer = Callable[[bytes], bytes | None]
"""What the host says to a request line; None: nothing, and the connection stays open."""


def recorded(line: bytes) -> bytes:
    """The answer upstream's host gave to that command, under the id that was asked with."""
    request = json.loads(line)
    frames = json.loads((FIXTURES / "ncl_frames.json").read_text("utf-8"))
    answers: list[tuple[bool, dict[str, Any]]] = []
    for frame in frames:
        try:
            sent, answer = json.loads(frame["sent"]), json.loads(frame["received"])
        except ValueError:
            continue
        if isinstance(sent, dict) and sent.get("command") == request["command"]:
            answers.append((sent.get("args") == request["args"], answer))
    answers.sort(key=lambda one: (not one[0], not one[1]["ok"]))
    if answers:
        return json.dumps({**answers[0][1], "id": request["id"]}).encode() + b"\n"
    error = {"code": "unknown-command", "message": f'no command "{request["command"]}"'}
    return json.dumps({"id": request["id"], "ok": False, "error": error}).encode() + b"\n"


@dataclass
class Host:
    """The sockets of a host process, as far as a panel sees them."""

    root: Path
    answer: Answer = recorded
    chat: list[bytes] = field(default_factory=list)
    """Lines that came in on the chat socket."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    on_chat: Callable[[], object] = lambda: None
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def admin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, then it is closed: as upstream's server does."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            line = await reader.readuntil(b"\n")
            self.requests.append(json.loads(line))
            answer = self.answer(line)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()

    async def chatter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes lines and never answers."""
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                self.chat.append(line)
                self.on_chat()
                self.came.set()
        writer.close()


@contextlib.asynccontextmanager
async def hosted(root: Path, answer: Answer = recorded) -> AsyncIterator[Host]:
    """Both sockets of a root, served."""
    host = Host(root, answer)
    data = root / "data"
    data.mkdir(parents=True, exist_ok=True)
    admin = await asyncio.start_unix_server(host.admin, str(data / "ncl.sock"))
    chat = await asyncio.start_unix_server(host.chatter, str(data / "cli.sock"))
    try:
        yield host
    finally:
        for server in (admin, chat):
            server.close()
            await server.wait_closed()
        for name in ("ncl.sock", "cli.sock"):
            (data / name).unlink(missing_ok=True)


def orphan_socket(path: Path) -> None:
    """A socket file that nobody listens on, as a host that died leaves it."""
    import socket

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
