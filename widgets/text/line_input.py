"""A line to type in that is hidden until it is opened."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import Input


class LineInput(Input):
    """Hidden until opened; `close` hides it and tells what stays."""

    DEFAULT_CSS = """
    LineInput {
        display: none;
        height: 1;
        border: none;
        padding: 0 1;
        background: $foreground 8%;
        color: $text;
        &.-open { display: block; }
        &:focus { border: none; background: $foreground 12%; }
    }
    """
    LINES_JOINED_BY = " "
    """What stands for the line breaks of a text that is pasted."""

    class Closed(Message):
        """The line is done with; `text` is what stays of it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, select_on_focus=False)

    def open(self, text: str) -> None:
        """Show the line with the text as it is."""
        self.value = text
        self.cursor_position = len(text)
        self.add_class("-open")
        self.screen.set_focus(self)  # At once: what is typed next is for this line alone.

    def close(self, text: str) -> None:
        """Hide the line; this stays."""
        self.remove_class("-open")
        self.post_message(self.Closed(text))

    def action_keep(self) -> None:
        """Close and keep."""
        self.close(self.value)

    def action_drop(self) -> None:
        """Close and drop."""
        self.close("")

    def _on_paste(self, event: events.Paste) -> None:
        """Take every line of a paste; Textual's own takes the first."""
        event.stop()
        event.prevent_default()
        lines = [line.strip() for line in event.text.splitlines()]
        self.insert_text_at_cursor(self.LINES_JOINED_BY.join(line for line in lines if line))
