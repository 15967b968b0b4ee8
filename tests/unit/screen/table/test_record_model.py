"""Records by key: filter, order, deltas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widgets.table.record_model import Aside, Overlay, RecordModel


@dataclass(frozen=True)
class Box:
    name: str
    rank: int = 0
    text: str = ""


def model(order: Callable[[Box], object] | None = None) -> RecordModel[str, Box]:
    return RecordModel(lambda b: b.name, lambda b: f"{b.name} {b.text}", order)


def test_a_delta_says_what_it_did() -> None:
    m = model()
    first = m.reconcile([Box("a"), Box("b")])
    assert first.added == ("a", "b") and first.moved
    same = m.reconcile([Box("a")])
    assert (same.added, same.updated, same.removed, same.moved) == ((), (), (), False)
    change = m.reconcile([Box("a", 1), Box("c")], ["b", "nobody"])
    assert change.updated == (("a", Box("a"), Box("a", 1)),)
    assert (change.added, change.removed, change.moved) == (("c",), ("b",), True)
    assert list(m.visible) == ["a", "c"] and m.total == 2


def test_an_update_that_changes_no_order_moves_nothing() -> None:
    m = model()
    m.reconcile([Box("a"), Box("b", 5)])
    m.set_sort(lambda b: b.rank)
    assert not m.reconcile([Box("a", 0, "words")]).moved
    assert m.reconcile([Box("a", 9)]).moved
    assert list(m.visible) == ["b", "a"]


def test_a_sort_keeps_the_natural_order_among_equals_both_ways() -> None:
    m = model(order=lambda b: b.name)
    m.reconcile([Box("c", 1), Box("a", 1), Box("b", 2)])
    assert list(m.visible) == ["a", "b", "c"]
    m.set_sort(lambda b: b.rank)
    assert list(m.visible) == ["a", "c", "b"]
    m.set_sort(lambda b: b.rank, reverse=True)
    assert list(m.visible) == ["b", "a", "c"]
    m.set_sort(None, reverse=True)
    assert list(m.visible) == ["c", "b", "a"]


def test_the_filter_follows_the_records() -> None:
    m = model()
    m.reconcile([Box("a", text="red"), Box("b", text="blue")])
    assert m.set_filter("RED")
    assert list(m.visible) == ["a"] and m.total == 2
    assert m.reconcile([Box("b", text="red too")]).moved
    assert list(m.visible) == ["a", "b"]
    assert m.reconcile([Box("a", text="green")]).moved
    assert list(m.visible) == ["b"]
    assert m.row("a") is None and m.record("a") == Box("a", text="green")


def test_the_nearest_survivor_is_below_then_above() -> None:
    m = model()
    m.reconcile([Box(c) for c in "abcde"])
    before = m.visible
    m.reconcile([], ["c", "d"])
    assert m.nearest_visible(before, 2) == "e"
    m.reconcile([], ["e"])
    assert m.nearest_visible(before, 2) == "b"
    m.reconcile([], ["a", "b"])
    assert m.nearest_visible(before, 2) is None


boxes = st.builds(
    Box, st.sampled_from("abcdefgh"), st.integers(0, 3), st.sampled_from(["red", "blue"])
)
FILTERS = ["", "r", "re", "red", "red a", "!red", "re!", 'r "', "a", "b", "b b", "b blue"]
steps = st.one_of(
    st.tuples(st.just("put"), st.lists(boxes, max_size=5)),
    st.tuples(st.just("drop"), st.lists(st.sampled_from("abcdefgh"), max_size=4)),
    st.tuples(st.just("filter"), st.sampled_from(FILTERS)),
    st.tuples(st.just("read"), st.integers(0, 3)),
    st.tuples(st.just("sort"), st.sampled_from([None, "rank", "text"])),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(steps, max_size=14), st.booleans())
def test_deltas_end_where_a_fresh_model_would(
    script: list[tuple[str, object]], reverse: bool
) -> None:
    live = model(order=lambda b: b.name)
    truth: dict[str, Box] = {}
    text, by = "", None
    for what, value in script:
        if what == "put":
            assert isinstance(value, list)
            live.reconcile(value)
            truth.update({box.name: box for box in value})
        elif what == "drop":
            assert isinstance(value, list)
            live.reconcile([], value)
            for name in value:
                truth.pop(name, None)
        elif what == "filter":
            assert isinstance(value, str)
            text = value
            live.set_filter(text)
        elif what == "read":
            assert isinstance(value, int)
            live.prepare(value)
        else:
            by = (lambda b, f=value: getattr(b, f)) if value else None
            live.set_sort(by, reverse=reverse)
    fresh = model(order=lambda b: b.name)
    fresh.reconcile(truth.values())
    fresh.set_filter(text)
    if by is not None or any(what == "sort" for what, _ in script):
        fresh.set_sort(by, reverse=reverse)
    assert list(live.visible) == list(fresh.visible)
    assert [live.row(key) for key in live.visible] == list(range(len(live)))


def test_what_is_read_beforehand_is_not_read_again() -> None:
    read: list[str] = []

    def search(box: Box) -> str:
        read.append(box.name)
        return box.text

    m: RecordModel[str, Box] = RecordModel(lambda b: b.name, search)
    m.reconcile([Box(name, text="red") for name in "abcde"])
    assert m.prepare(3) and len(read) == 3
    assert not m.prepare(3) and len(read) == 5
    assert not m.prepare(3)
    m.set_filter("red")
    assert sorted(read) == list("abcde"), "each record is read once"
    m.reconcile([Box("b", text="blue")])
    assert not m.prepare(9)
    assert sorted(read) == list("abbcde") and "b" not in m.visible


def test_a_renewal_replaces_records_and_nothing_else() -> None:
    read: list[str] = []

    def search(box: Box) -> str:
        read.append(box.name)
        return box.text

    m: RecordModel[str, Box] = RecordModel(lambda b: b.name, search)
    m.reconcile([Box("a", 1, "red"), Box("b", 2, "red")])
    m.set_filter("red")
    m.set_sort(lambda b: -b.rank)
    before = m.visible
    read.clear()
    m.renew({"a": Box("a", 3, "red"), "stranger": Box("stranger")})
    assert m.record("a") == Box("a", 3, "red") and "stranger" not in m and m.total == 2
    assert m.visible is before and read == []
    assert m.rearrange() and list(m.visible) == ["a", "b"]


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 4), st.sampled_from(["red", "blue"]))),
    st.sampled_from([None, "rank", "text"]),
    st.sampled_from(["", "red", "!blue", "b1"]),
    st.booleans(),
)
def test_a_few_rows_that_move_among_many_end_where_all_would(
    changes: list[tuple[int, int, str]], by: str | None, text: str, reverse: bool
) -> None:
    truth = {f"b{n:02}": Box(f"b{n:02}", n % 5, "red" if n % 3 else "blue") for n in range(40)}

    def prepared() -> RecordModel[str, Box]:
        one = model(order=lambda b: b.name)
        one.set_filter(text)
        one.set_sort((lambda b: getattr(b, by)) if by else None, reverse=reverse)
        one.reconcile(truth.values())
        return one

    live = prepared()
    for number, rank, word in changes:
        box = Box(f"b{number:02}", rank, word)
        before = live.visible
        change = live.reconcile([box, replace(box, text="red"), box])
        truth[box.name] = box
        assert change.moved == (list(live.visible) != list(before))
        assert list(live.visible) == list(prepared().visible)
        assert [live.row(key) for key in live.visible] == list(range(len(live)))


def test_what_is_kept_aside_is_shown_where_it_is_asked_for() -> None:
    aside: Aside[Box] = Aside("pool", lambda box: box.name.startswith("stock"))
    m: RecordModel[str, Box] = RecordModel(
        lambda b: b.name, lambda b: f"{b.name} {b.text} pool", aside=aside
    )
    m.reconcile([Box("a"), Box("stock-1"), Box("b")])
    assert list(m.visible) == ["a", "b"]
    for typed in ("p", "po", "poo"):
        m.set_filter(typed)
        assert list(m.visible) == ["a", "b"], typed
    m.set_filter("pool")
    assert list(m.visible) == ["a", "stock-1", "b"]
    m.set_filter("pool stock")
    assert list(m.visible) == ["stock-1"]
    m.set_filter("")
    m.reconcile([Box("stock-1", text="news"), Box("stock-2")], ["b"])
    assert list(m.visible) == ["a"]


def test_a_key_let_go_moves_no_row_unless_only_its_being_held_showed_it() -> None:
    m = model()
    m.reconcile([Box("a"), Box("b", 0, "x"), Box("c", 0, "x")])
    m.set_filter("x")
    m.reconcile((), held={"c"})
    before = m.visible
    assert not m.release(()) and m.visible is before, "it matches, held or not"
    m.reconcile([Box("b")], held={"b"})
    assert list(m.visible) == ["b", "c"], "shown since it is held"
    assert m.release(()) and list(m.visible) == ["c"]


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=8), st.data())
def test_what_arrives_in_order_stands_as_if_it_were_sorted(
    arrivals: list[list[int]], data: st.DataObject
) -> None:
    m = model(order=lambda b: b.rank)
    known: dict[str, int] = {}
    for ranks in arrivals:
        gone = data.draw(st.lists(st.sampled_from(sorted(known)), unique=True)) if known else []
        new = [Box(f"{len(known)}-{at}-{rank}", rank) for at, rank in enumerate(ranks)]
        m.reconcile(new, gone)
        known = {key: rank for key, rank in known.items() if key not in gone}
        known |= {box.name: box.rank for box in new}
        assert list(m.visible) == sorted(known, key=lambda key: known[key])
        assert [m.row(key) for key in m.visible] == list(range(len(known)))


def test_an_overlay_is_shown_and_found_and_goes_without_a_trace() -> None:
    m = model()
    m.reconcile([Box("a", text="red"), Box("b", text="red"), Box("c")])
    late = {box: replace(box, text=f"{box.text} (late)") for box in map(m.record, "ab") if box}
    overlay: Overlay[Box] = Overlay(
        lambda box: late.get(box, box), lambda box: "late" if box in late else ""
    )
    assert not m.set_overlay(overlay), "without a filter nothing moves"
    assert [m.record(key) for key in "ac"] == [Box("a", text="red (late)"), Box("c")]
    assert m.set_filter("late") and list(m.visible) == ["a", "b"]
    assert not m.set_filter("red late")
    assert m.set_filter("!late") and list(m.visible) == ["c"]
    assert m.set_overlay(None) and list(m.visible) == ["a", "b", "c"]
    assert m.record("a") == Box("a", text="red")
