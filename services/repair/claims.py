"""Whether what an attempt said of its end still holds, or something newer takes its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.board.deltas import SourceLink
from services.board.shown import CLOSED, way_reason
from services.models import Attempt, AttemptState, Gateway, Sandbox, SandboxState
from services.text.sanitize import end_sentence, sanitize


class Later(NamedTuple):
    """What is true now and was not yet when the attempt ended."""

    at: float
    """Since when, seconds since the epoch."""
    text: str
    better: bool = False


class _Trouble(NamedTuple):
    since: float
    seen_at: float
    """When it was last seen to be so; `since` where it has not been confirmed since."""
    text: str


def overtaken_by(
    attempt: Attempt,
    sandbox: Sandbox | None,
    ways: Iterable[Gateway] = (),
    link: SourceLink | None = None,
) -> Later | None:
    """What takes the place of an attempt's result; None while it is the newest there is.

    A success ends with the first trouble seen after it: of the sandbox as shown, of its `ways` in
    or of its source. Any other result ends with trouble that began after it, or where the sandbox
    has come to serve since. A running attempt has no result yet.
    """
    ended = attempt.ended_at
    if ended is None or not attempt.state.ended:
        return None
    troubles = [one for one in _troubles(sandbox, ways, link) if one is not None]
    if attempt.state is AttemptState.DONE:
        newer = [one for one in troubles if max(one.since, one.seen_at) > ended]
    else:
        newer = [one for one in troubles if one.since > ended]
    if newer:
        latest = max(newer, key=lambda one: one.since)
        return Later(latest.since, latest.text)
    if attempt.state is AttemptState.DONE or troubles or sandbox is None or sandbox.stale:
        return None
    since = None if attempt.advice_from_step else sandbox.since
    if sandbox.state is SandboxState.READY and since is not None and since > ended:
        return Later(since, f"{sanitize(sandbox.name, 60)} came to serve after that.", better=True)
    return None


def _troubles(
    sandbox: Sandbox | None, ways: Iterable[Gateway], link: SourceLink | None
) -> Iterable[_Trouble | None]:
    if sandbox is not None:
        yield _row_trouble(sandbox)
    for way in ways:
        if way.state in CLOSED:
            yield _trouble(way, way_reason(way))
    if link is not None and link.failures:
        # Between the last good look and the first bad one it was still well.
        since = link.failing_since or 0.0
        text = f"{sanitize(link.source, 60)} does not answer: {link.reason or 'no reason given'}"
        yield _Trouble(since, since, end_sentence(text))


def _row_trouble(sandbox: Sandbox) -> _Trouble | None:
    if sandbox.state is SandboxState.READY:
        return None
    name = sanitize(sandbox.name, 60)
    text = sandbox.reason or f"{name} is {sandbox.state.value} now."
    if sandbox.state is SandboxState.SETTLING:
        # What it does after a wake is no trouble unless it began after the end.
        return _Trouble(sandbox.since or 0.0, 0.0, text)
    return _trouble(sandbox, text)


def _trouble(row: Sandbox | Gateway, text: str) -> _Trouble:
    seen_at = 0.0 if row.stale else row.observed_at
    return _Trouble(0.0 if row.since is None else row.since, seen_at, text)
