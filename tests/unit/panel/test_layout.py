"""A wider window never shows less: columns and their widths over every width of the window."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tui.panel.layout import LOWER, NUMBERED, Asked, Pane, regions, sure_width
from widgets.panes import events, gateways, queue_rows, sandboxes
from widgets.table.columns import Column, fit, lend
from widgets.table.row_painter import GUTTER

WIDTHS = range(60, 261)
EDGES = 3
"""A frame and a scrollbar."""
TABLES: dict[Pane, tuple[Column[Any], ...]] = {
    Pane.SANDBOXES: sandboxes.COLUMNS,
    Pane.GATEWAYS: gateways.COLUMNS,
    Pane.QUEUES: queue_rows.COLUMNS,
    Pane.EVENTS: events.COLUMNS,
}


NEEDS: dict[Pane, list[dict[str, int]]] = {
    Pane.SANDBOXES: [
        {"state": 9, "name": 14, "why": 8, "in": 7, "out": 2, "age": 3},
        {"state": 9, "name": 36, "why": 64, "in": 13, "out": 2, "age": 4},
        {"state": 9, "name": 70, "why": 400, "in": 20, "out": 9, "age": 11, "source": 20},
    ],
    Pane.GATEWAYS: [
        {"state": 7, "name": 14, "reason": 3, "latency": 7, "trend": 12, "range": 1, "age": 3},
        {"state": 7, "name": 40, "reason": 50, "latency": 7, "trend": 12, "address": 60, "age": 5},
    ],
    Pane.QUEUES: [{"time": 8, "way": 1, "label": 13, "kind": 4, "text": 300, "due": 3}],
    Pane.EVENTS: [
        {"time": 8, "sign": 1, "subject": 12, "text": 20, "source": 5},
        {"time": 8, "sign": 1, "subject": 40, "text": 300, "source": 5},
    ],
}
"""Cells that rows of each table need: little in one column, much in another."""
ROWS = [(pane, needs) for pane, every in NEEDS.items() for needs in every]


def shown(
    pane: Pane,
    width: int,
    zoomed: Pane | None = None,
    needs: dict[str, int] | None = None,
) -> dict[str, int]:
    """Ids of the columns of a pane with their widths, in a window of so many cells."""
    lower = pane if pane in LOWER else Pane.QUEUES
    inner = regions(width, 40, lower, zoomed)[pane].width - EDGES - GUTTER
    sure = sure_width(pane, width, zoomed) - EDGES - GUTTER
    placed = lend(fit(TABLES[pane], inner, sure), needs or {})
    return {one.column.id: one.width for one in placed}


@pytest.mark.parametrize("pane", TABLES, ids=lambda pane: pane.value)
def test_a_column_once_shown_is_shown_at_every_greater_width(pane: Pane) -> None:
    before: set[str] = set()
    for width in WIDTHS:
        now = set(shown(pane, width))
        assert before <= now, f"{width} columns lose {before - now}"
        before = now


@pytest.mark.parametrize("zoomed", [False, True], ids=["beside others", "zoomed"])
@pytest.mark.parametrize("pane", TABLES, ids=lambda pane: pane.value)
def test_no_cell_gets_narrower(pane: Pane, zoomed: bool) -> None:
    """Only what takes the room that is left may, and only where panes come to stand abreast."""
    whole = zoomed or pane is Pane.SANDBOXES
    elastic = set() if whole else {one.id for one in TABLES[pane] if one.flex}
    before: dict[str, int] = {}
    for width in WIDTHS:
        now = shown(pane, width, pane if zoomed else None)
        narrower = {id for id, cells in before.items() if now[id] < cells and id not in elastic}
        assert not narrower, f"{width} columns narrow {narrower}"
        before = now


@pytest.mark.parametrize(("pane", "needs"), ROWS)
def test_no_column_is_cut_while_another_is_blank(pane: Pane, needs: dict[str, int]) -> None:
    for width in WIDTHS:
        for zoomed in (None, pane):
            now = shown(pane, width, zoomed, needs)
            cut = {id for id in now if now[id] < needs.get(id, 0)}
            blank = {id for id in now if now[id] > needs.get(id, now[id])}
            assert not (cut and blank), f"{width} columns cut {cut} beside {blank}"


@pytest.mark.parametrize("needs", NEEDS[Pane.SANDBOXES])
def test_a_text_is_never_cut_more_in_a_wider_window(needs: dict[str, int]) -> None:
    before: dict[str, int] = {}
    for width in WIDTHS:
        now = {
            id: min(cells, needs.get(id, cells))
            for id, cells in shown(Pane.SANDBOXES, width, None, needs).items()
        }
        assert all(now[id] >= cells for id, cells in before.items()), f"{width}: {now} < {before}"
        before = now


def test_the_queues_leave_a_shell_its_eighty_cells() -> None:
    for width in WIDTHS:
        placed = regions(width, 40, Pane.QUEUES, None)
        if width >= 190:
            assert placed[Pane.SHELL].width >= 80 and placed[Pane.QUEUES].width >= 50


def test_the_reason_has_its_cells_at_every_width() -> None:
    for width in range(80, 261):
        assert shown(Pane.SANDBOXES, width)["why"] >= 24
        assert {"state", "name", "in", "out", "age"} <= set(shown(Pane.SANDBOXES, width))
        assert "subject" in shown(Pane.EVENTS, width)
        assert "reason" in shown(Pane.GATEWAYS, width)


def test_the_rule_would_be_broken_by_a_table_that_fills_what_it_has() -> None:
    """Without the width that is sure, a column would go where panes come to stand abreast."""
    pane = Pane.GATEWAYS
    greedy = [
        {one.column.id for one in fit(gateways.COLUMNS, regions(w, 40, pane, None)[pane].width)}
        for w in WIDTHS
    ]
    assert any(not before <= now for before, now in pairwise(greedy))


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 48), (200, 60), (250, 70)])
@pytest.mark.parametrize("rows", [0, 4, 400])
def test_panes_fill_the_window_and_none_lies_on_another(size: tuple[int, int], rows: int) -> None:
    width, height = size
    for repair in (1, 2, 5, 9):
        placed = regions(width, height, Pane.QUEUES, None, Asked(rows, 2, repair))
        area = sum(region.area for region in placed.values())
        assert area == width * height
        every = list(placed.values())
        for at, one in enumerate(every):
            assert all(not one.overlaps(other) for other in every[at + 1 :])
        assert all(region.height >= 3 for pane, region in placed.items() if pane in NUMBERED)


def test_what_the_repair_bar_says_moves_no_pane_below() -> None:
    for size in ((80, 24), (120, 40), (200, 60)):
        calm = regions(*size, Pane.SHELL, None, Asked(4, 2, 1))
        loud = regions(*size, Pane.SHELL, None, Asked(4, 2, 9))
        assert calm[Pane.SHELL] == loud[Pane.SHELL]
        assert loud[Pane.REPAIR].height > calm[Pane.REPAIR].height
