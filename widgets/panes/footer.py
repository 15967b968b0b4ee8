"""The keys that work right now, on one line.

Not Textual's Footer: that one scrolls out of sight where it is too narrow, and replays a click as
a key press, which a focused shell would take for input. This one drops what matters least, says
that it did, and runs the action itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from widgets.panes.binding_rows import KeyRow, key_sections
from widgets.text.cell_text import sanitize_line

_GAP = 2
_MORE = "…"


class FooterLine(NamedTuple):
    """What is drawn, and which cells belong to which key."""

    content: Content
    hits: tuple[tuple[int, int, KeyRow], ...]
    """First cell, cell past the last, row."""


def footer_line(rows: Sequence[KeyRow], width: int, pinned: Sequence[str] = ()) -> FooterLine:
    """The rows on one line of at most `width` cells; those with a pinned id stand at its end.

    Where there is no room, disabled rows go first, then the last ones, and `…` stands for them.
    """
    ends = [row for name in pinned for row in rows if row.id == name]
    starts = [row for row in rows if row not in ends]
    room = width - _width(ends) - (_GAP if ends else 0)
    kept = list(starts)
    while kept and _width(kept) + (_GAP + 1 if len(kept) < len(starts) else 0) > room:
        off = [row for row in kept if not row.enabled]
        kept.remove((off or kept)[-1])
    parts: list[Content] = []
    hits: list[tuple[int, int, KeyRow]] = []
    at = 0
    for row in kept:
        at = _append_key(parts, hits, at, row)
    if len(kept) < len(starts):
        parts.append(Content.styled(_MORE, "$foreground-muted"))
        at += 1 + _GAP
        parts.append(Content(" " * _GAP))
    filler = max(0, width - at - _width(ends))
    parts.append(Content(" " * filler))
    at += filler
    for row in ends:
        at = _append_key(parts, hits, at, row)
    return FooterLine(Content.assemble(*parts).truncate(width), tuple(hits))


def _words(row: KeyRow) -> tuple[str, str]:
    return sanitize_line(row.keys[0], 12), sanitize_line(row.description, 24)


def _width(rows: Iterable[KeyRow]) -> int:
    widths = [Content(" ".join(_words(row))).cell_length for row in rows]
    return sum(widths) + _GAP * max(0, len(widths) - 1)


def _append_key(
    parts: list[Content], hits: list[tuple[int, int, KeyRow]], at: int, row: KeyRow
) -> int:
    key, words = _words(row)
    style = "$foreground-muted" if row.enabled else "$foreground-disabled"
    cell = Content.assemble(
        (key, "bold $text-accent" if row.enabled else style), " ", (words, style)
    )
    end = at + cell.cell_length
    hits.append((at, end, row))
    parts += [cell, Content(" " * _GAP)]
    return end + _GAP


class KeyFooter(Widget):
    """One line of live keys: the focused pane's first, disabled ones dim, each one clickable."""

    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom;
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $text;
    }
    """
    ALLOW_SELECT = False

    def __init__(
        self,
        *,
        pinned: Sequence[str] = (),
        instead: Callable[[], Sequence[KeyRow]] = lambda: (),
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`pinned` are the ids of bindings that always stand at the right.

        What `instead` gives is shown alone, as while a shell owns the keys.
        """
        super().__init__(name=name, id=id, classes=classes)
        self._instead = instead
        self._pinned = tuple(pinned)
        self._line = FooterLine(Content(""), ())

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.refresh()

    def render(self) -> Content:
        rows = list(self._instead()) or [
            row
            for section in key_sections(self.app, self.screen.active_bindings)
            for row in section.rows
            if row.shown or row.id in self._pinned
        ]
        self._line = footer_line(rows, self.content_size.width, self._pinned)
        return self._line.content

    def _row_at(self, event: events.MouseEvent) -> KeyRow | None:
        x = event.get_content_offset_capture(self).x
        return next((row for start, end, row in self._line.hits if start <= x < end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        row = self._row_at(event)
        words = "" if row is None else row.reason or row.description
        self.tooltip = Content(words) if words else None

    async def on_click(self, event: events.Click) -> None:
        row = self._row_at(event)
        if row is None:
            return
        event.stop()
        if row.enabled:
            await self.app.run_action(row.action, row.place)
        else:
            self.app.bell()
