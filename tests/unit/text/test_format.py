"""Ages, durations, sizes and counts as they read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from services.text import format as form


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (form.span, -1, "0 s"),
        (form.span, 119.6, "120 s"),
        (form.span, 300, "5 min"),
        (form.span, 7200, "2 h"),
        (form.span, 172_800, "2 days"),
        (form.ago, 12, "12 s ago"),
        (form.ago, -30, "30 s ahead of our clock"),
        (form.duration, 0.44, "0.4s"),
        (form.duration, 9.97, "10s"),
        (form.duration, 59.6, "1m00"),
        (form.duration, 3 * 60 + 5, "3m05"),
        (form.duration, 7800, "2h10"),
        (form.duration, 5 * 86_400 + 3 * 3600, "5d03h"),
        (form.latency, None, "-"),
        (form.latency_order, None, 1 << 62),
        (form.latency, 0.0123, "12 ms"),
        (form.latency, 12, "12s"),
        (form.size, 999, "999"),
        (form.size, 3_200, "3.2k"),
        (form.size, 1_400_000, "1.4M"),
        (form.counts, (), "empty"),
        (
            form.counts,
            (("due", 1), ("held", 2), ("failed", 3), ("done", 4)),
            "3 failed, 1 due, 2 held, 4 more",
        ),
    ],
)
def test_values_read_as_one_says_them(
    write: Callable[[Any], str], value: object, text: str
) -> None:
    assert write(value) == text


def test_ages_are_whole_seconds_and_unknown_ones_a_dash() -> None:
    assert form.age(100.0, 97.2) == "2s"
    assert form.age(100.0, 130.0) == "0s"
    assert form.age(1000.0, 0.0) == "16m40"
    assert form.age(100.0, None) == "-"


def test_a_countdown_ends_with_now() -> None:
    assert form.countdown(10.0, 52.0) == "in 42s"
    assert form.countdown(10.0, 10.0) == "now"


def test_latencies_that_read_the_same_are_ordered_the_same() -> None:
    waits = [step / 7 for step in range(1, 700)]
    for one, other in itertools.pairwise(waits):
        same = form.latency_order(one) == form.latency_order(other)
        assert same is (form.latency(one) == form.latency(other))
        assert form.latency_order(one) <= form.latency_order(other) < form.latency_order(None)
