"""Pages of messages as rows that come, stay and go."""

from __future__ import annotations

import math

from services.models import Direction, InLabel, Message, OutLabel
from widgets.panes import queue_counts
from widgets.panes.queue_rows import COLUMNS, SeenMessage, key_of, merge
from widgets.text.instants import age_cell, format_instant

NOW = 1_790_000_000.0


def inbound(number: int, label: InLabel = InLabel.DUE, **more: object) -> Message:
    return Message(Direction.IN, f"m{number}", number, label, "chat", NOW, "t", 1, **more)  # type: ignore[arg-type]


def outbound(number: int) -> Message:
    return Message(Direction.OUT, f"o{number}", number, OutLabel.DELIVERED, "chat", NOW, "t", 1)


def ids(rows: list[SeenMessage]) -> list[str]:
    return [row.message.id for row in sorted(rows, key=lambda row: row.place)]


def said(row: SeenMessage, column: str, now: float = NOW) -> str:
    return next(c for c in COLUMNS if c.id == column).render(row, now).text


def test_a_second_page_keeps_places_and_appends() -> None:
    first, _ = merge([], [inbound(1), inbound(2)], 0.0, 100)
    second, gone = merge(first, [inbound(1), inbound(2), inbound(3)], 5.0, 100)
    assert gone == []
    assert second[:2] == first
    assert ids(second) == ["m1", "m2", "m3"]


def test_what_fell_off_the_page_stays_and_says_when_it_was_seen() -> None:
    first, _ = merge([], [inbound(1), inbound(2)], 0.0, 100)
    rows, gone = merge(first, [inbound(2), inbound(3)], NOW - 60, 100)
    assert gone == [] and ids(rows) == ["m1", "m2", "m3"]
    old = next(row for row in rows if row.message.id == "m1")
    assert old.seen_at == NOW - 60
    assert said(old, "due") == "seen 1m00 ago"
    again, _ = merge(rows, [inbound(3), inbound(4)], NOW - 1, 100)
    assert next(row for row in again if row.message.id == "m1").seen_at == NOW - 60
    back, _ = merge(again, [inbound(1), inbound(2), inbound(3), inbound(4)], NOW, 100)
    assert all(row.seen_at is None for row in back) and ids(back) == ["m1", "m2", "m3", "m4"]


def test_what_vanished_from_the_middle_of_a_page_is_gone() -> None:
    first, _ = merge([], [inbound(1), inbound(2), inbound(3)], 0.0, 100)
    rows, gone = merge(first, [inbound(1), inbound(3)], 1.0, 100)
    assert ids(rows) == ["m1", "m3"] and gone == [(Direction.IN, "m2")]
    rows, gone = merge(rows, [], 2.0, 100)
    assert rows == [] and len(gone) == 2


def test_a_queue_that_fills_its_part_of_the_page_does_not_erase_the_other() -> None:
    first, _ = merge([], [inbound(1), outbound(1), inbound(2), outbound(2)], 0.0, 100)
    rows, gone = merge(first, [inbound(1), inbound(2), outbound(2), outbound(3)], 1.0, 100)
    assert gone == [] and set(ids(rows)) == {"m1", "m2", "o1", "o2", "o3"}


def test_a_late_one_is_put_between() -> None:
    first, _ = merge([], [inbound(1), inbound(3)], 0.0, 100)
    rows, _ = merge(first, [inbound(1), inbound(2), inbound(3)], 1.0, 100)
    assert ids(rows) == ["m1", "m2", "m3"]


def test_the_same_id_in_both_queues_is_two_rows() -> None:
    out = Message(Direction.OUT, "m1", 1, OutLabel.UNDELIVERED, "chat", NOW, "t", 1)
    rows, _ = merge([], [inbound(1), out], 0.0, 100)
    assert len({key_of(row) for row in rows}) == 2


def test_the_buffer_is_bounded_by_dropping_the_oldest() -> None:
    rows: list[SeenMessage] = []
    for start in range(0, 60, 5):
        page = [inbound(n) for n in range(start, start + 10)]
        rows, _ = merge(rows, page, float(start), 25)
    assert len(rows) == 25
    assert ids(rows) == [f"m{n}" for n in range(40, 65)]
    rows, _ = merge([], [inbound(n) for n in range(40)], 0.0, 25)
    assert ids(rows) == [f"m{n}" for n in range(15, 40)]


def test_the_due_column_tells_the_try_and_the_wait() -> None:
    backoff = SeenMessage(inbound(1, InLabel.BACKOFF, tries=2, due_at=NOW + 18), 0)
    assert said(backoff, "due") == "try 3/6 in 18s"
    assert said(backoff, "due", NOW + 20) == "try 3/6 now"
    working = SeenMessage(inbound(1, InLabel.PROCESSING, since=NOW - 9), 0)
    assert said(working, "due") == "for 9s"
    assert said(SeenMessage(inbound(1), 0), "due") == ""


def test_instants_that_cannot_be_read_are_dashes() -> None:
    for at in (None, math.inf, math.nan, 1e30, -1e30):
        assert format_instant(NOW, at) == "--:--:--"
    assert len(format_instant(NOW, NOW)) == 8 and format_instant(NOW, NOW)[2] == ":"
    assert ":" not in format_instant(NOW, NOW - 5 * 86400)


def test_an_age_is_not_invented_before_the_first_tick() -> None:
    assert age_cell(0.0, NOW, stale=False).text == "-"
    assert age_cell(NOW, NOW - 5, stale=False).text == "5s"
    stale = age_cell(NOW, NOW - 185, stale=True)
    assert stale.text == "stale 3m05" and stale.fitting(6) == (("~3m05", "warn"),)


def test_counts_show_what_is_open_before_what_is_done() -> None:
    cell = queue_counts.cell(Direction.IN, (("processing", 1), ("due", 2), ("completed", 9)))
    assert cell.text == "● 2 due  ▸ 1 processing"
    assert "".join(text for text, _ in cell.short) == "●2 ▸1"
    assert queue_counts.cell(Direction.IN, (("completed", 9),)).text == "✓ 9 done"
    assert queue_counts.cell(Direction.OUT, ()).text == ""


def test_a_label_nobody_knows_is_shown_by_its_name() -> None:
    assert queue_counts.cell(Direction.IN, (("brand new", 4),)).text == "? 4 brand new"
    edge = queue_counts.edge(Direction.OUT, (("delivered", 2),), words=True)
    assert "".join(text for text, _ in edge) == "← out  ✓ 2 delivered"
