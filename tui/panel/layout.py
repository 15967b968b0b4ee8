"""Where each pane of the dashboard goes: geometry in, regions out.

Three breakpoints. Wide: three columns, everything at once. Medium: two columns, everything at
once. Narrow: the sandboxes and their repair bar always, and one of the other panes below them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from textual.containers import Container
from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

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


def _column(x: int, width: int, top: int, parts: list[tuple[Pane, int]]) -> dict[Pane, Region]:
    placed: dict[Pane, Region] = {}
    for pane, height in parts:
        placed[pane] = Region(x, top, width, height)
        top += height
    return placed


def _share(height: int, fixed: int, ratio: float, least: int) -> tuple[int, int]:
    """Split what `fixed` leaves in two, the first at least `least`."""
    room = max(2, height - fixed)
    first = min(max(least, round(room * ratio)), max(1, room - 3))
    return first, room - first


def regions(width: int, height: int, lower: Pane, zoomed: Pane | None) -> Mapping[Pane, Region]:
    """The visible panes and their places, for a dashboard of that many cells."""
    if zoomed is not None:
        return {zoomed: Region(0, 0, width, height)}
    repair = 6 if height < 30 else 9
    if width >= WIDE:
        left, middle = round(width * 0.30), round(width * 0.32)
        right = width - left - middle
        gateways = 6 if height < 40 else 8
        sandboxes = height - repair - gateways
        queue, events = _share(height, 0, 0.58, 8)
        return {
            **_column(
                0,
                left,
                0,
                [(Pane.SANDBOXES, sandboxes), (Pane.REPAIR, repair), (Pane.GATEWAYS, gateways)],
            ),
            **_column(left, middle, 0, [(Pane.QUEUES, queue), (Pane.EVENTS, events)]),
            Pane.SHELL: Region(left + middle, 0, right, height),
        }
    if width >= MEDIUM:
        left = width // 2
        gateways = 5
        sandboxes, events = _share(height, repair + gateways, 0.55, 7)
        queue, shell = _share(height, 0, 0.42, 7)
        return {
            **_column(
                0,
                left,
                0,
                [
                    (Pane.SANDBOXES, sandboxes),
                    (Pane.REPAIR, repair),
                    (Pane.GATEWAYS, gateways),
                    (Pane.EVENTS, events),
                ],
            ),
            **_column(left, width - left, 0, [(Pane.QUEUES, queue), (Pane.SHELL, shell)]),
        }
    sandboxes, below = _share(height, repair, 0.42, 6)
    return _column(
        0, width, 0, [(Pane.SANDBOXES, sandboxes), (Pane.REPAIR, repair), (lower, below)]
    )


class DashboardLayout(Layout):
    """Places the dashboard's panes by `regions`; a pane without a region is not shown."""

    name = "dashboard"

    def __init__(self) -> None:
        self.lower = Pane.QUEUES
        self.zoomed: Pane | None = None

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        places = regions(size.width, size.height, self.lower, self.zoomed)
        by_id = {pane.value: region for pane, region in places.items()}
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

    def rearrange(self, *, lower: Pane | None = None, zoomed: Pane | None) -> None:
        """Show another lower pane on a narrow screen, or another zoomed one."""
        wanted = (lower or self.pane_layout.lower, zoomed)
        if wanted != (self.pane_layout.lower, self.pane_layout.zoomed):
            self.pane_layout.lower, self.pane_layout.zoomed = wanted
            # A child that asks is what makes Textual forget how it arranged this container.
            for child in self.children:
                child.refresh(layout=True)
