"""The search line of a log and the choice of its streams."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from services.models import LogStream
from widgets.text.cell_text import sanitize_line
from widgets.text.line_input import LineInput


class SearchLine(LineInput):
    """Enter keeps what is looked for, Escape drops it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "Drop the search", id="log.search_drop"),
        Binding("enter", "keep", "Keep the search", id="log.search_keep"),
        Binding("up", "step(-1)", "Older match", id="log.search_older"),
        Binding("down", "step(1)", "Newer match", id="log.search_newer"),
    ]

    class Stepped(Message):
        """Another match is asked for while typing."""

        def __init__(self, way: int) -> None:
            super().__init__()
            self.way = way

    def __init__(self) -> None:
        super().__init__("find: any text, whatever its case")

    def action_step(self, way: int) -> None:
        """Ask for the next older or newer match."""
        self.post_message(self.Stepped(way))


class StreamChoice(Widget):
    """The streams on one line, the shown one marked; a click chooses."""

    DEFAULT_CSS = """
    StreamChoice { height: 1; padding: 0 1; display: none; }
    StreamChoice.-several { display: block; }
    """
    ALLOW_SELECT = False

    streams: reactive[tuple[LogStream, ...]] = reactive(())
    shown: reactive[str] = reactive("")

    class Chosen(Message):
        """Another stream is wanted."""

        def __init__(self, stream: str) -> None:
            super().__init__()
            self.stream = stream

    def watch_streams(self) -> None:
        """Shown only where there are two streams or more."""
        self.set_class(len(self.streams) > 1, "-several")

    def render(self) -> Content:
        parts: list[Content | str] = []
        for words, stream in self._labels():
            style = "bold on $foreground 15%" if stream.name == self.shown else "$foreground-muted"
            parts += [Content.styled(words, style), " "]
        return Content.assemble(*parts).truncate(self.content_size.width, ellipsis=True)

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        x = event.get_content_offset_capture(self).x
        at = 0
        for words, stream in self._labels():
            wide = Content(words).cell_length
            if at <= x < at + wide:
                event.stop()
                self.post_message(self.Chosen(stream.name))
                return
            at += wide + 1

    def _labels(self) -> list[tuple[str, LogStream]]:
        return [
            (f" {number} {sanitize_line(stream.title, 30)} ", stream)
            for number, stream in enumerate(self.streams, 1)
        ]
