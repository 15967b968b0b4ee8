"""Partial updates: what Textual would paint, by asking fewer widgets, and only what changed."""

from __future__ import annotations

import re

from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor
from textual.app import App, ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from tui.panel.compositor import ChangedCompositor, cropped

CHANGES = (
    (Region(0, 0, 5, 1),),
    (Region(0, 0, 5, 1), Region(30, 9, 4, 1)),
    (Region(2, 3, 20, 4), Region(21, 1, 3, 9)),
    (Region(39, 0, 1, 10),),
    (Region(0, 0, 9, 1), Region(2, 4, 1, 1), Region(0, 9, 40, 1)),
    (Region(0, 0, 40, 10),),
)


class Numbered(Widget):
    """Tells which of its lines were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Region] = []

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked.append(crop)
        return super().render_lines(crop)

    def render(self) -> str:
        return "\n".join(f"line {number} " + "x" * 50 for number in range(30))


class Host(App[None]):
    CSS = "Numbered { border: round red; width: 20; } Static { height: 30; }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Numbered()
            with VerticalScroll():
                yield Static("\n".join(f"[b]row {number}[/b]" for number in range(30)))


def painted(compositor: Compositor, changes: tuple[Region, ...], app: App[None]) -> str:
    compositor._dirty_regions.clear()
    compositor._dirty_regions.update(changes)
    update = compositor.render_partial_update()
    assert isinstance(update, ChopsUpdate)
    return update.render_segments(app.console)


async def test_it_paints_what_textual_paints() -> None:
    """Frames, scrolled content and whole lines; nothing of what lies between two changes."""
    async with Host().run_test(size=(40, 10)) as pilot:
        app = pilot.app
        app.query_one(VerticalScroll).scroll_to(y=7, animate=False)
        await pilot.pause()
        ours = ChangedCompositor()
        ours.reflow(app.screen, app.size)
        for changes in CHANGES:
            assert painted(ours, changes, app) == painted(app.screen._compositor, changes, app)


async def test_it_asks_for_the_changed_lines_of_changed_widgets() -> None:
    async with Host().run_test(size=(40, 10)) as pilot:
        app = pilot.app
        numbered = app.query_one(Numbered)
        ours = ChangedCompositor()
        ours.reflow(app.screen, app.size)
        numbered.asked.clear()
        painted(ours, (Region(30, 2, 3, 1),), app)
        assert not numbered.asked, "nothing of it had changed"
        painted(ours, (Region(30, 8, 3, 1), Region(3, 4, 2, 2)), app)
        assert numbered.asked == [Region(0, 4, 20, 2)]
        numbered.asked.clear()
        painted(ours, (Region(3, 9, 2, 1), Region(3, 0, 2, 1), Region(4, 1, 2, 2)), app)
        assert numbered.asked == [Region(0, 0, 20, 3), Region(0, 9, 20, 1)], "far apart: apart"


async def test_what_is_covered_is_not_asked() -> None:
    async with Host().run_test(size=(40, 10)) as pilot:
        app = pilot.app
        ours = ChangedCompositor()
        ours.reflow(app.screen, app.size)
        ours._changed = (Region(3, 4, 2, 2),)
        assert len(list(ours._get_renders())) == 1, "the frame around it and the screen are behind"
        ours._changed = (Region(18, 4, 4, 2),)
        assert len(list(ours._get_renders())) == 2, "both together have all of it"


async def test_a_whole_screen_is_what_textual_paints_without_what_lies_behind() -> None:
    """The right half ends above the bottom: there, and only there, what is behind is asked."""
    async with Host().run_test(size=(40, 10)) as pilot:
        app = pilot.app
        right, numbered = app.query_one(VerticalScroll), app.query_one(Numbered)
        right.styles.height = 6
        await pilot.pause()
        ours = ChangedCompositor()
        ours.reflow(app.screen, app.size)
        whole = ours.render_full_update().render_segments(app.console)
        assert whole == app.screen._compositor.render_full_update().render_segments(app.console)
        drawn = [lines for _, lines, _ in ours._get_renders()]
        bar = right.vertical_scrollbar.region
        words = Region(20, 0, 20 - bar.width, 6)
        assert sorted(drawn) == sorted((numbered.region, words, bar, Region(0, 6, 40, 4)))


async def test_without_a_change_there_is_nothing_to_paint() -> None:
    async with Host().run_test(size=(40, 10)) as pilot:
        ours = ChangedCompositor()
        ours.reflow(pilot.app.screen, pilot.app.size)
        ours._dirty_regions.clear()
        assert ours.render_partial_update() is None


def test_a_span_is_cut_on_both_sides() -> None:
    line = {0: Strip([Segment("abcdefghij")]), 10: None, 20: Strip([Segment("KLMNOPQRST")])}
    update = cropped(ChopsUpdate([line], [(0, 4, 6), (0, 8, 23), (0, 29, 30)], [[10, 20, 30]]))
    assert isinstance(update, ChopsUpdate)
    sent = update.render_segments(Console())
    assert re.findall(r"\x1b\[(\d+;\d+)H([^\x1b]*)", sent) == [
        ("1;5", "ef"),
        ("1;9", "ij"),
        ("1;21", "KLM"),
        ("1;30", "T"),
    ]


def test_what_is_whole_is_left_alone() -> None:
    assert cropped(None) is None
    assert cropped("text") == "text"
