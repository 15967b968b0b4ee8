"""A run of `make truth` as lines to print, and the aims it did not meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tests.bench import truth_score as score
from tests.bench.truth_score import BROKEN, DEAD, LATE, STOPPED, WAY_IN, WAYS, Record, Span

if TYPE_CHECKING:
    from tests.bench.truth import Run

DEAD_S = 1.5
"""A killed process is shown within this."""
STOPPED_S = 1.0 + 1.0 + 0.5
"""A stopped one: interval, probe limit and half a second."""
AROUND_S = 20.0
"""How much before and after a missed state is printed."""
_SHOWN = 12


def within(run: Run, spans: Sequence[Span]) -> list[Span]:
    """Those that belong to the run, not to its start."""
    return [span for span in spans if span.end > run.started]


def wrong_of(run: Run, role: str) -> tuple[list[Span], list[Span], list[Span], int]:
    """Falsely ready, falsely down, ready behind a closed way, and alarms out of nothing."""
    truth, shown = run.truth[role], run.shown[role]
    inside = role not in WAYS
    way = run.truth[WAY_IN] if inside else None
    ready = within(run, score.false_ready(truth, shown, run.ended))
    down = within(run, score.false_down(truth, shown, way, run.ended))
    closed = score.behind_closed(run.shown[WAY_IN], shown, run.ended) if inside else []
    return ready, down, within(run, closed), score.alarms(truth, way, down)


def missed_of(run: Run, role: str) -> list[Span]:
    """Lasting states the history never told."""
    way = run.truth[WAY_IN] if role not in WAYS else None
    return within(run, score.missed(role, run.truth[role], way, run.records, run.ended))


def longest(spans: Sequence[Span], word: str = "") -> float:
    """Seconds of the longest, of those that began with that word."""
    return max((one.seconds for one in spans if word in ("", one.word)), default=0.0)


def report(run: Run) -> Iterator[str]:
    """Everything that is known of it."""
    kinds = Counter(fault.kind for _, fault in run.faults)
    minutes = (run.ended - run.started) / 60
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    yield f"{minutes:.1f} min, {len(run.faults) / minutes:.1f} faults a minute: {told}"
    yield (
        f"{'role':15}{'broken s':>9}{'late s':>8}{'false ready s':>15}{'longest':>9}"
        f"{'killed':>8}{'stopped':>9}"
        f"{'false down s':>14}{'longest':>9}{'alarms':>8}{'behind closed s':>17}{'missed':>8}"
    )
    for role in run.truth:
        ready, down, closed, alarms = wrong_of(run, role)
        yield (
            f"{role:15}{_true(run, role, *BROKEN):9.1f}{_true(run, role, LATE):8.1f}"
            f"{_sum(ready):15.1f}{longest(ready):9.1f}{longest(ready, DEAD):8.1f}"
            f"{longest(ready, STOPPED):9.1f}{_sum(down):14.1f}{longest(down):9.1f}{alarms:8}"
            f"{_sum(closed):17.1f}{len(missed_of(run, role)):8}"
        )
    double, ranked = score.doubled(run.records), score.wrongly_ranked(run.records)
    yield (
        f"history       {len(run.records)} records, {len(double)} doubled, "
        f"{len(ranked)} ranked wrong"
    )
    yield from _listed("doubled", run, double)
    yield from _listed("ranked", run, ranked)
    for role in run.truth:
        for span in missed_of(run, role):
            at = span.start - run.started
            yield f"  missed      {at:7.1f} s  {role} was {span.word} for {span.seconds:.1f} s"
            yield from _around(run, role, span)
    for role in run.truth:
        way = run.truth[WAY_IN] if role not in WAYS else None
        for span in wrong_of(run, role)[1]:
            if score.alarms(run.truth[role], way, [span]):
                at = span.start - run.started
                for_s = f"for {span.seconds:.1f} s"
                yield f"  alarm       {at:7.1f} s  {role} shown {span.word} {for_s}"
                yield from _around(run, role, span)
    ready_, down_, closed_, unread = score.false_answers(run.answers, run.truth)
    yield (
        f"status        {len(run.answers)} answers: {ready_} falsely ready, {down_} falsely down, "
        f"{closed_} ready behind a closed way, {unread} not readable"
    )
    lag = "   ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in run.lag.items())
    yield f"bare loop     late by {lag or 'nothing measured'}"


def aims(run: Run) -> list[str]:
    """Every aim that was not met, in a sentence."""
    unmet = []
    for role in run.truth:
        ready, down, closed, alarms = wrong_of(run, role)
        for word, limit in ((DEAD, DEAD_S), (STOPPED, STOPPED_S)):
            if longest(ready, word) > limit:
                unmet.append(f"{role}, {word}: ready for {longest(ready, word):.1f} s ({limit})")
        if closed:
            unmet.append(f"{role}: ready behind a closed way for {_sum(closed):.1f} s (0)")
        if alarms:
            unmet.append(f"{role}: {alarms} false alarms, {longest(down):.1f} s at most (0)")
        if lost := missed_of(run, role):
            unmet.append(f"{role}: {len(lost)} lasting states not told (0)")
    if double := score.doubled(run.records):
        unmet.append(f"{len(double)} doubled records (0)")
    if ranked := score.wrongly_ranked(run.records):
        unmet.append(f"{len(ranked)} wrongly ranked records (0)")
    falsely = sum(score.false_answers(run.answers, run.truth))
    if falsely:
        unmet.append(f"{falsely} answers of status were false or not readable (0)")
    return unmet


def _around(run: Run, role: str, span: Span) -> Iterator[str]:
    """What was true, shown and told of a role and its way in around one span."""
    first, last = span.start - AROUND_S, span.end + AROUND_S
    for one in dict.fromkeys((role, WAY_IN)):
        for what, line in (("true", run.truth[one]), ("shown", run.shown[one])):
            words = [
                f"{piece.start - run.started:.1f} {piece.word}"
                for piece in line.spans(run.ended)
                if piece.end > first and piece.start < last
            ]
            yield f"    {one} {what}: {', '.join(words)}"
        told = [
            f"{record.at - run.started:.1f} {record.before} → {record.after}"
            for record in run.records
            if record.role == one and first <= record.at <= last
        ]
        yield f"    {one} told: {', '.join(told) or 'nothing'}"


def _sum(spans: Sequence[Span]) -> float:
    return sum(span.seconds for span in spans)


def _true(run: Run, role: str, *words: str) -> float:
    """For how many seconds one of these was true."""
    spans = run.truth[role].spans(run.ended)
    return _sum([one for one in within(run, spans) if one.word in words])


def _listed(what: str, run: Run, records: Sequence[Record]) -> Iterator[str]:
    for one in records[:_SHOWN]:
        at = one.at - run.started
        yield f"  {what:10}  {at:7.1f} s  {one.role}: {one.before} → {one.after} ({one.severity})"
    if len(records) > _SHOWN:
        yield f"  {what:10}  and {len(records) - _SHOWN} more"
