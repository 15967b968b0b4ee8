"""How often one source of noise may speak, and how much of it was left out."""

from __future__ import annotations

import logging

from services.logs.rate_limit import WINDOW_S, RateLimit


class Time:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def says(limit: RateLimit, text: str, line: int = 1, *args: object) -> str | None:
    error = ValueError("a secret")
    made = logging.LogRecord("x", 40, "f", line, text, args, (ValueError, error, None))
    return logging.Formatter().format(made) if limit.filter(made) else None


def test_a_shared_limit_is_one_line_a_minute_without_tracebacks() -> None:
    now = Time()
    limit = RateLimit(1, shared=True, now=now)
    assert says(limit, "first\nsecond") == "first (ValueError)"
    assert [says(limit, "again", line) for line in range(500)] == [None] * 500
    now.at += WINDOW_S
    assert says(limit, "later") == "later (ValueError) and 500 more since the last line"


def test_each_source_of_noise_has_its_own_limit_and_count() -> None:
    now = Time()
    limit = RateLimit(3, now=now)
    loud = [says(limit, "loud %d", 1, n) for n in range(10)]
    assert [one is not None for one in loud] == [True] * 3 + [False] * 7
    quiet = says(limit, "quiet", 2)
    assert quiet is not None
    assert "more since" not in quiet
    assert limit.left_out() == 7
    now.at += WINDOW_S
    later = says(limit, "loud %d", 1, 10)
    assert later is not None
    assert later.startswith("loud 10 and 7 more since the last line")
    assert limit.left_out() == 0
