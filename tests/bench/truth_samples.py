"""What a panel shows, what `status` answers and what the history keeps, taken while it happens."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import pyte

from services.terminal.transport.pty import PtyProcess
from tests.bench.truth_score import WAYS, Answer, Record, Timeline

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 160, 45
SAMPLE_S = 0.5
STALE = "stale"
_NAMES = {"gateway": "gateway", "host (traffic)": "host", "host (tra…": "host"}
"""As they stand there, also where the column is narrower."""
_SOURCE = "local"


class Screen:
    """A panel on a terminal, read row by row through a terminal that is not its own."""

    def __init__(self, process: PtyProcess, agents: Iterable[str]) -> None:
        self.process = process
        self.shown = {role: Timeline() for role in (*WAYS, *agents)}
        self._names = {**_NAMES, **{name: name for name in self.shown if name not in WAYS}}
        names = "|".join(re.escape(name) for name in self._names)
        self._row = re.compile(rf"\s*(?:›\s*)?\S ([a-z][a-z ]*?)\s+({names})(?=\s|$)(.*)")
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, environ: Mapping[str, str], agents: Iterable[str]) -> Screen:
        """Start a panel; its world is the embedded one of that home."""
        code = "from tui.cli.main import main; main()"
        process = await PtyProcess.start(
            [sys.executable, "-c", code], env=environ, cwd=ROOT, columns=COLUMNS, lines=LINES
        )
        return cls(process, agents)

    @property
    def text(self) -> str:
        """All of it as it stands, for a message."""
        return "\n".join(self._screen.display)

    def sample(self) -> None:
        """Look at the whole screen: a role whose row is nowhere is shown as nothing."""
        now = time.time()
        found = self._rows(range(LINES))
        for role, line in self.shown.items():
            line.note(now, found.get(role, ""))

    def _rows(self, lines: Iterable[int]) -> dict[str, str]:
        """The word of each role there; half painted, one may stand there twice: then none."""
        found: dict[str, set[str]] = {}
        for y in lines:
            cells = self._screen.buffer[y]
            text = "".join(cells[x].data for x in range(COLUMNS))
            for part in text.split("│"):
                row = self._row.match(part)
                if row is not None:
                    words = found.setdefault(self._names[row[2]], set())
                    words.add(STALE if is_stale(row[3]) else row[1])
        return {role: words.pop() for role, words in found.items() if len(words) == 1}

    async def _read(self) -> None:
        while data := await self.process.read():
            self._screen.dirty.clear()
            self._stream.feed(data)
            now = time.time()
            if self._rows(y for y in self._screen.dirty if y < LINES):
                for role, word in self._rows(range(LINES)).items():
                    self.shown[role].note(now, word)

    async def close(self) -> None:
        await self.process.terminate()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


def is_stale(rest: str) -> bool:
    """Whether a row says so: its age stands last, as `stale 12s` or `~12s`."""
    words = rest.split()
    return words[-1:] != [] and (words[-1].startswith("~") or words[-2:-1] == ["stale"])


class History:
    """The journal, read beside those who write it; it is never made or written here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = 0
        self.records: list[Record] = []

    def read(self) -> None:
        """Take in what is new."""
        if not self._path.exists():
            return
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=2)) as db:
            rows = db.execute(
                "SELECT id, at, severity, subject, before, after FROM events"
                " WHERE id > ? AND source = ? AND kind IN ('sandbox', 'gateway') ORDER BY id",
                (self._last, _SOURCE),
            ).fetchall()
        for number, at, severity, subject, before, after in rows:
            self._last = number
            self.records.append(Record(at, severity, subject, before, after))

    def last(self, role: str) -> str:
        """What it told of a role last; `ready` while it has told nothing."""
        return next((one.after for one in reversed(self.records) if one.role == role), "ready")


async def ask_status(environ: Mapping[str, str]) -> Answer:
    """One `wakedeck status --json`."""
    code = "from tui.cli.main import main; main()"
    asked = time.time()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "status", "--json"),
        env=dict(environ),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    return answer_of(said, asked, time.time())


def answer_of(said: bytes, asked: float, answered: float) -> Answer:
    """What was printed; an answer that is not whole says so."""
    try:
        shape = json.loads(said)
        ways = {
            row["id"].rpartition("/")[2]: STALE if row["stale"] else str(row["state"])
            for row in shape["gateways"]
        }
        return Answer(asked, answered, ways, int((shape["totals"] or {}).get("ready", 0)))
    except (ValueError, KeyError, TypeError):
        return Answer(asked, answered, {}, 0, whole=False)
