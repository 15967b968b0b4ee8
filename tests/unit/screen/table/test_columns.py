"""Which columns fit, and how wide they are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from widgets.panes import events, gateways, queue_rows, sandboxes
from widgets.table.columns import Cell, Column, fit, lend
from widgets.table.row_painter import KEPT_S, ColumnNeeds


def column(name: str, width: int, least: int = 0, priority: int = 0, flex: int = 0) -> Column[str]:
    return Column(
        name, name, lambda r, _: Cell.of(r), width, least=least, priority=priority, flex=flex
    )


def shape(columns: list[Column[str]], room: int) -> list[tuple[str, int, int]]:
    return [(p.column.id, p.x, p.width) for p in fit(columns, room)]


def test_the_flexible_column_takes_the_rest() -> None:
    columns = [column("a", 5), column("b", 10, least=4, flex=1), column("c", 6)]
    assert shape(columns, 60) == [("a", 0, 5), ("b", 7, 45), ("c", 54, 6)]


def test_the_lowest_numbers_get_room_first_and_order_stays() -> None:
    columns = [column("last", 8, priority=2), column("must", 8), column("next", 8, priority=1)]
    assert [name for name, _, _ in shape(columns, 28)] == ["last", "must", "next"]
    assert [name for name, _, _ in shape(columns, 27)] == ["must", "next"]
    assert [name for name, _, _ in shape(columns, 17)] == ["must"]


def test_no_column_takes_the_room_of_one_that_comes_before_it() -> None:
    """It would go again in a wider window."""
    columns = [column("must", 8), column("wide", 30, priority=1), column("thin", 4, priority=2)]
    assert [name for name, _, _ in shape(columns, 20)] == ["must"]
    assert [name for name, _, _ in shape(columns, 40)] == ["must", "wide"]


def test_what_must_be_shown_is_cut_rather_than_dropped() -> None:
    columns = [column("a", 10), column("b", 10)]
    assert shape(columns, 15) == [("a", 0, 10), ("b", 12, 3)]
    assert shape(columns, 5) == [("a", 0, 5)]


def test_a_column_is_widened_once_all_are_there() -> None:
    columns = [column("a", 20, least=8), column("b", 4, priority=1)]
    assert shape(columns, 13) == [("a", 0, 8)]
    assert shape(columns, 24) == [("a", 0, 18), ("b", 20, 4)]
    assert shape(columns, 30) == [("a", 0, 20), ("b", 22, 4)]


def test_room_that_is_not_sure_widens_flexible_columns_alone() -> None:
    columns = [column("a", 20, least=8), column("b", 10, flex=1), column("c", 6, priority=1)]
    assert {p.column.id: p.width for p in fit(columns, 60, 20)} == {"a": 8, "b": 50}
    assert {p.column.id for p in fit(columns, 60)} == {"a", "b", "c"}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 40), st.integers(0, 4), st.integers(0, 3)),
        max_size=9,
    ),
    st.integers(1, 240),
)
def test_columns_never_overlap_nor_leave_the_room(
    sizes: list[tuple[int, int, int, int]], room: int
) -> None:
    columns = [column(f"c{i}", w, least, p, f) for i, (w, least, p, f) in enumerate(sizes)]
    placed = fit(columns, room)
    at = 0
    for one in placed:
        assert one.x >= at
        assert one.width >= 1
        at = one.x + one.width + one.column.gap
        assert one.x + one.width <= room
    ids = [p.column.id for p in placed]
    assert ids == sorted(ids)


def names(columns: tuple[Column[object], ...], room: int) -> set[str]:
    return {p.column.id for p in fit(columns, room)}


def test_eighty_columns_show_the_essentials_of_every_pane() -> None:
    room = 80 - 2 - 1 - 2  # frame, scrollbar, gutter
    assert names(sandboxes.COLUMNS, room) >= {"state", "name", "why", "in", "out", "age"}  # type: ignore[arg-type]
    assert names(gateways.COLUMNS, room) >= {"state", "name", "latency", "reason", "age"}  # type: ignore[arg-type]
    assert names(queue_rows.COLUMNS, room) >= {"time", "way", "label", "text", "due"}  # type: ignore[arg-type]
    assert names(events.COLUMNS, room) >= {"time", "sign", "subject", "text"}  # type: ignore[arg-type]


def test_a_third_of_a_wide_screen_still_names_state_and_age() -> None:
    room = 53 - 5
    assert names(sandboxes.COLUMNS, room) >= {"state", "name", "why", "age"}  # type: ignore[arg-type]
    assert names(gateways.COLUMNS, room) >= {"state", "name", "reason", "age"}  # type: ignore[arg-type]


def test_what_no_row_needs_is_lent_to_what_is_cut_and_taken_back() -> None:
    columns = [column("name", 10), column("why", 20), column("age", 8)]
    placed = fit(columns, 60)
    needs = {"name": 14, "why": 3, "age": 4}
    assert [(p.column.id, p.x, p.width) for p in lend(placed, needs)] == [
        ("name", 0, 14),
        ("why", 16, 20),
        ("age", 38, 4),
    ]
    every = {"name": 14, "why": 30, "age": 9}
    assert [p.width for p in lend(placed, every)] == [10, 20, 8]


def test_a_text_that_has_gone_keeps_its_cells_for_a_while() -> None:
    needs, why = ColumnNeeds(), column("why", 20, least=4)
    needs.is_due(100.0)
    needs.note(why, Cell.of("a reason of some length"))
    needs.note(why, Cell.of("short"))
    assert needs.widths == {"why": 23}
    assert not needs.is_due(100.0 + KEPT_S / 2)
    assert needs.is_due(100.0 + KEPT_S) and needs.widths == {"why": 23}
    needs.note(why, Cell.of("short"))
    needs.changed = False
    assert needs.is_due(100.0 + 2 * KEPT_S)
    needs.note(why, Cell.of("short"))
    assert needs.widths == {"why": 5} and needs.changed
