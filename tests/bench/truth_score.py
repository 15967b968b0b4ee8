"""What was shown and told, held against what was true. Pure: instants are epoch seconds.

Nothing of the panel is imported here: the words and the ranks are the bench's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SERVING, DEAD, STOPPED, STARTING, LATE = "serving", "dead", "stopped", "starting", "late"
BROKEN = (DEAD, STOPPED)
READY_WORDS = frozenset(("ready", "idle", "working"))
CLOSED_WORDS = frozenset(("down", "hung", "wrong", "absent"))
BETWEEN_WORDS = frozenset(("settling", "unknown"))
CUT_OFF = "cut off"
TROUBLE_WORDS = CLOSED_WORDS | {"asleep", "stuck", "broken", CUT_OFF}
SAYS = {
    DEAD: frozenset(("down", "absent", "asleep", "broken")),
    STOPPED: frozenset(("hung", "stuck")),
    SERVING: READY_WORDS,
}
"""What a panel or its history may call it, whatever the role."""
WAYS = ("gateway", "host")
WAY_IN = "gateway"
"""The way into every sandbox of the embedded world."""
LOOK_S = 1.1 + 1.5
"""An interval at its longest, and a probe's limit."""
LOOKS_S = 2 * LOOK_S
FRAME_S = 0.25
"""Two rows of one look may be painted this far apart."""
EDGE_S = 0.5
"""A look is stamped at its end: its record may lie this far behind what it saw."""
_TOLD = {
    True: {DEAD: ("down", "absent"), STOPPED: ("hung",), SERVING: ("ready",)},
    False: {DEAD: ("down", "asleep", "broken", "absent"), STOPPED: ("stuck",), SERVING: ("ready",)},
}


@dataclass(frozen=True, slots=True)
class Span:
    """What held from one instant to another."""

    start: float
    end: float
    word: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(slots=True)
class Timeline:
    """Words in the order in which they began to hold."""

    changes: list[tuple[float, str]] = field(default_factory=list)

    def note(self, at: float, word: str) -> None:
        """This holds from then on."""
        if not self.changes or self.changes[-1][1] != word:
            self.changes.append((at, word))

    @property
    def now(self) -> str:
        return self.changes[-1][1] if self.changes else ""

    def spans(self, end: float) -> list[Span]:
        """Everything that held, up to `end`."""
        ends = [at for at, _ in self.changes[1:]] + [end]
        return [
            Span(at, until, word)
            for (at, word), until in zip(self.changes, ends, strict=True)
            if until > at
        ]

    def held(self, start: float, end: float) -> set[str]:
        """Every word that held at some time between the two."""
        return {one.word for one in self.spans(end) if one.end > start and one.start < end}


@dataclass(frozen=True, slots=True)
class Record:
    """One transition of the history."""

    at: float
    severity: str
    role: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of `status`: what it said of the ways, and how many sandboxes it called ready."""

    asked: float
    answered: float
    ways: Mapping[str, str]
    ready: int
    whole: bool = True
    """Whether it could be read at all."""


def both(one: Sequence[Span], other: Sequence[Span]) -> Iterator[tuple[float, float, str, str]]:
    """Where two lines of spans overlap: from, to, and the word of each."""
    for a in one:
        for b in other:
            start, end = max(a.start, b.start), min(a.end, b.end)
            if end > start:
                yield start, end, a.word, b.word


def joined(pieces: Sequence[tuple[float, float, str]]) -> list[Span]:
    """Pieces that touch as one span, with the word of the first."""
    spans: list[Span] = []
    for start, end, word in sorted(pieces):
        if spans and start - spans[-1].end < 1e-6:
            spans[-1] = Span(spans[-1].start, end, spans[-1].word)
        else:
            spans.append(Span(start, end, word))
    return spans


def false_ready(truth: Timeline, shown: Timeline, end: float) -> list[Span]:
    """When it was shown as serving and did not; the word is what was true at first."""
    pieces = both(truth.spans(end), shown.spans(end))
    return joined([(a, b, t) for a, b, t, s in pieces if t in BROKEN and s in READY_WORDS])


def false_down(truth: Timeline, shown: Timeline, way: Timeline | None, end: float) -> list[Span]:
    """When it was shown as broken and served; with a `way`, only while that was open too."""
    found = [
        (a, b, s)
        for a, b, t, s in both(truth.spans(end), shown.spans(end))
        if t == SERVING and s in TROUBLE_WORDS
    ]
    if way is not None:
        spans = [Span(a, b, s) for a, b, s in found]
        found = [
            (a, b, s) for a, b, s, w in both(spans, way.spans(end)) if s != CUT_OFF or w == SERVING
        ]
    return joined(found)


def alarms(truth: Timeline, way: Timeline | None, wrong: Sequence[Span]) -> int:
    """How many of the wrongly broken began out of nothing: long after the last real trouble."""
    lines = [truth] if way is None else [truth, way]
    return sum(
        all(one.held(span.start - LOOKS_S, span.start + 1e-6) == {SERVING} for one in lines)
        for span in wrong
    )


def behind_closed(way: Timeline, shown: Timeline, end: float) -> list[Span]:
    """When a sandbox was shown as ready although the row of its way in said it is closed."""
    pieces = both(way.spans(end), shown.spans(end))
    found = joined([(a, b, w) for a, b, w, s in pieces if w in CLOSED_WORDS and s in READY_WORDS])
    return [span for span in found if span.seconds > FRAME_S]


def missed(
    role: str, truth: Timeline, way: Timeline | None, records: Sequence[Record], end: float
) -> list[Span]:
    """States that lasted longer than two looks and that the history never told.

    What an agent does behind a closed way is told by the record of the way, but for its death and
    the end of that: it has to be told where it lasted as long while the way was open.
    """
    found = []
    told = _TOLD[role in WAYS]
    mine = [one for one in records if one.role == role]
    died = False
    for span in truth.spans(end):
        died = died or span.word == DEAD
        seconds = span.seconds if way is None or died else _open_s(span, way, end)
        died = died and span.word not in (SERVING, STOPPED)
        if span.word not in told or seconds <= LOOKS_S:
            continue
        words = set(told[span.word])
        if way is not None and way.held(span.start - EDGE_S, span.end) != {SERVING}:
            words.add(CUT_OFF)
        earlier = [one.after for one in mine if one.at < span.start]
        meanwhile = {one.after for one in mine if span.start <= one.at <= span.end + EDGE_S}
        # The panel's first look tells nothing: all of them served.
        if not ({(earlier or ["ready"])[-1]} | meanwhile) & words:
            found.append(span)
    return found


def _open_s(span: Span, way: Timeline, end: float) -> float:
    """The longest time within a span for which the way in served."""
    pieces = both([span], way.spans(end))
    return max((b - a for a, b, _, word in pieces if word == SERVING), default=0.0)


def doubled(records: Sequence[Record]) -> list[Record]:
    """Records that tell what the one before them has told of the same role."""
    last: dict[str, str] = {}
    found = []
    for one in records:
        if one.after and last.get(one.role) == one.after:
            found.append(one)
        last[one.role] = one.after
    return found


def wrongly_ranked(records: Sequence[Record]) -> list[Record]:
    """Records whose severity cannot be right, whatever the order among troubles is."""
    return [one for one in records if one.before and one.after and not _rank_holds(one)]


def _rank_holds(one: Record) -> bool:
    before, after = one.before, one.after
    # Whoever has work to do and no process is down here: sleep is by design, and as good as ready.
    at_rest = READY_WORDS | {"asleep"}
    if after in at_rest:
        return before in at_rest or one.severity == "better"
    if before in at_rest:
        return one.severity == "worse" if after in TROUBLE_WORDS else one.severity != "better"
    if CUT_OFF in (before, after):
        return True
    if after in TROUBLE_WORDS:
        return one.severity != "better"
    return after != "settling" or before not in TROUBLE_WORDS or one.severity != "worse"


def false_answers(
    answers: Sequence[Answer], truth: Mapping[str, Timeline]
) -> tuple[int, int, int, int]:
    """Of the answers: falsely ready, falsely broken, ready behind a closed way, not readable.

    Only what held from the question to the answer is held against one.
    """
    ready = down = closed = unread = 0
    for one in answers:
        if not one.whole:
            unread += 1
            continue
        held = {role: line.held(one.asked, one.answered) for role, line in truth.items()}
        ready += any(held[way] in BROKEN_SETS and word == "ready" for way, word in one.ways.items())
        down += any(
            held[way] == {SERVING} and word in TROUBLE_WORDS for way, word in one.ways.items()
        )
        possible = sum(held[role] not in BROKEN_SETS for role in truth if role not in WAYS)
        ready += one.ready > possible
        closed += bool(one.ready) and one.ways.get(WAY_IN) in CLOSED_WORDS
    return ready, down, closed, unread


BROKEN_SETS = ({DEAD}, {STOPPED}, {DEAD, STOPPED})
