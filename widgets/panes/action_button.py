"""A button of one line whose press says what was on the screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

PRESSED_S = 0.2
"""How long a press is seen."""


class ActionButton(Static, can_focus=True):
    """A press posts a message bound to what was shown at that instant.

    Not Textual's button: the rules of its ten looks took longer to read than those of all panes,
    and all that before the first frame.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    ActionButton {
        width: auto;
        height: 1;
        margin: 0 0 0 1;
        line-pad: 1;
        pointer: pointer;
        text-style: bold;
        color: $button-foreground;
        background: $foreground 12%;
        &.-warning { color: $button-color-foreground; background: $warning; }
        &.-active { background: $surface; tint: $background 30%; }
        &:ansi { background: ansi_default; }
        &:hover { background: $foreground 25%; }
        &:focus {
            text-style: $button-focus-text-style;
            color: $text-accent;
            background: $accent-muted;
            background-tint: $foreground 5%;
        }
        &:disabled {
            text-style: none;
            text-opacity: 60%;
            background: $foreground 4%;
            pointer: not-allowed;
        }
        &.-warning:hover { background: $warning-darken-2; }
        &.-warning.-active { background: $warning; }
        &.-warning:ansi { color: $warning; background: ansi_default; }
        &:hover:ansi { background: $ansi-background; }
        &.-active:ansi { background: $ansi-background !important; tint: transparent; }
        &:disabled:ansi {
            text-opacity: 100%;
            text-style: bold dim;
            background: ansi_default !important;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "press", "Press button", id="repair.press", show=False),
    ]

    make_message: Callable[[], Message] | None = None
    """Makes the message of a press; None while there is nothing to press for."""

    def __init__(self, label: Content, *, id: str, warning: bool = False) -> None:
        super().__init__(label, id=id, classes="-warning" if warning else None, markup=False)

    def press(self) -> None:
        """Post the message, unless nothing can be pressed for."""
        if self.disabled or not self.display or self.make_message is None:
            return
        self.add_class("-active")
        self.set_timer(PRESSED_S, partial(self.remove_class, "-active"))
        self.post_message(self.make_message())

    def action_press(self) -> None:
        """A press by the keyboard; one at a time."""
        if not self.has_class("-active"):
            self.press()

    def on_click(self, event: events.Click) -> None:
        """A press by the mouse."""
        event.stop()
        self.action_press()
