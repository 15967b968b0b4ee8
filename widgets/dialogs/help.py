"""Every key that works right now, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from services.text.signs import legend
from widgets.panes.binding_rows import KeyRow, KeySection
from widgets.panes.footer import KeyFooter
from widgets.text.cell_text import sanitize_line

_QUIET = "$foreground-muted"


def matching(sections: Sequence[KeySection], words: str) -> tuple[KeySection, ...]:
    """The rows in which every one of the words occurs, in keys, description, id or place."""
    wanted = words.casefold().split()
    found = []
    for section in sections:
        rows = tuple(row for row in section.rows if _fits(section, row, wanted))
        if rows:
            found.append(KeySection(section.title, rows))
    return tuple(found)


def sign_section() -> KeySection:
    """What each sign means and the words it stands with, as rows like those of keys."""
    rows = tuple(
        KeyRow(
            (glyph,), meaning, "", "", reason=", ".join(word for word in words if word != meaning)
        )
        for glyph, meaning, words in legend()
    )
    return KeySection("Signs", rows)


def _fits(section: KeySection, row: KeyRow, wanted: Sequence[str]) -> bool:
    said = " ".join((*row.keys, row.description, row.id, row.reason, section.title)).casefold()
    return all(word in said for word in wanted)


def help_text(sections: Sequence[KeySection]) -> Content:
    """The sections under their titles, keys in one column; disabled rows say so."""
    keys = [", ".join(row.keys) for section in sections for row in section.rows]
    column = min(20, max((Content(key).cell_length for key in keys), default=0))
    parts: list[Content | str | tuple[str, str]] = []
    for section in sections:
        if parts:
            parts.append("\n\n")
        parts.append((sanitize_line(section.title, 60), "bold $text-accent"))
        for row in section.rows:
            parts.append("\n")
            parts += _row(row, column)
    return Content.assemble(*parts)


def _row(row: KeyRow, column: int) -> list[Content | str | tuple[str, str]]:
    key = Content(sanitize_line(", ".join(row.keys), 40))
    filler = " " * max(0, column - key.cell_length)
    tone = "$foreground" if row.enabled else "$foreground-disabled"
    said: list[Content | str | tuple[str, str]] = [
        "  ",
        (key.plain, "bold" if row.enabled else tone),
        f"{filler}  ",
        (sanitize_line(row.description, 80), tone),
    ]
    reason = sanitize_line(row.reason, 200)
    if not row.enabled:
        said += ["  ", (f"off now{': ' + reason if reason else ''}", _QUIET)]
    elif reason:
        said += ["  ", (reason, _QUIET)]
    return said


class HelpScreen(ModalScreen[None]):
    """The keys of the focused pane first, then of everything around it; typing searches."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;

        #help-box {
            width: 76;
            max-width: 96%;
            height: auto;
            max-height: 90%;
            padding: 0 1;
            border: round $accent;
            border-title-color: $foreground;
            border-title-style: bold;
            background: $surface;
        }
        #help-search { margin: 0 0 1 0; }
        #help-rows {
            height: auto;
            max-height: 100%;
            scrollbar-background: $surface;
            scrollbar-color: $foreground 25%;
            scrollbar-size-vertical: 1;
        }
        #help-text { height: auto; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="help.close"),
        Binding("down", "scroll(1)", "Down", id="help.down", show=False),
        Binding("up", "scroll(-1)", "Up", id="help.up", show=False),
        Binding("pagedown", "page(1)", "Page down", id="help.pagedown", show=False),
        Binding("pageup", "page(-1)", "Page up", id="help.pageup", show=False),
    ]

    def __init__(self, sections: Sequence[KeySection]) -> None:
        """`sections` as `binding_rows.key_sections` gives them, taken before this opens.

        The legend of all signs stands below them.
        """
        super().__init__()
        self._sections = (*sections, sign_section())

    def compose(self) -> ComposeResult:
        with Vertical(id="help-box") as box:
            box.border_title = Content("Keys")
            yield Input(placeholder="type to search", id="help-search", compact=True)
            with VerticalScroll(id="help-rows", can_focus=False):
                yield Static(help_text(self._sections), id="help-text", markup=False)
        yield KeyFooter(pinned=("help.close",))

    def on_mount(self) -> None:
        self.query_one("#help-search").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        found = matching(self._sections, event.value)
        words = help_text(found) if found else Content.styled("no key like that", _QUIET)
        self.query_one("#help-text", Static).update(words)
        self.query_one("#help-rows").scroll_home(animate=False)

    def action_close(self) -> None:
        """Close the dialog."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Move by lines."""
        self.query_one("#help-rows").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Move by pages."""
        rows = self.query_one("#help-rows")
        rows.scroll_relative(y=pages * max(1, rows.size.height - 1), animate=False)
