"""The log of one sandbox in a frame: its streams, its search line, and how well it is followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from services.models import LogLine, LogStream
from services.text.format import countdown
from widgets.log.controls import SearchLine, StreamChoice
from widgets.log.view import LogView
from widgets.panes.binding_rows import keys_of
from widgets.panes.table_pane import content_of, follow_badge
from widgets.text.cell_text import Part, cut, sanitize_line


class LogPane(Widget):
    """What a log says; the app brings the lines and is told which stream is wanted."""

    DEFAULT_CSS = """
    LogPane {
        layout: vertical;
        width: 1fr;
        height: 1fr;
        border: round $accent;
        border-title-color: $text;
        border-subtitle-color: $text-muted;
        & > #log-problem { display: none; height: 1; padding: 0 1; color: $text-warning; }
        &.-problem > #log-problem { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Find", key_display="/", id="log.search"),
        Binding("tab", "stream(1)", "Next stream", id="log.next"),
        Binding("shift+tab", "stream(-1)", "Previous stream", id="log.previous", show=False),
        *(
            Binding(str(n), f"choose({n - 1})", f"Stream {n}", id=f"log.stream{n}", show=False)
            for n in range(1, 10)
        ),
    ]

    class Chosen(Message):
        """Another stream is wanted; the pane shows it as chosen already."""

        def __init__(self, stream: str) -> None:
            super().__init__()
            self.stream = stream

    def __init__(self, name_of_sandbox: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._subject = sanitize_line(name_of_sandbox, 60)
        self._why = ""
        self._retry_at: float | None = None
        self._now = 0.0
        self._view = LogView(self._empty, id="log-view")
        self._choice = StreamChoice()

    @property
    def view(self) -> LogView:
        """The lines."""
        return self._view

    @property
    def stream(self) -> str:
        """The name of the shown stream; empty where there is but one."""
        return self._choice.shown

    def compose(self) -> ComposeResult:
        yield self._choice
        yield Static("", id="log-problem", markup=False)
        yield self._view
        yield SearchLine()

    def on_mount(self) -> None:
        self._view.focus()
        self._retitle()

    def set_streams(self, streams: Sequence[LogStream], shown: str = "") -> None:
        """Set the streams that can be chosen; the first is shown unless another is named."""
        self._choice.streams = tuple(streams)
        self._choice.shown = shown or (streams[0].name if streams else "")
        self.refresh_bindings()

    def extend(self, lines: Iterable[LogLine]) -> None:
        """More has come."""
        self._view.extend(lines)

    def set_problem(self, why: str, retry_at: float | None) -> None:
        """Set why nothing comes and when it is tried again; an empty reason clears it."""
        self._why, self._retry_at = why, retry_at
        self._update_problem()

    def tick(self, now: float) -> None:
        """Another second."""
        self._now = now
        if self._why:
            self._update_problem()

    def escape(self) -> bool:
        """Drop marks or a search; False where there is nothing to drop."""
        return self._view.escape()

    def action_search(self) -> None:
        """Open the search line."""
        self.query_one(SearchLine).open(self._view.query_text)

    def action_stream(self, way: int) -> None:
        """Show the next or previous stream."""
        names = [one.name for one in self._choice.streams]
        if len(names) > 1:
            self._choose(names[(names.index(self._choice.shown) + way) % len(names)])

    def action_choose(self, number: int) -> None:
        """Show the stream of that number."""
        if number < len(self._choice.streams):
            self._choose(self._choice.streams[number].name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Choosing a stream needs at least two."""
        if action == "stream":
            return len(self._choice.streams) > 1
        if action == "choose":
            number = parameters[0]
            return isinstance(number, int) and 1 < len(self._choice.streams) > number
        return True

    def on_resize(self, _: events.Resize) -> None:
        """What fits an edge depends on its width."""
        self._retitle()

    @on(StreamChoice.Chosen)
    def _clicked(self, event: StreamChoice.Chosen) -> None:
        event.stop()
        self._choose(event.stream)

    @on(SearchLine.Stepped)
    def _stepped(self, event: SearchLine.Stepped) -> None:
        event.stop()
        if event.way < 0:
            self._view.action_older()
        else:
            self._view.action_newer()

    @on(SearchLine.Closed)
    def _search_closed(self, event: SearchLine.Closed) -> None:
        event.stop()
        if event.text != self._view.query_text:
            self._view.search(event.text)
        self._view.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.query_one(SearchLine).has_class("-open"):
            self._view.search(event.value)

    @on(LogView.Changed)
    def _changed(self, event: LogView.Changed) -> None:
        event.stop()
        self._retitle()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """The key that follows is named where it would be obeyed, not in the search line."""
        self._retitle()

    def on_click(self, event: events.Click) -> None:
        """A click on the title follows again: that is where the new lines are counted."""
        if event.widget is self and event.y == 0:
            self._view.action_last()

    def _choose(self, stream: str) -> None:
        if stream != self._choice.shown:
            self._choice.shown = stream
            self._view.clear_lines()
            self.set_problem("", None)
            self.post_message(self.Chosen(stream))

    def _empty(self) -> str:
        return "Nothing yet: lines appear here as they are written."

    def _update_problem(self) -> None:
        self.set_class(bool(self._why), "-problem")
        words = f"! {self._why}"
        if self._retry_at is not None and self._now:
            words += f" · asked again {countdown(self._now, self._retry_at)}"
        self.query_one("#log-problem", Static).update(content_of([(words, "")]))

    def _retitle(self) -> None:
        view = self._view
        parts: list[Part] = [("logs", "bold"), (f" {self._subject}", "wait"), (" ", "")]
        key = keys_of(self.screen, "log.follow") if self.is_attached else ""
        parts += follow_badge(view.following, view.unseen, key)
        self.border_title = content_of(parts)
        self.border_subtitle = content_of(self._counts())

    def _counts(self) -> list[Part]:
        view = self._view
        lines = len(view.lines)
        parts: list[Part] = [("1 line" if lines == 1 else f"{lines} lines", "dim")]
        if not view.wrap:
            parts.append(("  cut, w wraps", "dim"))
        if view.marked:
            parts.append((f"  ■ {len(view.marked)} marked", "wait"))
        if view.query_text:
            matches = view.lines.matches
            here = f"{matches.index(view.cursor) + 1}/" if view.cursor in matches else ""
            found = f"{here}{len(matches)}" if matches else "not found"
            parts.append((f"  /{cut(view.query_text, 24)} {found}", "warn"))
        return parts
