"""What is kept of acknowledgements and deliveries between polls, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from services.models import OutLabel
from services.queues.acks import (
    Ack,
    AckTracker,
    Delivery,
    DeliveryTracker,
    SentMessage,
    chunks,
    label_sent,
)
from services.queues.timestamps import seconds

AT = "2026-11-20 10:00:00"
CHAT = SentMessage("chat", "slack", None)


def acked(*rows: tuple[int, str, str, str], tracker: AckTracker | None = None) -> AckTracker:
    found = AckTracker() if tracker is None else tracker
    found.add_rows(rows)
    return found


def test_claims_finished_and_odd_words_are_kept_apart() -> None:
    tracker = acked(
        (3, "done", "completed", AT),
        (9, "odd", "pondering", AT),
        (5, "bad", "failed", AT),
        (7, "now", "processing", AT),
    )
    assert [one.message_id for one in tracker.claims] == ["now"]
    assert set(tracker.open) == {"done", "bad"}
    assert set(tracker.special) == {"odd"}
    assert tracker.newest_row == 9
    assert tracker.find("now") == Ack("now", "processing", AT)
    assert tracker.find("done") == Ack("done", "completed", AT)
    assert tracker.find("odd") == Ack("odd", "pondering", AT)
    assert tracker.find("other") is None


def test_a_later_word_takes_the_place_of_an_earlier_one() -> None:
    tracker = acked((1, "a", "pondering", AT), (2, "b", "completed", AT))
    acked((3, "a", "completed", AT), (4, "b", "processing", AT), tracker=tracker)
    assert (set(tracker.open), set(tracker.special)) == ({"a"}, set())
    assert [one.message_id for one in tracker.claims] == ["b"]
    # A claim is read again in every poll: one that is not there has gone.
    acked(tracker=tracker)
    assert (tracker.claims, set(tracker.open)) == ((), {"a"})
    # The number of a claim is given out again, so only what is finished counts.
    assert tracker.newest_row == 3


def test_what_is_settled_is_dropped_and_another_table_forgets_all() -> None:
    tracker = acked((1, "a", "completed", AT), (2, "b", "failed", AT), (3, "c", "odd", AT))
    tracker.keep({"b", "z"})
    assert (set(tracker.open), set(tracker.special)) == ({"b"}, {"c"})
    tracker.keep(set())
    assert not tracker.open
    tracker.restart()
    assert tracker == AckTracker()


def sent(*rows: tuple[int, str, SentMessage]) -> DeliveryTracker:
    tracker = DeliveryTracker(first=1)
    tracker.add_rows(rows)
    return tracker


def test_what_has_an_outcome_is_counted_and_let_go() -> None:
    tracker = sent((4, "a", CHAT), (6, "b", CHAT), (5, "c", CHAT))
    tracker.deliver(
        {"a": Delivery("delivered", True, AT), "b": Delivery("failed", False, AT), "z": CHAT}  # type: ignore[dict-item]
    )
    assert set(tracker.waiting) == {"c"}
    assert tracker.settled == {OutLabel.DELIVERED: 1, OutLabel.FAILED: 1}
    assert tracker.failed_at == (seconds(AT),)
    assert tracker.newest_row == 6
    assert tracker.counts(AT) == {
        OutLabel.DELIVERED: 1,
        OutLabel.FAILED: 1,
        OutLabel.UNDELIVERED: 1,
    }
    tracker.restart(12)
    assert tracker == DeliveryTracker(first=12)
    assert tracker.counts(AT) == {}


def test_only_failures_with_an_instant_are_dated_and_only_the_newest() -> None:
    tracker = sent(*((n, f"m{n}", CHAT) for n in range(30)))
    tracker.deliver(
        {f"m{n}": Delivery("failed", False, f"2026-11-20 10:00:{n:02}") for n in range(25)}
    )
    assert [at % 60 for at in tracker.failed_at] == list(range(5, 25))
    tracker.deliver({"m25": Delivery("failed", False, "soon"), "m26": Delivery("", True, AT)})
    assert [at % 60 for at in tracker.failed_at] == list(range(5, 25))
    assert tracker.settled == {OutLabel.FAILED: 26, OutLabel.DELIVERED: 1}


BEFORE, AFTER = "2026-11-20 09:00:00", "2026-11-20 11:00:00"


@pytest.mark.parametrize(
    ("after", "at", "dated", "delivery", "label"),
    [
        (None, None, None, None, OutLabel.UNDELIVERED),
        (BEFORE, None, None, None, OutLabel.UNDELIVERED),
        (AFTER, None, None, None, OutLabel.DEFERRED),
        # The host that compares text sees the instant of this hour as later.
        ("2026-11-20T09:00:00Z", seconds(BEFORE), None, None, OutLabel.DEFERRED),
        ("2026-11-20T09:00:00Z", seconds(BEFORE), False, None, OutLabel.DEFERRED),
        ("2026-11-20T09:00:00Z", seconds(BEFORE), True, None, OutLabel.UNDELIVERED),
        (AFTER, seconds(AFTER), True, None, OutLabel.DEFERRED),
        (AT, seconds(AT), True, None, OutLabel.UNDELIVERED),
        ("soon", None, True, None, OutLabel.NEVER_SENT),
        ("soon", None, False, None, OutLabel.DEFERRED),
        (None, None, True, None, OutLabel.UNDELIVERED),
        (AFTER, seconds(AFTER), True, Delivery("", False, AT), OutLabel.UNCONFIRMED),
        ("soon", None, True, Delivery("delivered", True, AT), OutLabel.DELIVERED),
        (AFTER, None, None, Delivery("failed", True, AT), OutLabel.FAILED),
    ],
)
def test_when_something_is_to_be_sent(
    after: str | None,
    at: float | None,
    dated: bool | None,
    delivery: Delivery | None,
    label: OutLabel,
) -> None:
    message = SentMessage("chat", "slack", after, at)
    assert label_sent(message, delivery, AT, dated=dated) is label


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(0, 2, []), (1, 2, [1]), (2, 2, [2]), (3, 2, [2, 1]), (1001, 500, [500, 500, 1])],
)
def test_no_id_is_lost_in_portions(count: int, size: int, expected: list[int]) -> None:
    ids = [str(n) for n in range(count)]
    found: Iterable[list[str]] = list(chunks(ids, size))
    assert [len(one) for one in found] == expected
    assert [one for some in found for one in some] == ids
