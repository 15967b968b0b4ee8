"""Where each pane of the dashboard goes: geometry in, regions out.

The sandboxes and their repair bar have the whole width at every size, so that a wider window never
shows less of them. Below them stand three columns in a wide window, two in a medium one, and one
of the other panes in a narrow one. A layout of our own, since a table has to know the width it has
at every greater size of the window before it chooses its columns (`sure_width`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from textual.containers import Container
from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from widgets.panes.table_pane import TablePane

WIDE, MEDIUM = 160, 120


class Pane(Enum):
    """The parts of the dashboard; the value is the widget's id."""

    SANDBOXES = "sandboxes"
    GATEWAYS = "gateways"
    QUEUES = "queues"
    SHELL = "shell"
    EVENTS = "events"
    REPAIR = "repair"


NUMBERED = (Pane.SANDBOXES, Pane.GATEWAYS, Pane.QUEUES, Pane.SHELL, Pane.EVENTS)
"""The panes that `1` to `5` focus, in that order."""
LOWER = NUMBERED[1:]
"""The panes that share the lower half of a narrow screen."""


class Asked(NamedTuple):
    """What the panes have to show: rows of two tables, and lines of the repair bar."""

    sandboxes: int = 4
    gateways: int = 2
    repair: int = 2


_USUAL = Asked()
_LEAST_TABLE = 5
"""Lines of a table with two rows in its frame."""
_LEFT = 51
"""Cells of the left one of three columns: state, name, reason and age of a gateway."""
_QUEUE, _SHELL = 50, 80
"""Cells of the others: messages with some of their text, and what most programs are made for."""


def _column(x: int, width: int, top: int, parts: list[tuple[Pane, int]]) -> dict[Pane, Region]:
    placed: dict[Pane, Region] = {}
    for pane, height in parts:
        placed[pane] = Region(x, top, width, height)
        top += height
    return placed


def _middle(room: int) -> int:
    """Cells of the queues: what the shell leaves, which has 80 before the queues get half."""
    return room - max(room // 2, min(_SHELL, room - _QUEUE))


def _top(width: int, height: int, asked: Asked) -> tuple[int, int]:
    """Lines of the sandboxes and of their repair bar.

    Both together depend on the number of rows alone: what is selected never moves the panes below,
    one of which is a terminal.
    """
    most = max(13, round(height * (0.58 if width < MEDIUM else 0.45)))
    rows = max(4, asked.sandboxes)  # Why there are none takes room, too.
    wanted = 7 + rows + min(rows, 6)
    both = max(_LEAST_TABLE + 2, min(wanted, most, height - 6))
    repair = max(1, min(asked.repair, both - _LEAST_TABLE))
    return both - repair, repair


def regions(
    width: int, height: int, lower: Pane, zoomed: Pane | None, asked: Asked = _USUAL
) -> Mapping[Pane, Region]:
    """The visible panes and their places, for a dashboard of that many cells."""
    if zoomed is not None:
        return {zoomed: Region(0, 0, width, height)}
    sandboxes, repair = _top(width, height, asked)
    top = sandboxes + repair
    below = max(3, height - top)
    placed = _column(0, width, 0, [(Pane.SANDBOXES, sandboxes), (Pane.REPAIR, repair)])
    if width < MEDIUM:
        return {**placed, lower: Region(0, top, width, below)}
    gateways = max(5, min(3 + 2 * max(2, asked.gateways), below // 3))
    rest = below - gateways
    if width < WIDE:
        left = width // 2
        queues = max(4, round(rest * 0.55))
        parts = [(Pane.GATEWAYS, gateways), (Pane.QUEUES, queues), (Pane.EVENTS, rest - queues)]
        shell = Region(left, top, width - left, below)
        return {**placed, **_column(0, left, top, parts), Pane.SHELL: shell}
    left = max(_LEFT, width * 28 // 100)
    middle = _middle(width - left)
    return {
        **placed,
        **_column(0, left, top, [(Pane.GATEWAYS, gateways), (Pane.EVENTS, rest)]),
        Pane.QUEUES: Region(left, top, middle, below),
        Pane.SHELL: Region(left + middle, top, width - left - middle, below),
    }


def sure_width(pane: Pane, width: int, zoomed: Pane | None) -> int:
    """The least width the pane has in a window of that many cells and in every wider one."""
    if zoomed is pane:
        return width
    wider = (width, *(edge for edge in (MEDIUM, WIDE) if edge > width))
    return min(regions(one, 40, pane, None)[pane].width for one in wider)


class DashboardLayout(Layout):
    """Places the dashboard's panes by `regions`; a pane without a region is not shown."""

    name = "dashboard"

    def __init__(self) -> None:
        self.lower = Pane.QUEUES
        self.zoomed: Pane | None = None
        self.sandboxes = self.gateways = 0

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        by_name = {child.id: child for child in children}
        bar = by_name.get(Pane.REPAIR.value)
        lines = 2 if bar is None else bar.get_content_height(size, size, max(1, size.width - 2))
        asked = Asked(self.sandboxes, self.gateways, lines)
        places = regions(size.width, size.height, self.lower, self.zoomed, asked)
        by_id = {pane.value: region for pane, region in places.items()}
        for pane in places:
            table_pane = by_name.get(pane.value)
            if isinstance(table_pane, TablePane):
                table_pane.set_sure_width(sure_width(pane, size.width, self.zoomed))
        return [
            WidgetPlacement(by_id[child.id], NULL_OFFSET, Spacing(), child)
            for child in children
            if child.id in by_id
        ]


class PaneGrid(Container):
    """The container of the panes, laid out by `DashboardLayout`."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.pane_layout = DashboardLayout()

    @property
    def layout(self) -> Layout:
        """Always ours, whatever a stylesheet says."""
        return self.pane_layout

    def show_counts(self, sandboxes: int, gateways: int) -> None:
        """Make room for that many rows of the two tables."""
        layout = self.pane_layout
        if (layout.sandboxes, layout.gateways) != (sandboxes, gateways):
            layout.sandboxes, layout.gateways = sandboxes, gateways
            self._arrange_anew()

    def rearrange(self, *, lower: Pane | None = None, zoomed: Pane | None) -> None:
        """Show another lower pane on a narrow screen, or another zoomed one."""
        wanted = (lower or self.pane_layout.lower, zoomed)
        if wanted != (self.pane_layout.lower, self.pane_layout.zoomed):
            self.pane_layout.lower, self.pane_layout.zoomed = wanted
            self._arrange_anew()

    def _arrange_anew(self) -> None:
        # A child that asks is what makes Textual forget how it arranged this container.
        for child in self.children:
            child.refresh(layout=True)
