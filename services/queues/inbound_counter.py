"""What is counted of an inbound file: settled rows by status, open rows one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from types import MappingProxyType

from services.lazy_dataclass import dataclass
from services.models import InLabel
from services.queues.acks import AckTracker
from services.queues.due import RULES, DueFacts, QueueRules
from services.queues.inbound import label_row
from services.queues.labels import SCRIPT_ERROR, DueState, InboundFacts


@dataclass(frozen=True, slots=True)
class OpenRow:
    """One row that can still change its label."""

    row: int
    id: str
    seq: int | None
    kind: str
    status: str
    stamp: str | None
    at: float | None
    due_at: float | None
    tries: int
    series: str
    facts: InboundFacts

    @property
    def is_due(self) -> bool:
        """Whether the host would look at it now."""
        return self.status == "pending" and self.facts.due_state is DueState.DUE


# Of ten thousand sessions most have nothing here: one empty value for all of them.
NO_ROWS: Mapping[int, OpenRow] = MappingProxyType({})
NONE_ENDED: Mapping[str, tuple[int, str]] = MappingProxyType({})


@dataclass(slots=True)
class InboundCounter:
    """One file as far as it was read."""

    first: int = 0
    """Number of its first row: another one means that rows were taken away."""
    newest: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    scripts: int = 0
    """Of the failed ones, those whose own script failed."""
    open: Mapping[int, OpenRow] = field(default_factory=lambda: NO_ROWS)
    ended: Mapping[str, tuple[int, str]] = field(default_factory=lambda: NONE_ENDED)
    """Series to the completed task that ended it, where nobody is known to have done it."""
    newest_stamp: str | None = None

    def restart(self, first: int) -> None:
        """Forget everything: the file is not the one that was read."""
        self.first, self.newest, self.newest_stamp = first, 0, None
        self.completed = self.failed = self.cancelled = self.scripts = 0
        self.open, self.ended = NO_ROWS, NONE_ENDED

    def ids(self) -> list[str]:
        """Messages whose acknowledgement matters."""
        return [*(row.id for row in self.open.values()), *self.abandoned()]

    def abandoned(self) -> list[str]:
        """Tasks that nobody did and nothing follows."""
        return [message for _, message in self.ended.values()]

    def done(self, acknowledged: Iterable[str]) -> None:
        """Those tasks were done and not cancelled."""
        known = set(acknowledged)
        ended = {series: one for series, one in self.ended.items() if one[1] not in known}
        self.ended = ended or NONE_ENDED

    def counts(self, acks: AckTracker, *, alive: bool | None) -> Mapping[InLabel, int]:
        """Every row by label."""
        ended = len(self.ended)
        counts = {
            InLabel.COMPLETED: self.completed - ended,
            InLabel.CANCELLED: ended + self.cancelled,
            InLabel.FAILED: self.failed - self.scripts,
            InLabel.SCRIPT_FAILED: self.scripts,
        }
        for row in self.open.values():
            ack = acks.find(row.id)
            label = label_row(row.facts, ack.status if ack else "", alive)
            counts[label] = counts.get(label, 0) + 1
        return counts

    def due(self, acks: AckTracker, now: float, rules: QueueRules = RULES) -> DueFacts:
        """What the host would find to do.

        See upstream/nanoclaw: Inbound labels; upstream/nanoclaw: Prompt batch.
        """
        if not self.open:
            return DueFacts(newest=self.newest_stamp)
        is_due = [row for row in self.open.values() if row.is_due]
        due = [row for row in is_due if row.facts.wakes]
        waiting = [row for row in due if not _answered(acks, row.id)]
        since = [at for row in waiting if (at := row.due_at or row.at) is not None]
        later = [
            row
            for row in self.open.values()
            if row.status == "pending" and row.facts.due_state is DueState.LATER and row.facts.wakes
        ]
        upcoming = min(later, key=lambda row: row.due_at or now, default=None)
        return DueFacts(
            due=len(due),
            starved=_starved(is_due, acks, rules),
            order_unknown=rules.oldest_first is None and len(is_due) > rules.prefetch,
            oldest_response=min(
                (row.stamp for row in due if row.kind == "system" and row.stamp), default=None
            ),
            newest=self.newest_stamp,
            waiting=len(waiting),
            waiting_since=min(since, default=None),
            next_at=None if upcoming is None else upcoming.due_at,
            next_tries=0 if upcoming is None else upcoming.tries,
        )

    def settle(self, row: OpenRow, acks: AckTracker) -> None:
        """Count a row that will not change any more."""
        self.count(row.status, 1)
        ack = acks.find(row.id) if row.status == "failed" else None
        if ack is not None and ack.status == SCRIPT_ERROR:
            self.scripts += 1

    def count(self, status: str, more: int) -> None:
        """Count rows of a status that is final."""
        match status:
            case "completed":
                self.completed += more
            case "failed":
                self.failed += more
            case _:
                self.cancelled += more

    def tries(self, message: str) -> int:
        """How often an open message was reset."""
        return next((row.tries for row in self.open.values() if row.id == message), 0)


def _answered(acks: AckTracker, message: str) -> bool:
    ack = acks.find(message)
    return ack is not None and ack.status != "processing"


def _starved(is_due: list[OpenRow], acks: AckTracker, rules: QueueRules) -> bool:
    """Whether a due row is never seen by a runner (upstream/nanoclaw: Prompt batch)."""
    if rules.oldest_first is None:
        return False
    if not rules.oldest_first:
        hidden = _behind_newer(is_due, rules.prefetch)
        return any(acks.find(row.id) is None for row in hidden)
    takes = sorted(
        (
            (row.seq, row.kind)
            for row in is_due
            if row.facts.wakes
            and not row.facts.on_wake
            and row.seq is not None
            and acks.find(row.id) is None
        ),
        key=lambda entry: entry[0],
    )
    first = takes[: rules.prefetch]
    full = len(first) == rules.prefetch
    return full and all(kind == "system" for _, kind in first) and _any_user(takes)


def _any_user(takes: list[tuple[int, str]]) -> bool:
    return any(kind != "system" for _, kind in takes)


def _behind_newer(is_due: list[OpenRow], prefetch: int) -> Iterator[OpenRow]:
    """Due rows that so many newer ones stand in front of."""
    numbered = sorted((row.seq for row in is_due if row.seq is not None), reverse=True)
    if len(numbered) <= prefetch:
        return
    last = numbered[prefetch - 1]
    for row in is_due:
        wanted = row.facts.wakes and not row.facts.on_wake and row.kind != "system"
        if wanted and row.seq is not None and row.seq < last:
            yield row
