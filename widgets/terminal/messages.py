"""Messages of a terminal view; handlers are named `on_terminal_view_…`."""

from __future__ import annotations

from textual.message import Message
from textual.widget import Widget


class ViewMessage(Message, namespace="terminal_view"):
    """Anything a view says; `view` said it, and `on(…, selector)` matches on it."""

    def __init__(self, view: Widget) -> None:
        super().__init__()
        self.view = view

    @property
    def control(self) -> Widget:
        """The view."""
        return self.view


class Typed(ViewMessage, namespace="terminal_view"):
    """Bytes for the program: keys, mouse and focus reports."""

    def __init__(self, view: Widget, data: bytes) -> None:
        super().__init__(view)
        self.data = data


class Pasted(ViewMessage, namespace="terminal_view"):
    """Pasted bytes for the program, ready to send in the bulk lane."""

    def __init__(self, view: Widget, data: bytes) -> None:
        super().__init__(view)
        self.data = data


class PasteQuestion(ViewMessage, namespace="terminal_view"):
    """A paste to ask about first; yes means `view.paste(text, confirmed=True)`."""

    def __init__(self, view: Widget, text: str, reason: str) -> None:
        super().__init__(view)
        self.text = text
        self.reason = reason


class Resized(ViewMessage, namespace="terminal_view"):
    """The size the program should have, in cells; at most one in 50 ms, the last one wins."""

    def __init__(self, view: Widget, columns: int, lines: int) -> None:
        super().__init__(view)
        self.columns = columns
        self.lines = lines

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Resized) and message.view is self.view


class Released(ViewMessage, namespace="terminal_view"):
    """The operator pressed the key that leaves the shell."""


class ZoomRequested(ViewMessage, namespace="terminal_view"):
    """The operator asks for the whole screen, or for the panes again."""


class TitleChanged(ViewMessage, namespace="terminal_view"):
    """The program named its window."""

    def __init__(self, view: Widget, title: str) -> None:
        super().__init__(view)
        self.title = title

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, TitleChanged) and message.view is self.view


class BellRang(ViewMessage, namespace="terminal_view"):
    """The bell rang; at most two messages a second."""


class LinkClicked(ViewMessage, namespace="terminal_view"):
    """A link was clicked; the view opens nothing."""

    def __init__(self, view: Widget, url: str) -> None:
        super().__init__(view)
        self.url = url


class Refused(ViewMessage, namespace="terminal_view"):
    """The view could not do what the operator asked, and says why."""

    def __init__(self, view: Widget, words: str) -> None:
        super().__init__(view)
        self.words = words


class Copied(ViewMessage, namespace="terminal_view"):
    """Text went to the operator's clipboard."""

    def __init__(self, view: Widget, text: str) -> None:
        super().__init__(view)
        self.text = text
