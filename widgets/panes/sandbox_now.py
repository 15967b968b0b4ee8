"""One sandbox as it is now: what it is, what it needs, what happened to it, the end of its log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import NamedTuple

from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual
from textual.widget import Widget

from services.models import Direction, Event, Gateway, LogLine, Sandbox
from services.text.format import clock_time
from services.text.signs import GATEWAYS, SEVERITIES, STALE, sandbox_sign
from widgets.panes import queue_counts
from widgets.panes.detail_text import queue_facts
from widgets.text.cell_text import sanitize_block, sanitize_line
from widgets.text.styled_text import joined, signed, styled

MOST_EVENTS = 5
KEPT_LINES = 200
"""Lines of the log kept for a pane that grows."""


class NowState(NamedTuple):
    """What is known of the sandbox; nothing in it changes by the clock alone."""

    sandbox: Sandbox
    ways: tuple[Gateway, ...] = ()
    """What it cannot be reached without, as far as that is on the board."""
    events: tuple[Event, ...] = ()
    """What happened to it, oldest first."""
    shell: str = ""
    """How to open a shell in it, or why that cannot be."""


class SandboxNow(Widget, can_focus=True):
    """Stands where shells will stand: the selected sandbox, or why there is none."""

    DEFAULT_CSS = """
    SandboxNow { height: 1fr; padding: 0 1; color: $text; }
    SandboxNow:ansi:focus { text-style: none; }
    """
    ALLOW_SELECT = False

    def __init__(self, empty: str) -> None:
        super().__init__()
        self._empty = empty
        self._state: NowState | None = None
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._log_problem = ""
        self._drawn: list[Content] | None = None
        """The lines as they stand on the screen."""
        self._drawn_for = Size(0, 0)
        self._log_lines: dict[LogLine, Content] = {}
        self._strips: dict[int, tuple[Content, Strip]] = {}
        """By the identity of a line: one that only moved is not drawn anew."""
        self._strips_for: tuple[int, Style] | None = None

    def show(self, state: NowState | None, empty: str = "") -> None:
        """Say this from now on; `empty` says why there is no sandbox."""
        state, empty = _timeless(state), empty or self._empty
        if (state, empty) == (self._state, self._empty):
            return
        self._state, self._empty = state, empty
        self._redraw()

    def extend(self, lines: Iterable[LogLine]) -> None:
        """More of its log."""
        self._lines.extend(lines)
        self._redraw()

    def clear_log(self, problem: str = "") -> None:
        """Forget the log, as when another sandbox is selected; `problem` says why there is none."""
        self._lines.clear()
        self._log_problem = problem
        self._redraw()

    def _redraw(self) -> None:
        """Repaint the lines that say something else, and only those."""
        before = self._drawn
        if not self.is_mounted:
            return
        if before is None or self._drawn_for != self.content_size:
            self._drawn = None
            self.refresh()
            return
        now = self._content()
        changed = [
            row
            for row, (old, new) in enumerate(zip_longest(before, now))
            if old is not new and (old is None or new is None or not old.is_same(new))
        ]
        if changed:
            self._drawn = now
            wide = self.content_size.width
            self.refresh(*(Region(0, row, wide, 1) for row in changed))

    def render_line(self, y: int) -> Strip:
        if self._drawn is None or self._drawn_for != self.content_size:
            self._log_lines.clear()
            self._drawn, self._drawn_for = self._content(), self.content_size
        width, style = self.content_size.width, self.visual_style
        if self._strips_for != (width, style):
            self._strips.clear()
            self._strips_for = width, style
        if y >= len(self._drawn):
            return Strip.blank(width, style.rich_style)
        line = self._drawn[y]
        kept = self._strips.get(id(line))
        if kept is None or kept[0] is not line:
            if len(self._strips) > 2 * len(self._drawn):
                self._strips.clear()
            (strip,) = Visual.to_strips(self, line, width, 1, style)
            kept = self._strips[id(line)] = line, strip
        return kept[1]

    def _content(self) -> list[Content]:
        width, height = self.content_size
        if self._state is None:
            lines = [styled(line, "dim") for line in sanitize_block(self._empty).split("\n")]
            above = [Content(" ")] * max(0, (height - len(lines)) // 2)
            return cut_lines([*above, *(_centred(line, width) for line in lines)], width)
        facts = [line for fact in _facts(self._state) for line in fact.wrap(max(8, width))]
        facts = facts[: max(2, height)]
        room = height - len(facts)
        events = [_event(one) for one in self._state.events[-max(0, min(MOST_EVENTS, room // 3)) :]]
        if room < 3:
            events = []
        told = [_title("last events"), *(events or [styled("none known", "dim")])]
        told = told if room >= 3 else []
        log = list(self._log(room - len(told) - 1))
        return cut_lines([*facts, *told, *([_title("log"), *log] if log else [])], width)

    def _log(self, room: int) -> Iterator[Content]:
        """The last lines that have room, and why there are no more."""
        problem = [styled(self._log_problem, "warn")] if self._log_problem else []
        if room <= 0:
            return
        held = list(self._lines)[-max(0, room - len(problem)) :]
        if not held and not problem:
            yield styled("nothing yet", "dim")
        known, width = self._log_lines, max(1, self.content_size.width)
        self._log_lines = {
            line: known.get(line)
            or styled(line.text, "wait" if line.ours else "calm").truncate(width, ellipsis=True)
            for line in held
        }
        yield from (self._log_lines[line] for line in held)
        yield from problem


def _timeless(state: NowState | None) -> NowState | None:
    """The same of every look that finds it so: when it was seen is not said here."""
    if state is None:
        return None
    ways = tuple(replace(way, observed_at=0.0, latency_s=None) for way in state.ways)
    return state._replace(sandbox=replace(state.sandbox, observed_at=0.0), ways=ways)


def cut_lines(lines: Sequence[Content], width: int) -> list[Content]:
    """The lines that say something, each cut to the width."""
    return [line.truncate(max(1, width), ellipsis=True) for line in lines if line]


def _centred(line: Content, width: int) -> Content:
    return Content.assemble(" " * max(0, (width - line.cell_length) // 2), line)


def _title(words: str) -> Content:
    return styled(words, "wait", bold=True)


def _facts(state: NowState) -> Iterator[Content]:
    sandbox = state.sandbox
    sign = sandbox_sign(sandbox)
    since = "" if sandbox.since is None else f"since {clock_time(sandbox.since)}"
    yield joined(
        (
            signed(sign, bold=True),
            styled(sandbox.name, "calm", bold=True),
            styled(sandbox.tool, "busy"),
            styled(since, "dim"),
            signed(STALE) if sandbox.stale else Content(""),
        )
    )
    if sandbox.reason:
        yield styled(sandbox.reason, "calm")
    if sandbox.needs_me:
        yield styled(f"needs you: {sandbox.needs_me}", "warn")
    for way in state.ways:
        yield joined((styled("reached by", "dim"), _way(way)), " ")
    for direction, (name, counts) in zip(
        Direction, queue_facts(sandbox.inbound, sandbox.outbound), strict=False
    ):
        open_rows = queue_counts.open_count(
            sandbox.inbound if direction is Direction.IN else sandbox.outbound
        )
        yield joined((styled(name, "dim"), styled(counts, "calm" if open_rows else "dim")))
    if state.shell:
        yield styled(state.shell, "dim")


def _way(way: Gateway) -> Content:
    sign = GATEWAYS[way.state]
    reason = f": {way.reason}" if way.reason else ""
    stale = f" {STALE}" if way.stale else ""
    return signed(sign, f"{sanitize_line(way.name, 60)} {sign.word}{stale}{reason}")


def _event(event: Event) -> Content:
    sign = SEVERITIES[event.severity]
    when = styled(clock_time(event.at), "dim")
    return joined((when, signed(sign, ""), styled(event.text, "calm")), " ")
