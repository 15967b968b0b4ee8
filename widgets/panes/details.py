"""The details of one record: facts, queues, events, content and the raw record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.message import Message as TextualMessage
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from services.lazy_dataclass import dataclass
from services.models import Event, Facts, Gateway, Message, Sandbox
from services.text.format import age
from widgets.panes.detail_text import (
    Subject,
    event_lines,
    events_title,
    facts_of,
    facts_text,
    name_of,
    queue_facts,
    record_json,
    record_text,
    sign_of,
)
from widgets.panes.footer import KeyFooter
from widgets.text.cell_text import sanitize_block, sanitize_line
from widgets.text.styled_text import signed, styled


class FactTable(Widget):
    """Names and values in two columns; selectable text."""

    DEFAULT_CSS = "FactTable { height: auto; }"

    facts: reactive[Facts] = reactive((), layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(facts_text(self.facts, width).split("\n", allow_blank=True))

    def render(self) -> Content:
        return facts_text(self.facts, self.content_size.width)


class DetailPane(ModalScreen[None]):
    """A dialog about one record; call `show` with each newer record to update it.

    `CopyRequested` goes to the app, the parent of a modal screen.
    """

    DEFAULT_CSS = """
    DetailPane {
        align: center middle;

        #detail-box {
            width: 100;
            max-width: 96%;
            height: auto;
            max-height: 90%;
            padding: 0 1;
            border: round $accent;
            background: $surface;
        }
        #detail-scroll {
            height: auto;
            max-height: 100%;
            padding: 0 1;
            scrollbar-background: $surface;
            scrollbar-color: $foreground 25%;
            scrollbar-size-vertical: 1;
        }
        .detail-title { height: 1; color: $text-accent; text-style: bold; margin: 1 0 0 0; }
        .detail-title.-first { margin: 0; }
        Static { height: auto; }
        #detail-gone { color: $text-warning; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "Close", id="detail.close"),
        Binding("y", "copy", "Copy JSON", id="detail.copy"),
        Binding("j,down", "scroll(1)", "Down", id="detail.down", show=False),
        Binding("k,up", "scroll(-1)", "Up", id="detail.up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", id="detail.pagedown", show=False),
        Binding("pageup", "page(-1)", "Page up", id="detail.pageup", show=False),
        Binding("g,home", "top", "Top", id="detail.top", show=False),
        Binding("G,end", "bottom", "Bottom", id="detail.bottom", show=False),
        Binding("tab", "section(1)", "Next section", id="detail.next"),
        Binding("shift+tab", "section(-1)", "Previous section", id="detail.previous", show=False),
    ]

    @dataclass
    class CopyRequested(TextualMessage):
        """The operator asks for the text on the clipboard."""

        text: str

    def __init__(self, subject: Subject, *, now: float, events: Sequence[Event] = ()) -> None:
        """`events` are those of the subject, in any order."""
        super().__init__()
        self._subject = subject
        self._now = now
        self._events = tuple(events)
        self._content: Content | None = None
        self._described: tuple[Facts, float] = (), now
        self._missing = False
        self._drawn: dict[str, Content | Facts] = {}

    @property
    def subject(self) -> Subject:
        """The record as it stands here."""
        return self._subject

    def compose(self) -> ComposeResult:
        with Vertical(id="detail-box"), VerticalScroll(id="detail-scroll"):
            yield Static(id="detail-gone", markup=False)
            yield FactTable(id="detail-facts")
            yield Static(classes="detail-title", id="title-described", markup=False)
            yield FactTable(id="detail-described")
            yield Static("Queues", classes="detail-title", id="title-queues", markup=False)
            yield FactTable(id="detail-queues")
            yield Static("Content", classes="detail-title", id="title-content", markup=False)
            yield Static(id="detail-content", markup=False)
            yield Static(classes="detail-title", id="title-events", markup=False)
            yield Static(id="detail-events", markup=False)
            yield Static("Record", classes="detail-title", id="title-record", markup=False)
            yield Static(id="detail-record", markup=False)
        yield KeyFooter(pinned=("detail.close",))

    def on_mount(self) -> None:
        self._draw()
        self.query_one("#detail-scroll").focus()

    def show(self, subject: Subject, *, now: float, events: Sequence[Event] = ()) -> None:
        """Say this from now on; what did not change keeps its place and its selection."""
        self._subject, self._now, self._events = subject, now, tuple(events)
        self._missing = False
        if self.is_mounted:
            self._draw()

    def show_missing(self, now: float) -> None:
        """The record is no longer reported; what was last seen stays, and says so."""
        self._now, self._missing = now, True
        if self.is_mounted:
            self._draw()

    def show_described(self, facts: Facts, at: float) -> None:
        """What was asked for beside the record, and when it was told."""
        self._described = facts, at
        self._now = max(self._now, at)
        if self.is_mounted:
            self._draw()

    def show_loading(self) -> None:
        """The content has been asked for."""
        self._set_content(styled("loading…", "dim"))

    def show_content(self, text: str) -> None:
        """The whole content of the message."""
        self._set_content(Content(sanitize_block(text)) if text else styled("empty", "dim"))

    def show_problem(self, sentence: str) -> None:
        """Why the content could not be had."""
        self._set_content(styled(f"✕ {sentence}", "bad"))

    def _set_content(self, content: Content) -> None:
        self._content = content
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        subject = self._subject
        box = self.query_one("#detail-box")
        box.border_title = Content.assemble(
            signed(sign_of(subject)),
            "  ",
            (sanitize_line(name_of(subject), 60), "bold $foreground"),
        )
        missing = "no longer reported; this is the last that was seen" if self._missing else ""
        self._update_section("gone", Content(missing), "")
        self._update_section("facts", facts_of(subject, self._now), "")
        described, at = self._described
        self._update_section("described", described)
        if described:
            self._update_title("described", Content(f"Asked {age(self._now, at)} ago"))
        queues: Facts = ()
        if isinstance(subject, Sandbox):
            queues = queue_facts(subject.inbound, subject.outbound)
        self._update_section("queues", queues)
        content = self._content
        if content is None and isinstance(subject, Message):
            content = Content(sanitize_block(subject.text))
        self._update_section("content", content or Content(""))
        told = event_lines(self._events)
        if not told and isinstance(subject, Sandbox | Gateway):
            told = styled("the journal knows of nothing", "dim")
        self._update_section("events", told)
        self._update_title("events", events_title(self._events, self._now))
        self._update_section("record", record_text(subject))

    def _update_title(self, section: str, title: Content) -> None:
        if not _same(self._drawn.get(f"{section}-title"), title):
            self._drawn[f"{section}-title"] = title
            self.query_one(f"#title-{section}", Static).update(title)

    def _update_section(
        self, section: str, what: Content | Facts, title: str | None = None
    ) -> None:
        if _same(self._drawn.get(section), what):
            return
        self._drawn[section] = what
        if title is None:
            self.query_one(f"#title-{section}").display = bool(what)
        body = self.query_one(f"#detail-{section}")
        body.display = bool(what)
        if isinstance(body, FactTable) and isinstance(what, tuple):
            body.facts = what
        elif isinstance(body, Static) and isinstance(what, Content):
            body.update(what)

    def action_close(self) -> None:
        """Close the dialog."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Ask for the record as JSON on the clipboard."""
        self.post_message(self.CopyRequested(record_json(self._subject)))

    def action_scroll(self, lines: int) -> None:
        """Move by lines."""
        self.query_one("#detail-scroll").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        scroll = self.query_one("#detail-scroll")
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def action_top(self) -> None:
        """Move to the start."""
        self.query_one("#detail-scroll").scroll_home(animate=False)

    def action_bottom(self) -> None:
        """Move to the end."""
        self.query_one("#detail-scroll").scroll_end(animate=False)

    def action_section(self, step: int) -> None:
        """Move to the next or the previous section, around the end."""
        scroll = self.query_one("#detail-scroll")
        tops = [0] + [
            title.virtual_region.y for title in self.query(".detail-title") if title.display
        ]
        last = min(scroll.max_scroll_y, max(tops))
        at = scroll.scroll_offset.y
        if step > 0:
            later = [top for top in tops if top > at and at < last]
            to = later[0] if later else 0
        else:
            earlier = [top for top in tops if top < at]
            to = earlier[-1] if earlier else last
        scroll.scroll_to(y=to, animate=False)


def _same(before: Content | Facts | None, after: Content | Facts) -> bool:
    if isinstance(before, Content) and isinstance(after, Content):
        return before.is_same(after)
    return before == after
