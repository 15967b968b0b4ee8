"""The terminal view: owns keyboard and mouse while focused, tells its owner what they say."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.timer import Timer

from services.terminal.cells import TerminalModes, TerminalScreen
from widgets.terminal import messages
from widgets.terminal.canvas import TerminalCanvas
from widgets.terminal.keys import encode, encode_focus
from widgets.terminal.paste import encode_paste, paste_question

RELEASE_KEY = "ctrl+right_square_bracket"
RESIZE_EVERY = 0.05
BELL_EVERY = 0.5
WHEEL_LINES = 3


class TerminalView(TerminalCanvas, can_focus=True):
    """An embedded terminal: draws a `TerminalScreen`, sends what the operator types.

    While focused it takes every key but `release_key`, priority bindings of the app included.
    """

    Typed = messages.Typed
    Pasted = messages.Pasted
    PasteQuestion = messages.PasteQuestion
    Resized = messages.Resized
    Released = messages.Released
    TitleChanged = messages.TitleChanged
    Rang = messages.Rang
    LinkClicked = messages.LinkClicked
    Copied = messages.Copied

    SCROLL_KEYS: ClassVar[dict[str, str]] = {
        "shift+pageup": "page_up",
        "shift+pagedown": "page_down",
        "shift+home": "oldest",
        "shift+end": "newest",
    }

    def __init__(
        self,
        screen: TerminalScreen | None = None,
        *,
        release_key: str = RELEASE_KEY,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(screen, id=id, classes=classes)
        self.release_key = release_key
        self._resize_pause: Timer | None = None
        self._told_size = (0, 0)
        self._bell_pause: Timer | None = None
        self._bells = screen.bells if screen is not None else 0
        self._title = ""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Every key but the chord that gives the keyboard back (terminal contract §10)."""
        return key != self.release_key

    async def _on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if event.key == self.release_key:
            self.post_message(self.Released(self))
        elif event.key in self.SCROLL_KEYS and not self.modes.alternate_screen:
            self._scroll_by_key(self.SCROLL_KEYS[event.key])
        elif data := encode(event.key, event.character, self.modes):
            self.type(data)

    def type(self, data: bytes) -> None:
        """Send what was typed: the tail comes back on view, the selection ends."""
        self.follow_tail()
        self.select(None)
        self.post_message(self.Typed(self, data))

    def _scroll_by_key(self, where: str) -> None:
        page = max(1, self.size.height - 1)
        everything = 1 << 60
        self.scroll_view(
            {"page_up": -page, "page_down": page, "oldest": -everything, "newest": everything}[
                where
            ]
        )

    # Paste

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def paste(self, text: str, confirmed: bool = False) -> None:
        """Send text as a paste, by the modes of this moment; ask first where that is due."""
        if not text:
            return
        modes = self.modes
        if not confirmed and (reason := paste_question(text, modes)):
            self.post_message(self.PasteQuestion(self, text, reason))
            return
        self.follow_tail()
        self.post_message(self.Pasted(self, encode_paste(text, modes)))

    # Focus, size, bell, title

    def _on_focus(self, event: events.Focus) -> None:
        self._report_focus(True)

    def _on_blur(self, event: events.Blur) -> None:
        self._report_focus(False)

    def _report_focus(self, focused: bool) -> None:
        if data := encode_focus(focused, self.modes):
            self.post_message(self.Typed(self, data))

    def _on_resize(self, event: events.Resize) -> None:
        if self._resize_pause is None:
            self._tell_size()

    def _tell_size(self) -> None:
        self._resize_pause = None
        size = (self.size.width, self.size.height)
        if size == self._told_size or not all(size):
            return
        self._told_size = size
        self._resize_pause = self.set_timer(RESIZE_EVERY, self._tell_size)
        self.post_message(self.Resized(self, *size))

    def _notice(self, screen: TerminalScreen, modes: TerminalModes) -> None:
        super()._notice(screen, modes)
        if screen.title != self._title:
            self._title = screen.title
            self.post_message(self.TitleChanged(self, self._title))
        if screen.bells != self._bells and self._bell_pause is None:
            self._bells = screen.bells
            self._bell_pause = self.set_timer(BELL_EVERY, self._bell_rested)
            self.post_message(self.Rang(self))

    def _bell_rested(self) -> None:
        self._bell_pause = None
