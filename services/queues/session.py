"""One session's poll: outbound first, inbound second, neither held.

See upstream/nanoclaw: Reading safely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TypeVar

from services.clock import Clock
from services.models import Counts, InLabel, OutLabel, QueueSnapshot, SandboxId
from services.queues import backfill, inbound, outbound
from services.queues.acks import AckTracker, DeliveryTracker
from services.queues.backfill import LONG_BYTES
from services.queues.due import RULES, DueFacts, QueueRules
from services.queues.errors import FileErrorKind, QueueFileError, queue_file_error
from services.queues.facts import Survey, agent_facts
from services.queues.file_marks import SETTLED_S, changed_at, file_mark, inode_of, size_of
from services.queues.inbound_counter import InboundCounter
from services.queues.incremental import read_stride
from services.queues.kept import KeptFiles
from services.queues.messages import Page, merge_pages
from services.queues.outbound import OutboundRow, ToolRow
from services.queues.readonly import OpenFile, open_readonly
from services.queues.schema import FileSchema, SchemaCache
from services.queues.series import Series, read_series
from services.queues.timestamps import sqlite_utc
from services.queues.usage import SessionUsage, read_usage

INBOUND = "inbound.db"
OUTBOUND = "outbound.db"
_COSTLY_S = 0.25
_COST_SHARE = 40
_LONGEST_REST_S = 5.0
_TRIES = 3

FileMark = int | None
"""As of `file_marks`; None for an absent file."""
_Label = TypeVar("_Label", bound=Enum)


@dataclass(frozen=True, slots=True)
class _CachedCounts:
    """Counts that were too costly to make at every poll."""

    alive: bool | None
    until: float
    counts: Mapping[InLabel, int]


class QueueSession:
    """The two files of one folder and what is remembered of them."""

    __slots__ = (
        "_acks",
        "_cached_counts",
        "_caught_up",
        "_clock",
        "_deliveries",
        "_folder",
        "_follow",
        "_inbound_counter",
        "_inodes",
        "_newest_sent",
        "_open",
        "_outbound_seen",
        "_rules",
        "_shapes",
        "_tool",
        "_usage",
    )

    def __init__(
        self,
        folder: str,
        clock: Clock,
        shapes: SchemaCache,
        *,
        follow: bool = False,
        kept: KeptFiles | None = None,
    ) -> None:
        """`follow`: an outbound file that looks unchanged need not be opened."""
        self._open = open_readonly if kept is None else kept.open
        self._folder = folder
        self._clock = clock
        self._shapes = shapes
        self._acks = AckTracker()
        self._deliveries = DeliveryTracker()
        self._cached_counts: _CachedCounts | None = None
        self._inbound_counter = InboundCounter()
        self._inodes = 0
        self._follow = follow
        self._rules = RULES
        self._outbound_seen: FileMark = None
        self._tool: ToolRow | None = None
        self._newest_sent: str | None = None
        self._usage: SessionUsage | None = None
        self._caught_up = False
        """Whether long files are known up to their last rows."""

    @property
    def inbound(self) -> Path:
        """The file the host writes. Not kept: of ten thousand sessions few are ever opened."""
        return Path(self._folder, INBOUND)

    @property
    def outbound(self) -> Path:
        """The file the container writes."""
        return Path(self._folder, OUTBOUND)

    def file_marks(self) -> tuple[FileMark, FileMark]:
        """How both files look from outside.

        Raises:
            QueueFileError: the folder cannot be searched.
        """
        return _mark(self._folder, INBOUND), _mark(self._folder, OUTBOUND)

    def snapshot(
        self, sandbox: SandboxId, window: int, *, alive: bool | None, rules: QueueRules = RULES
    ) -> QueueSnapshot:
        """Read counts and page.

        Raises:
            QueueFileError: a file could not be read, or there is none.
        """
        self._rules = rules
        for _ in range(_TRIES):
            found = self._snapshot(sandbox, window, alive=alive)
            if self._caught_up:
                break
        return found

    def _snapshot(self, sandbox: SandboxId, window: int, *, alive: bool | None) -> QueueSnapshot:
        stats = self._present()
        self._deliveries.dated = self._rules.dated
        now = self._clock.now()
        now_text = sqlite_utc(now)
        self._catch_up(stats, now_text)
        missing: list[str] = []
        sent = self._read_sent(window, stats, missing)
        if stats[0] is None:
            missing.append(INBOUND)
            return self._to_snapshot(
                sandbox, now, Page([], sent, self._acks, {}, frozenset()), missing, {}, alive=alive
            )
        with self._open(self.inbound) as db:
            shape = self._shapes.of(db)
            if not shape.has("messages_in"):
                missing.append(INBOUND)
            posted = inbound.read_page(db, shape, window, now_text)
            ids = list(dict.fromkeys([*self._deliveries.waiting, *(row.id for row in sent)]))
            delivered = inbound.read_deliveries(db, shape, ids)
            counts = self._count_inbound(db, shape, now_text, alive=alive)
        self._deliveries.deliver(delivered)
        abandoned = frozenset(self._inbound_counter.abandoned())
        page = Page(posted, sent, self._acks, delivered, abandoned, self._rules.dated)
        return self._to_snapshot(sandbox, now, page, missing, counts, alive=alive)

    def _count_inbound(
        self, db: OpenFile, shape: FileSchema, now_text: str, *, alive: bool | None
    ) -> Mapping[InLabel, int]:
        """Count every inbound row, unless that was costly and done a moment ago."""
        started, cached = self._clock.monotonic(), self._cached_counts
        if cached is not None and started < cached.until and alive == cached.alive:
            return cached.counts
        self._read_stride(db, shape, now_text)
        counts = self._inbound_counter.counts(self._acks, alive=alive)
        cost = self._clock.monotonic() - started
        rest = min(_LONGEST_REST_S, cost * _COST_SHARE)
        costly = cost > _COSTLY_S
        self._cached_counts = _CachedCounts(alive, started + rest, counts) if costly else None
        return counts

    def _to_snapshot(
        self,
        sandbox: SandboxId,
        now: float,
        page: Page,
        missing: list[str],
        posted: Mapping[InLabel, int],
        *,
        alive: bool | None,
    ) -> QueueSnapshot:
        now_text = sqlite_utc(now)
        return QueueSnapshot(
            sandbox=sandbox,
            observed_at=now,
            messages=merge_pages(page, now_text, alive=alive),
            inbound=_in_order(InLabel, posted),
            outbound=_in_order(OutLabel, self._deliveries.counts(now_text)),
            problem=_initialising(missing),
        )

    def _read_sent(
        self, window: int, stats: tuple[FileMark, FileMark], missing: list[str]
    ) -> list[OutboundRow]:
        if stats[1] is None:
            missing.append(OUTBOUND)
            return []
        with self._open(self.outbound) as db:
            shape = self._shapes.of(db)
            if not shape.has("messages_out"):
                missing.append(OUTBOUND)
            self._read_outbound(db, shape)
            return outbound.read_page(db, shape, window)

    def survey(
        self, *, alive: bool | None, rules: QueueRules = RULES, whole: bool = True
    ) -> Survey:
        """Facts, counts and what is scheduled, each file opened once; no heartbeat.

        Unless `whole`, an outbound file that looks unchanged is not opened.

        Raises:
            QueueFileError: a file could not be read, or there is none.
        """
        self._rules = rules
        for _ in range(_TRIES):
            found = self._survey(alive=alive, whole=whole)
            if self._caught_up:
                break
        return found

    def _survey(self, *, alive: bool | None, whole: bool) -> Survey:
        stats = self._present()
        self._deliveries.dated = self._rules.dated
        now = self._clock.now()
        now_text = sqlite_utc(now)
        self._catch_up(stats, now_text)
        missing: list[str] = []
        posted: Mapping[InLabel, int] = {}
        if stats[1] is None:
            missing.append(OUTBOUND)
            self._tool = self._newest_sent = self._outbound_seen = self._usage = None
        elif whole or stats[1] != self._outbound_seen:
            with self._open(f"{self._folder}/{OUTBOUND}") as db:
                shape = self._shapes.of(db)
                if not shape.has("messages_out"):
                    missing.append(OUTBOUND)
                self._read_outbound(db, shape)
                self._usage = read_usage(db, shape)
            settled = now - changed_at(stats[1]) > SETTLED_S and not missing
            self._outbound_seen = stats[1] if settled and self._follow else None
        due, tries, series = DueFacts(), 0, tuple[Series, ...]()
        if stats[0] is None:
            missing.append(INBOUND)
        else:
            with self._open(f"{self._folder}/{INBOUND}") as db:
                shape = self._shapes.of(db)
                if not shape.has("messages_in"):
                    missing.append(INBOUND)
                sent = list(self._deliveries.waiting)
                delivered = inbound.read_deliveries(db, shape, sent)
                posted = self._count_inbound(db, shape, now_text, alive=alive)
                claims, counter = self._acks.claims, self._inbound_counter
                due = counter.due(self._acks, now, self._rules)
                tries = counter.tries(claims[0].message_id) if claims else 0
                series = self._read_series(db, shape)
            self._deliveries.deliver(delivered)
        facts = agent_facts(now, self._acks, self._tool, due, self._newest_sent, tries)
        problem, failed = _initialising(missing), self._deliveries.failed_at
        if problem or failed:
            facts = replace(facts, problem=problem, failed_at=failed)
        return Survey(
            facts,
            () if INBOUND in missing else _in_order(InLabel, posted),
            _in_order(OutLabel, self._deliveries.counts(now_text)),
            series,
            self._usage,
        )

    def _present(self) -> tuple[FileMark, FileMark]:
        """Both marks, with the memory of replaced files dropped.

        Raises:
            QueueFileError: there is neither file, or the folder cannot be searched.
        """
        stats = self.file_marks()
        if stats == (None, None):
            raise QueueFileError(self.inbound, FileErrorKind.ABSENT, "")
        inodes = inode_of(stats[0] or 0) << 64 | inode_of(stats[1] or 0)
        if inodes != self._inodes:
            large = any(stat is not None and size_of(stat) > LONG_BYTES for stat in stats)
            self._inodes = inodes
            self._acks, self._deliveries, self._cached_counts = (
                AckTracker(),
                DeliveryTracker(),
                None,
            )
            self._inbound_counter, self._caught_up = InboundCounter(), not large
            self._outbound_seen = None
        return stats

    def _catch_up(self, stats: tuple[FileMark, FileMark], now_text: str) -> None:
        """Read long files to their last rows, where that has not been done."""
        if self._caught_up:
            return
        self._acks.restart()
        if stats[1] is not None:
            backfill.catch_up_special(self.outbound, self._shapes, self._acks)
        if stats[0] is not None:
            backfill.catch_up_inbound(
                self.inbound, self._shapes, self._inbound_counter, self._acks, now_text
            )
        if stats[1] is not None:
            backfill.catch_up_acks(self.outbound, self._shapes, self._inbound_counter, self._acks)
        if stats[0] is not None and stats[1] is not None:
            backfill.catch_up_sent(self.outbound, self.inbound, self._shapes, self._deliveries)
        self._caught_up = True

    def _read_outbound(self, db: OpenFile, shape: FileSchema) -> None:
        read = outbound.read_agent(db, shape, self._acks, self._deliveries)
        self._tool, self._newest_sent = read.tool, read.newest
        self._caught_up = self._caught_up and read.whole

    def _read_stride(self, db: OpenFile, shape: FileSchema, now_text: str) -> None:
        if not shape.has("messages_in"):
            self._inbound_counter.restart(0)
        elif not read_stride(db, shape, self._inbound_counter, now_text, self._acks):
            self._caught_up = False
        if self._acks.open:
            self._acks.keep({row.id for row in self._inbound_counter.open.values()})

    def _read_series(self, db: OpenFile, shape: FileSchema) -> tuple[Series, ...]:
        tasks = [row.row for row in self._inbound_counter.open.values() if row.kind == "task"]
        return read_series(db, shape, tasks) if tasks else ()


def _mark(folder: str, name: str) -> FileMark:
    path = f"{folder}/{name}"
    try:
        return file_mark(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise queue_file_error(Path(path), error) from error


def _initialising(missing: list[str]) -> str:
    if not missing:
        return ""
    return f"initialising: {' and '.join(missing)} not complete yet"


def _in_order(labels: type[_Label], counts: Mapping[_Label, int]) -> Counts:
    if not any(counts.values()):
        return ()
    return tuple((str(label.value), counts[label]) for label in labels if counts.get(label, 0) > 0)
