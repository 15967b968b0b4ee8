"""What a far side says, made into records of ours: harmless, bounded, in this machine's time.

The far side is trusted with nothing: every text is sanitized and redacted here again, every number
has bounds, a word nobody knows becomes the unknown of its kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from enum import Enum
from typing import TypeVar

import msgspec

from services.lazy_dataclass import dataclass
from services.logs.reader import LogRecord
from services.models import (
    Activity,
    Capability,
    Counts,
    Direction,
    Event,
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    InLabel,
    LogStream,
    Message,
    OutLabel,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Step,
    StepState,
    UnknownWord,
)
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.redact import redact_line
from services.wire.frames import WireError
from services.wire.messages import MOST_ALIASES, EventRow, WireGateway, WireSandbox, convert

LONGEST_ID = 500
MOST_FACTS = 64
MOST_MESSAGES = 4000
_DEAREST = 1e7
_LATEST = 1e11
E = TypeVar("E", bound=Enum)
_CAPABILITIES = {one.value: one for one in Capability}
_QUEUE_LABELS: dict[str, InLabel | OutLabel] = {one.value: one for one in (*InLabel, *OutLabel)}


def is_id(text: str) -> bool:
    """Whether a far side's id can name a row here: sent back as it is, and shown as it is."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and text == text.strip()


def word_of(kind: type[E], word: str, otherwise: E) -> E:
    """The member of an enum that a word names."""
    try:
        return kind(word)
    except ValueError:
        return otherwise


def number(value: float | None) -> float | None:
    """A finite number of a size that can be an instant or a duration."""
    if value is None or not math.isfinite(value) or abs(value) > _LATEST:
        return None
    return value


@dataclass
class Incoming:
    """Reads what one source of one far side says."""

    near: str
    """Key of the source here."""
    far: str
    """Key of the source there."""
    offset_s: float = 0.0
    """This machine's clock less the far side's."""
    words: list[UnknownWord] = field(default_factory=list)
    """What nobody here knows, since it was last taken."""

    def here(self, at: float | None) -> float | None:
        """An instant of the far side by this machine's clock."""
        known = number(at)
        return None if known is None else known + self.offset_s

    def gateway_id(self, native: str) -> GatewayId:
        """A gateway of the far side by its name here."""
        return GatewayId(self.near, f"{self.far}/{native}")

    def sandbox_id(self, native: str) -> SandboxId:
        """A sandbox of the far side by its name here."""
        return SandboxId(self.near, f"{self.far}/{native}")

    def gateway(self, row: WireGateway, at: float) -> Gateway:
        """A gateway, named with its host: those of many hosts are called the same there.

        `at` is the far side's instant where the row names none.
        """
        return Gateway(
            id=self.gateway_id(row.id),
            name=redact_line(f"{self.near}/{row.name or row.id}", 200),
            state=self._state(GatewayState, row.state, GatewayState.UNKNOWN, "gateway state"),
            reason=_reason(row.reason, row.state, GatewayState),
            observed_at=self._observed_at(row.observed_at, at),
            address=redact_line(row.address, 200),
            latency_s=number(row.latency_s),
            evidence=_facts(row.evidence),
            stale=row.stale,
            since=self.here(row.since),
            until=self.here(row.until),
        )

    def sandbox(
        self, row: WireSandbox, at: float, missing: Iterable[tuple[Capability, str]], way: GatewayId
    ) -> Sandbox:
        """A sandbox that needs `way` besides its own; `missing` is what its source cannot do."""
        state = self._state(SandboxState, row.state, SandboxState.UNKNOWN, "sandbox state")
        if state is SandboxState.CUT_OFF:  # nobody's own state
            state = SandboxState.UNKNOWN
        own = {_CAPABILITIES.get(word): why for word, why in row.unavailable.items()}
        unavailable = dict(missing) | {
            one: redact_line(why, 300) for one, why in own.items() if one is not None
        }
        needs = [self.gateway_id(one) for one in row.needs[:8] if is_id(one)]
        return Sandbox(
            id=self.sandbox_id(row.id),
            name=redact_line(row.name or row.id, 200),
            state=state,
            reason=_reason(row.reason, row.state, SandboxState),
            observed_at=self._observed_at(row.observed_at, at),
            gateway=self.gateway_id(row.gateway) if is_id(row.gateway) else way,
            activity=word_of(Activity, row.activity, Activity.NONE),
            tool=redact_line(row.tool, 100),
            evidence=_facts(row.evidence),
            inbound=_counts(row.inbound),
            outbound=_counts(row.outbound),
            asleep_by_design=row.asleep_by_design,
            unavailable=tuple(unavailable.items()),
            stale=row.stale,
            needs=(way, *needs),
            since=self.here(row.since),
            until=self.here(row.until),
            needs_me=redact_line(row.needs_me, 200),
            cost_usd=_cost(row.cost_usd),
            aliases=tuple(redact_line(one) for one in row.aliases[:MOST_ALIASES] if is_id(one)),
            stock=row.stock,
        )

    def event(self, row: EventRow) -> Event | None:
        """Something that happened there; None where it has no instant or no readable subject."""
        at = self.here(row.at)
        if at is None or (row.subject and not is_id(row.subject)):
            return None
        return Event(
            at=at,
            severity=word_of(Severity, row.severity, Severity.INFO),
            source=self.near,
            subject=f"{self.far}/{row.subject}" if row.subject else self.far,
            kind=redact_line(row.kind, 20) or "panel",
            text=redact_line(row.text),
            before=redact_line(row.before, 40),
            after=redact_line(row.after, 40),
            told_at=number(row.at),
        )

    def queue(self, sandbox: SandboxId, items: Sequence[object], now: float) -> QueueSnapshot:
        """A queue from its items.

        Raises:
            WireError: they are not of a queue.
        """
        pages = [convert(one, _QueuePage, "a queue") for one in items] or [_QueuePage()]
        head = pages[0]
        rows = [row for page in pages for row in page.messages][:MOST_MESSAGES]
        return QueueSnapshot(
            sandbox=sandbox,
            observed_at=self.here(head.observed_at) or now,
            messages=tuple(self._message(row) for row in rows),
            inbound=_counts(head.inbound),
            outbound=_counts(head.outbound),
            problem=redact_line(head.problem),
            stale=head.stale,
        )

    def step(self, value: object) -> Step | Verdict:
        """A step or a verdict from an item.

        Raises:
            WireError: it is neither.
        """
        said = convert(value, _StepItem, "a step")
        if said.verdict is not None:
            return verdict(said.verdict)
        if said.step is None:
            raise WireError("an item of a verb holds neither a step nor a verdict")
        row = said.step
        return Step(
            name=redact_line(row.name, 40) or "step",
            state=word_of(StepState, row.state, StepState.RUNNING),
            started_at=self.here(row.started_at),
            ended_at=self.here(row.ended_at),
            limit_s=number(row.limit_s),
            detail=redact_line(row.detail),
            critical=row.critical,
            transient=row.transient,
            best_effort=row.best_effort,
            outcome=redact_line(row.outcome),
        )

    def record(self, value: object) -> LogRecord:
        """A record of a log, as its source has it: what shows it makes it harmless.

        Raises:
            WireError: it is none.
        """
        row = convert(value, _RecordItem, "a log record")
        return LogRecord(row.text, self.here(row.at), row.key[:200], row.note)

    def _message(self, row: _MessageRow) -> Message:
        direction = word_of(Direction, row.direction, Direction.IN)
        unknown = InLabel.UNKNOWN_STATUS if direction is Direction.IN else OutLabel.UNKNOWN_STATUS
        label = _QUEUE_LABELS.get(row.label)
        if label is None:
            self._unknown("message label", row.label)
        return Message(
            direction=direction,
            id=redact_line(row.id, 200),
            seq=row.seq,
            label=label or unknown,
            kind=redact_line(row.kind, 60),
            at=self.here(row.at),
            text=redact_line(row.text),
            size=max(0, min(row.size, 1 << 40)),
            channel=redact_line(row.channel, 100),
            reply_to=None if row.reply_to is None else redact_line(row.reply_to, 200),
            tries=max(0, min(row.tries, 1 << 31)),
            due_at=self.here(row.due_at),
            since=self.here(row.since),
            note=redact_line(row.note if label else row.label, 80),
        )

    def _observed_at(self, own: float | None, at: float) -> float:
        known = self.here(own)
        return at + self.offset_s if known is None else known

    def _state(self, kind: type[E], word: str, otherwise: E, place: str) -> E:
        try:
            return kind(word)
        except ValueError:
            self._unknown(place, word)
            return otherwise

    def _unknown(self, place: str, word: str) -> None:
        if len(self.words) < MOST_FACTS:
            self.words.append(UnknownWord(self.near, place, redact_line(word, 60)))


def verdict(row: VerdictRow) -> Verdict:
    """A verdict; a kind nobody knows is unknown, so that nothing is done by it."""
    return Verdict(
        kind=word_of(VerdictKind, row.kind, VerdictKind.UNKNOWN),
        reason=redact_line(row.reason),
        wakeable=row.wakeable,
        advice=redact_line(row.advice),
        confirmable=row.confirmable if is_id(row.confirmable) else "",
        over=row.over,
    )


def verdict_of(value: object) -> Verdict:
    """A verdict from its item.

    Raises:
        WireError: it is none.
    """
    said = convert(value, _StepItem, "a verdict")
    if said.verdict is None:
        raise WireError("a probe was answered without a verdict")
    return verdict(said.verdict)


def streams_of(value: object) -> tuple[LogStream, ...]:
    """The streams of a log from their item.

    Raises:
        WireError: they are none.
    """
    rows = convert(value, _StreamsItem, "log streams").streams[:200]
    return tuple(LogStream(name, redact_line(title, 100)) for name, title in rows if is_id(name))


def capabilities(
    words: Iterable[str], reasons: dict[str, str], label: str
) -> dict[Capability, str]:
    """What a far source cannot do, and why."""
    there = set(words)
    return {
        one: redact_line(reasons.get(one.value, ""), 300) or f"{label} cannot do this"
        for one in Capability
        if one.value not in there
    }


def _reason(reason: str, word: str, kind: Callable[[str], Enum]) -> str:
    said = redact_line(reason)
    try:
        kind(word)
    except ValueError:
        return f"It says {redact_line(word, 40)!r}, which this panel does not know. {said}".strip()
    return said


def _cost(said: float | None) -> float | None:
    known = number(said)
    return known if known is not None and 0.0 <= known <= _DEAREST else None


def _facts(rows: Iterable[tuple[str, str]]) -> Facts:
    kept = list(rows)[:MOST_FACTS]
    return tuple((redact_line(name, 60), redact_line(value, 300)) for name, value in kept)


def _counts(rows: Iterable[tuple[str, int]]) -> Counts:
    kept = list(rows)[:MOST_FACTS]
    return tuple((redact_line(name, 60), max(0, min(count, 1 << 40))) for name, count in kept)


class _MessageRow(msgspec.Struct, frozen=True):
    id: str = ""
    direction: str = "in"
    label: str = ""
    kind: str = ""
    text: str = ""
    size: int = 0
    seq: int | None = None
    at: float | None = None
    channel: str = ""
    reply_to: str | None = None
    tries: int = 0
    due_at: float | None = None
    since: float | None = None
    note: str = ""


class _QueuePage(msgspec.Struct, frozen=True):
    observed_at: float | None = None
    inbound: list[tuple[str, int]] = []
    outbound: list[tuple[str, int]] = []
    problem: str = ""
    stale: bool = False
    messages: list[_MessageRow] = []


class VerdictRow(msgspec.Struct, frozen=True):
    """A verdict as it travels."""

    kind: str = ""
    reason: str = ""
    wakeable: bool = False
    advice: str = ""
    confirmable: str = ""
    over: bool = False


class _StepRow(msgspec.Struct, frozen=True):
    name: str = ""
    state: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    limit_s: float | None = None
    detail: str = ""
    critical: bool = False
    transient: bool = False
    best_effort: bool = False
    outcome: str = ""


class _StepItem(msgspec.Struct, frozen=True):
    step: _StepRow | None = None
    verdict: VerdictRow | None = None


class _StreamsItem(msgspec.Struct, frozen=True):
    streams: list[tuple[str, str]] = []


class _RecordItem(msgspec.Struct, frozen=True):
    text: str = ""
    at: float | None = None
    key: str = ""
    note: bool = False
