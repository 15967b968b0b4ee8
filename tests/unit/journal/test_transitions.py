"""When a transition is news, as one table; and what two panels saw of one happening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.journal.transitions import LastRecord, is_news, is_transition, not_among
from services.models import Event, Severity

NOW = 1000.0


def fall(at: float, before_at: float | None = None, told_at: float | None = None) -> Event:
    return Event(
        at,
        Severity.WORSE,
        "here",
        "box",
        "sandbox",
        "box is down",
        "ready",
        "down",
        before_at,
        told_at,
    )


@pytest.mark.parametrize(
    ("event", "last", "news"),
    [
        (fall(900), None, True),
        # The state differs and the evidence is newer.
        (fall(900), LastRecord("ready", 800), True),
        (fall(900), LastRecord("ready", 900.5), False),
        # Another panel saw the same, a look earlier or later.
        (fall(900, 899), LastRecord("down", 899.4), False),
        (fall(900, 899), LastRecord("down", 900.6), False),
        (fall(900), LastRecord("down", 100), False),
        # It was seen to have recovered while nobody recorded it.
        (fall(900, 899), LastRecord("down", 100), True),
        # A state seen before by a clock that was set back is no proof.
        (fall(900, 4499), LastRecord("down", 899.9), False),
        # The last record is of a clock that was ahead.
        (fall(900), LastRecord("ready", 4500), True),
        (fall(900, 899), LastRecord("down", 4500), False),
        # The system's own instant is the key.
        (fall(900, 899, told_at=890.0), LastRecord("down", 891, 890.0), False),
        (fall(900, 899, told_at=895.0), LastRecord("down", 891, 890.0), True),
        (fall(900, 899, told_at=880.0), LastRecord("ready", 891, 890.0), False),
        (fall(900, told_at=890.0), LastRecord("ready", 891, 890.0), True),
        (fall(890, told_at=890.0), LastRecord("ready", 891, 890.0), False),
    ],
)
def test_what_is_news(event: Event, last: LastRecord | None, news: bool) -> None:
    assert is_news(event, last, NOW) is news


def test_what_an_operator_did_is_always_recorded() -> None:
    assert not is_transition(replace(fall(1), kind="attempt"))
    assert not is_transition(Event(1.0, Severity.WORSE, "here", "", "source", "does not start"))
    assert is_transition(fall(1))


def test_one_happening_seen_by_two_panels_counts_once_and_two_count_twice() -> None:
    recorded = [fall(100.0), fall(103.0), fall(500.0)]
    assert not_among(recorded, [fall(100.7), fall(103.7)]) == [fall(500.0)]
    assert not_among(recorded, [fall(100.7)]) == [fall(103.0), fall(500.0)]
    action = replace(fall(7.0), kind="attempt")
    assert not_among([action], [replace(action, at=8.0)]) == [action]
    assert not_among([action], [action]) == []
