"""A button that posts the message made for what it showed when it was pressed."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message
from textual.widgets import Button


class ActionButton(Button):
    """A button whose press posts a message bound to what was shown at that instant."""

    make_message: Callable[[], Message] | None = None
    """Makes the message of a press; None while there is nothing to press for."""

    def press(self) -> ActionButton:
        if self.disabled or not self.display or self.make_message is None:
            return self
        self._start_active_affect()
        self.post_message(self.make_message())
        return self
