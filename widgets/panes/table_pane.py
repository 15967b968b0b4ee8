"""A framed table: title with filter and counts, a filter line, and how fresh it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.geometry import Region
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Static

from services.text.signs import STALE, Sign
from widgets.panes.binding_rows import keys_of
from widgets.table.filter_input import FilterInput
from widgets.table.record_table import RecordTable
from widgets.table.stream_table import StreamTable
from widgets.text.cell_text import Part, cut, sanitize_cell, width_of
from widgets.text.styled_text import TONES

_EDGE_TONES = TONES | {"dim": "$foreground-muted", "calm": "$foreground"}
"""Tones on a border, where a colour for any ground has no ground to be judged against."""


def content_of(parts: Iterable[Part]) -> Content:
    """Text parts with tones as content for a border; a tone may also be a style."""
    return Content.assemble(
        *((sanitize_cell(text), _EDGE_TONES.get(tone, tone)) for text, tone in parts)
    )


def count_summary(counts: Iterable[tuple[Sign, int]], stale: int, room: int) -> list[Part]:
    """Counts with signs and words for a lower edge; short of `room` the last lose words.

    `counts` has the most urgent first. What is known to be bad stands before what is not known.
    """
    known = list(counts)
    bad = sum(sign.tone == "bad" for sign, _ in known)
    shown = [*known[:bad], (STALE, stale), *known[bad:]]
    shown = [(sign, number) for sign, number in shown if number]
    parts: list[Part] = []
    for worded in range(len(shown), -1, -1):
        parts = []
        for at, (sign, number) in enumerate(shown):
            parts += [("  ", "")] if parts else []
            text = f"{sign.glyph} {number} {sign.word}" if at < worded else f"{sign.glyph}{number}"
            parts.append((text, sign.tone))
        if sum(width_of(text) for text, _ in parts) <= room:
            break
    return parts


def follow_badge(following: bool, unseen: int, key: str) -> list[Part]:
    """FOLLOWING, or PAUSED with how much is new and the key that follows."""
    if following:
        return [("FOLLOWING", "dim")]
    parts: list[Part] = [("‖ PAUSED", "warn")]
    if unseen:
        parts += [(" ", ""), (f" +{unseen} new ", "$text on $accent 50%")]
    return [*parts, (f" {key} follows", "dim")] if key else parts


class TablePane(Widget):
    """One or two tables in a quiet frame. Data comes by methods, decisions go out as messages."""

    DEFAULT_CSS = """
    TablePane {
        layout: vertical;
        width: 1fr;
        height: 1fr;
        min-height: 4;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        & > .table-pane--tables { layout: vertical; width: 1fr; height: 1fr; }
        & > .table-pane--problem { display: none; height: 1; padding: 0 1; color: $text-warning; }
        &.-problem > .table-pane--problem { display: block; }
        &.-stale { border: round $warning 50%; }
        &.-focused { border: round $accent; border-title-color: $text; }
        &.-offline { border: round $error 60%; }
        &.-offline.-focused { border: round $error; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="pane.filter"),
    ]

    number: ClassVar[str] = ""
    """The key that focuses it, as shown in its title."""
    heading: ClassVar[str] = ""

    stale: reactive[bool] = reactive(False, init=False, toggle_class="-stale")
    """What is shown could not be refreshed."""
    offline: reactive[bool] = reactive(False, init=False, toggle_class="-offline")
    """The peer behind it is not reachable."""
    hint: reactive[str] = reactive("", init=False)
    """What stands where there are no rows: why, and what to do; empty for the pane's own words."""
    problem: reactive[str] = reactive("")
    """One line above the rows; empty for none."""

    _edges: tuple[list[Part], list[Part]] | None = None
    _on_edges = False

    def tables(self) -> Sequence[RecordTable[Any, Any]]:
        """The tables, the first of them being the one that gets the focus."""
        raise NotImplementedError

    def streams(self) -> Sequence[StreamTable[Any, Any]]:
        """Those of the tables that follow what arrives; they follow and pause together."""
        return ()

    def subject_parts(self) -> list[Part]:
        """What the pane is about, after the heading."""
        return []

    def badge_parts(self) -> list[Part]:
        """What ends the title: whether the streams follow."""
        if not self.streams():
            return []
        key = keys_of(self.screen, "stream.follow") if self.is_attached else ""
        return follow_badge(self.following, self.unseen, key)

    def count_parts(self) -> list[Part]:
        """The lower edge."""
        return []

    def compose(self) -> ComposeResult:
        """The tables; the lines above and below them follow when there is something to show."""
        with Container(classes="table-pane--tables"):
            yield from self.tables()

    @property
    def table(self) -> RecordTable[Any, Any]:
        """The table that has the focus, or else the first."""
        # None is displayed any more while the panel is being left.
        shown = [table for table in self.tables() if table.display] or self.tables()
        return next((table for table in shown if table.has_focus), shown[0])

    @property
    def filter_text(self) -> str:
        """The active filter."""
        return self.tables()[0].filter_text

    @property
    def following(self) -> bool:
        """Whether every shown stream stays at its newest row."""
        return all(table.following for table in self.streams() if table.display)

    @property
    def unseen(self) -> int:
        """Rows that arrived in the shown streams since they were paused."""
        return sum(table.unseen for table in self.streams() if table.display)

    def follow(self) -> None:
        """Stay with the newest rows of the streams."""
        for table in self.streams():
            table.follow()

    def pause(self) -> None:
        """Stay with the rows that are there."""
        for table in self.streams():
            table.pause()

    def tick(self, now: float) -> None:
        """Another second: ages are repainted, nothing else."""
        for table in self.tables():
            table.now = now

    def set_sure_width(self, width: int) -> None:
        """The pane has at least that many cells at every greater size of the screen."""
        inner = max(1, width - 3)  # Without its frame and the scrollbar.
        for table in self.tables():
            table.sure_width = inner

    def set_filter(self, text: str) -> None:
        """Filter every table of the pane."""
        for table in self.tables():
            table.set_filter(text)

    def focus(self, scroll_visible: bool = True) -> TablePane:
        """Give the keyboard to the table, at once."""
        self.screen.set_focus(self.table, scroll_visible)
        return self

    def action_filter(self) -> None:
        """Open the filter line."""
        line = next(iter(self.query_children(FilterInput)), None)
        if line is None:
            line = FilterInput()
            self.mount(line)
        line.open(self.filter_text)

    def retitle(self) -> None:
        """Update the title and the counts on the border."""
        edges = (self._title(), self.count_parts())
        if edges == self._edges:
            return
        self._edges = edges
        title, counts = edges
        self._on_edges = self.is_mounted
        self.border_title = content_of(title)
        self.border_subtitle = content_of(counts) if counts else None
        self._on_edges = False

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        """Other words on an edge repaint that edge: what it frames is as it was."""
        if self._on_edges and not regions:
            wide, high = self.outer_size
            regions = (Region(-1, -1, wide, 1), Region(-1, high - 2, wide, 1))
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def watch_problem(self, problem: str) -> None:
        """Show or hide the line."""
        self.set_class(bool(problem), "-problem")
        line = next(iter(self.query_children(".table-pane--problem").results(Static)), None)
        if line is None and problem and self.children:
            line = Static(markup=False, classes="table-pane--problem")
            self.mount(line, before=0)
        if line is not None:
            line.update(content_of([(f"! {problem}", "")]))

    def watch_hint(self) -> None:
        """Say it where there are no rows."""
        for table in self.tables():
            if not table.total:
                table.refresh()

    def watch_stale(self) -> None:
        """The title says it in a word."""
        self.retitle()

    def watch_offline(self) -> None:
        """The title says it in a word."""
        self.retitle()

    def on_mount(self) -> None:
        """First titles."""
        self.watch_problem(self.problem)
        self.retitle()

    def on_resize(self, _: events.Resize) -> None:
        """What fits an edge depends on its width."""
        self.retitle()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        event.stop()
        self.set_filter(event.value)

    def on_line_input_closed(self, event: FilterInput.Closed) -> None:
        """Back to the rows."""
        event.stop()
        self.set_filter(event.text)
        self.focus()

    def on_record_table_filtered(self, event: RecordTable.Filtered) -> None:
        """Every table of the pane has the same filter."""
        event.stop()
        for table in self.tables():
            if table is not event.table:
                table.set_filter(event.text)
        self.retitle()

    def on_record_table_sorted(self, _: RecordTable.Sorted) -> None:
        """The title names the order."""
        self.retitle()

    def on_record_table_marks_changed(self, _: RecordTable.MarksChanged) -> None:
        """The title counts the marks."""
        self.retitle()

    def on_click(self, event: events.Click) -> None:
        """A click on the frame gives the pane the keyboard; one on a stream's title follows."""
        if event.widget is not self:
            return
        self.focus()
        title = self._border_title
        if event.y == 0 and title and event.x < title.cell_length + 4:
            self.follow()

    def on_stream_table_follow_changed(self, event: StreamTable.FollowChanged) -> None:
        """Streams of one pane follow or pause together; the badge says so."""
        event.stop()
        for table in self.streams():
            if table.following is not event.stream.following:
                table.follow() if event.stream.following else table.pause()
        self.retitle()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """The frame shows where the keys go."""
        self.set_class(self.has_focus_within, "-focused")

    def on_descendant_blur(self, _: events.DescendantBlur) -> None:
        """The keys go elsewhere."""
        self.set_class(self.has_focus_within, "-focused")

    def _title(self) -> list[Part]:
        tables = [table for table in self.tables() if table.display]
        shown = sum(table.shown for table in tables)
        total = sum(table.total for table in tables)
        parts: list[Part] = []
        if self.number:
            parts.append((f"{self.number} ", "$text-accent"))
        parts.append((self.heading, "bold"))
        parts += self.subject_parts()
        if self.filter_text:
            parts.append((f" {shown}/{total}", "dim"))
            parts.append((f" /{cut(self.filter_text, 24)}", "warn"))
        elif total:
            parts.append((f" {total}", "dim"))
        column, reverse = self.table.sort
        if column is not None or reverse:
            parts.append((f" {'▼' if reverse else '▲'}{column or ''}", "dim"))
        marked = sum(len(table.marked) for table in tables)
        if marked:
            parts.append((f" ■ {marked} marked", "wait"))
        if self.offline:
            parts.append((" ✕ offline", "bad"))
        elif self.stale:
            parts.append((f" {STALE}", "warn"))
        badge = self.badge_parts()
        return [*parts, (" ", ""), *badge] if badge else parts
