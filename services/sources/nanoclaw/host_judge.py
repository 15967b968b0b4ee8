"""Whether an install's host process serves, from its sockets, its breaker file and its log."""

from __future__ import annotations

from pathlib import Path

from services.files.bounded import parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.models import Facts, GatewayState
from services.queues.timestamps import seconds
from services.sources.nanoclaw.client import NoAnswer

BACKOFF_S = (0, 0, 10, 30, 120, 300, 900)
"""Delay before the start by attempt, 1 first, the last for all after it.

See upstream/nanoclaw: Crash back-off.
"""
_COUNTED_S = 3600.0
_STARTING_S = 20.0
_LONGEST_FILE = 4096


@dataclass(frozen=True, slots=True)
class Breaker:
    """`data/circuit-breaker.json`: there from a start to a clean stop."""

    attempt: int
    at: float | None
    """When that start was, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class HostEvidence:
    """What is known of one host."""

    no_answer: NoAnswer | None = None
    """Why the admin socket does not answer; None: it does."""
    refused: str = ""
    """What it said instead of yes to a harmless question; the host is up all the same."""
    latency_s: float | None = None
    breaker: Breaker | None = None
    log_at: float | None = None
    """When the host last wrote a log line."""
    service: str = ""

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self.no_answer is None


def read_breaker(path: Path) -> Breaker | None:
    """The breaker file; None where there is none or it says nothing."""
    try:
        told = parse_json(read_bounded(path, _LONGEST_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    attempt, at = told.get("attempt"), told.get("timestamp")
    if not isinstance(attempt, int) or isinstance(attempt, bool):
        return None
    if isinstance(at, int | float) and not isinstance(at, bool):
        return Breaker(attempt, at / 1000)
    return Breaker(attempt, seconds(at))


def modified(path: Path) -> float | None:
    """When a file last changed; None where there is none to see."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def start_delay(breaker: Breaker) -> int:
    """How long the start that wrote this waits, in seconds."""
    return BACKOFF_S[min(max(breaker.attempt, 1), len(BACKOFF_S)) - 1]


def judge(host: HostEvidence, now: float) -> tuple[GatewayState, str]:
    """The host's state and the sentence that goes with it."""
    match host.no_answer:
        case None:
            return GatewayState.READY, host.refused
        case NoAnswer.DENIED:
            return (
                GatewayState.WRONG,
                "The host belongs to another user: this panel may not talk to it.",
            )
        case NoAnswer.NO_REPLY:
            return (
                GatewayState.HUNG,
                "The host accepts and does not answer: it may be stopping a container or building "
                "an image, which it does without doing anything else.",
            )
        case NoAnswer.MALFORMED:
            return GatewayState.WRONG, "Something else than the host answers on its admin socket."
        case NoAnswer.CLOSED:
            return GatewayState.HUNG, "The host closes the admin socket without an answer."
    return _absent(host, now)


def _absent(host: HostEvidence, now: float) -> tuple[GatewayState, str]:
    died = host.no_answer is NoAnswer.REFUSED
    breaker = host.breaker
    if breaker is None:
        if died:
            return GatewayState.DOWN, "The host died and left its socket behind."
        return GatewayState.DOWN, "The host is stopped: it ended cleanly, or never ran."
    age = None if breaker.at is None else now - breaker.at
    if age is None or age > _COUNTED_S:
        return GatewayState.DOWN, "The host died without cleaning up after itself."
    delay = start_delay(breaker)
    left = delay - age
    if left > 0:
        return (
            GatewayState.SETTLING,
            f"The host crashed before: start {breaker.attempt} waits out its back-off, "
            f"{left:.0f} s left of {delay} s.",
        )
    if age < delay + _STARTING_S:
        return GatewayState.SETTLING, "The host is starting."
    return (
        GatewayState.DOWN,
        f"The host crashed: its start {breaker.attempt} does not answer. "
        "Its service will try again, or its error log says why not.",
    )


def facts(host: HostEvidence, now: float) -> Facts:
    """The evidence, ready to show."""
    answer = "answers" if host.no_answer is None else host.no_answer.value
    rows = [("admin socket", answer)]
    if host.breaker is None:
        rows.append(("crash record", "none: the last stop was clean, or it never ran"))
    else:
        at = host.breaker.at
        when = "at an unknown time" if at is None else f"{max(0.0, now - at):.0f} s ago"
        rows.append(("crash record", f"start {host.breaker.attempt}, {when}"))
    if host.log_at is not None:
        rows.append(("last log line", f"{max(0.0, now - host.log_at):.0f} s ago"))
    if host.service:
        rows.append(("service", host.service))
    if host.no_answer is NoAnswer.ABSENT and host.log_at is not None and now - host.log_at < 5:
        rows.append(("disagreement", "no socket, and yet its log was written just now"))
    if host.up and host.breaker is None:
        rows.append(("disagreement", "it answers, and yet there is no record of its start"))
    return tuple(rows)
