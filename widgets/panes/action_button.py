"""A button that says what was shown when it was pressed."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message
from textual.widgets import Button


class IntentButton(Button):
    """A button whose press says what was shown at that instant, not what is shown later."""

    intent: Callable[[], Message] | None = None
    """Makes the message of a press; None while there is nothing to press for."""

    def press(self) -> IntentButton:
        if self.disabled or not self.display or self.intent is None:
            return self
        self._start_active_affect()
        self.post_message(self.intent())
        return self
