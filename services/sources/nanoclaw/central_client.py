"""The last good reading of the central DB: read again on change, else asked of the host."""

from __future__ import annotations

from dataclasses import replace

from services.clock import Clock
from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.queues.errors import FailureCounter, QueueFileError
from services.queues.file_marks import SETTLED_S, changed_at
from services.queues.schema import SchemaCache
from services.queues.tables import CachedTable, Record, read_tables
from services.sources.nanoclaw import frames
from services.sources.nanoclaw.central_db import (
    TABLES,
    CentralSnapshot,
    SessionRow,
    compose,
    session_row,
)
from services.sources.nanoclaw.coordination import PENDING
from services.sources.nanoclaw.folders import Mark, mark
from services.sources.nanoclaw.frames import HostQuery
from services.sources.nanoclaw.install import Install, owner_trouble

LONGEST_REST_S = 5.0
REST_A_ROW_S = 0.003
"""A large DB that looks unchanged is read again less often: 10 000 sessions after 30 s."""
_MOST_CONFIGS = 40
_ASKED_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class CentralReading:
    """The central DB as far as it is known."""

    central: CentralSnapshot
    known: bool
    """Whether anybody ever said which sessions there are."""
    at: float = 0.0
    """When that was true."""
    problem: str = ""
    """Why it could not be refreshed from the file."""
    from_host: bool = False
    """It was the host that said it, over its socket."""


class CentralClient:
    """Reads one install's central DB."""

    def __init__(self, install: Install, clock: Clock) -> None:
        self._install = install
        self._clock = clock
        self._shapes = SchemaCache()
        self._rows: CachedTable[SessionRow] = CachedTable("sessions", session_row)
        self._patience = FailureCounter()
        self._marks: tuple[Mark, Mark] | None = None
        self._read_at = 0.0
        self._asked_at: float | None = None
        self.seen = CentralReading(CentralSnapshot(), known=False)

    async def read(self) -> CentralReading:
        """The newest reading; a failure keeps the last good one with the problem."""
        trouble = owner_trouble(self._install)
        if trouble:
            return await self._ask(trouble)
        marks = self._file_marks()
        now = self._clock.monotonic()
        rest = max(LONGEST_REST_S, len(self.seen.central.sessions) * REST_A_ROW_S)
        if self._marks == marks and now - self._read_at < rest and not self.seen.from_host:
            self.seen = replace(self.seen, at=self._clock.now())
            return self.seen
        try:
            tables = await read_tables(
                self._install.central, TABLES, self._shapes, self._rows, PENDING
            )
        except QueueFileError as error:
            self._marks = None
            sentence = self._patience.failed(error)
            if self.seen.known and not self.seen.from_host and not sentence:
                return self.seen
            return await self._ask(sentence or error.sentence)
        self._patience.succeeded()
        self._read_at = now
        wall = self._clock.now()
        self._marks = marks if _settled(marks, wall) else None
        self.seen = CentralReading(compose(tables, self._rows.rows), known=True, at=wall)
        return self.seen

    def _file_marks(self) -> tuple[Mark, Mark]:
        path = str(self._install.central)
        return mark(path), mark(f"{path}-wal")

    async def _ask(self, problem: str) -> CentralReading:
        """The same from the host, where it answers; else what is known, with the problem."""
        now = self._clock.monotonic()
        if self._asked_at is not None and now - self._asked_at < _ASKED_EVERY_S:
            self.seen = replace(self.seen, problem=problem)
            return self.seen
        self._asked_at = now
        try:
            central = compose(await query_tables(self._install))
        except UnavailableError:
            self.seen = replace(self.seen, problem=problem)
            return self.seen
        central = replace(central, users_known=False)
        at = self._clock.now()
        self.seen = CentralReading(central, known=True, at=at, problem=problem, from_host=True)
        return self.seen


async def query_tables(install: Install) -> dict[str, list[Record]]:
    """The central tables as far as the host lists them (upstream/nanoclaw: Admin socket).

    Raises:
        NoAnswerError: nobody answered.
        FrameError: the host refused.
    """
    sessions = await frames.records(install, HostQuery.SESSIONS)
    groups = await frames.records(install, HostQuery.GROUPS)
    tables: dict[str, list[Record]] = {
        "sessions": list(sessions),
        "agent_groups": list(groups),
        "messaging_groups": list(await frames.records(install, HostQuery.CHATS)),
        "messaging_group_agents": list(await frames.records(install, HostQuery.WIRINGS)),
        "pending_approvals": list(await frames.records(install, HostQuery.APPROVALS)),
    }
    if len(groups) <= _MOST_CONFIGS:
        tables["container_configs"] = [
            config for row in groups if (config := await _config(install, row)) is not None
        ]
    return tables


async def _config(install: Install, group: Record) -> Record | None:
    identity = group.get("id")
    if not isinstance(identity, str):
        return None
    try:
        data = await frames.ask(install, HostQuery.CONFIG, {"id": identity})
    except frames.FrameError:
        return None
    return data if isinstance(data, dict) else None


def _settled(marks: tuple[Mark, Mark], now: float) -> bool:
    return all(one is None or now - changed_at(one) > SETTLED_S for one in marks)
