"""The terminal view: takes keyboard and mouse while focused and posts messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeVar

from textual import events
from textual.geometry import Offset
from textual.timer import Timer

from services.terminal.cells import TerminalModes, TerminalScreen
from widgets.terminal import messages
from widgets.terminal.canvas import TerminalCanvas
from widgets.terminal.keyboard_selection import KeyboardSelection
from widgets.terminal.keys import encode, encode_focus, encode_paste, paste_question
from widgets.terminal.mouse import MouseAction
from widgets.terminal.pointer import Pointer
from widgets.terminal.prompts import NO_MARKS, last_output, next_prompt, previous_prompt
from widgets.terminal.search_line import SearchLine
from widgets.terminal.selection import selected_text, styled_text

RELEASE_KEY = "ctrl+right_square_bracket"
RESIZE_EVERY = 0.05
BELL_EVERY = 0.5
AnyMouse = TypeVar("AnyMouse", bound=events.MouseEvent)


class KeyMode(Protocol):
    """A mode in which the view handles the keys: search or keyboard selection."""

    @property
    def status(self) -> str:
        """What its line says."""

    def press(self, key: str, character: str | None) -> bool:
        """Take a key; False ends the mode."""

    def insert(self, text: str) -> None:
        """Take pasted text."""

    def end(self) -> None:
        """Take its marks off the view."""


class TerminalView(TerminalCanvas, can_focus=True):
    """An embedded terminal: draws a `TerminalScreen`, sends what the operator types.

    While focused it takes every key but `release_key`, priority bindings of the app included.
    """

    Typed = messages.Typed
    Pasted = messages.Pasted
    PasteQuestion = messages.PasteQuestion
    Resized = messages.Resized
    Released = messages.Released
    ZoomRequested = messages.ZoomRequested
    TitleChanged = messages.TitleChanged
    BellRang = messages.BellRang
    LinkClicked = messages.LinkClicked
    Copied = messages.Copied
    Refused = messages.Refused

    SCROLL_KEYS: ClassVar[dict[str, str]] = {
        "shift+pageup": "page_up",
        "shift+pagedown": "page_down",
        "shift+home": "oldest",
        "shift+end": "newest",
    }
    """Local on the main screen; on the alternate screen they are the program's."""

    PROMPT_KEYS: ClassVar[dict[str, str]] = {
        "ctrl+shift+up": "show_previous_prompt",
        "ctrl+shift+down": "show_next_prompt",
        "ctrl+shift+o": "copy_last_output",
    }
    """Local on the main screen of a shell that marks its prompts; else they are the program's."""

    CHORDS: ClassVar[dict[str, str]] = {
        "ctrl+shift+f": "start_search",
        "ctrl+shift+x": "start_keyboard_selection",
        "ctrl+shift+c": "copy_selection",
        "ctrl+shift+v": "paste_clipboard",
        "ctrl+shift+z": "request_zoom",
    }
    """Local in any mode; terminals that cannot send them have the methods."""

    def __init__(
        self,
        screen: TerminalScreen | None = None,
        *,
        release_key: str = RELEASE_KEY,
        copy_on_select: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(screen, id=id, classes=classes)
        self.release_key = release_key
        self.copy_on_select = copy_on_select
        self._resize_pause: Timer | None = None
        self._sent_size = (0, 0)
        self._bell_pause: Timer | None = None
        self._bells = screen.bells if screen is not None else 0
        self._title = ""
        self._mode: KeyMode | None = None
        self._pointer = Pointer(self, self._send, self._drag_ended, self._link_clicked)

    def _terminal_replaced(self) -> None:
        self._mode = None
        self._drop_mouse()
        self._bells = self.terminal.bells if self.terminal is not None else 0

    def request_redraw(self) -> None:
        super().request_redraw()
        if self.has_focus and self.terminal is not None:
            # Where the outer terminal's hidden cursor waits: input methods open there.
            cursor = self.terminal.cursor
            self.app.cursor_position = self.region.offset + Offset(cursor.column, cursor.line)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Every key but the chord that gives the keyboard back.

        See upstream/terminal: Keys mouse and paste.
        """
        return key != self.release_key

    async def _on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        key = event.key
        if key == self.release_key:
            self.post_message(self.Released(self))
        elif key in self.CHORDS:
            getattr(self, self.CHORDS[key])()
        elif key in self.SCROLL_KEYS and not self.modes.alternate_screen:
            self._scroll_by_key(self.SCROLL_KEYS[key])
        elif key in self.PROMPT_KEYS and self._marks_prompts:
            getattr(self, self.PROMPT_KEYS[key])()
        elif self._mode is not None:
            if not self._mode.press(key, event.character):
                self._mode = None
            self.refresh()
        elif data := encode(key, event.character, self.modes):
            self.type(data)

    def type(self, data: bytes) -> None:
        """Send what was typed: the tail comes back on view, the selection ends."""
        self.follow_tail()
        self.select(None)
        self._send(data)

    def _send(self, data: bytes) -> None:
        self.post_message(self.Typed(self, data))

    def _scroll_by_key(self, where: str) -> None:
        page = max(1, self.size.height - 1)
        everything = 1 << 60
        steps = {"page_up": -page, "page_down": page, "oldest": -everything, "newest": everything}
        self.scroll_view(steps[where])

    # Search and selection

    @property
    def status(self) -> str:
        """What the search line or the help of the keyboard selection says."""
        return self._mode.status if self._mode is not None else ""

    def start_search(self) -> None:
        """Open the search line."""
        self._start_mode(SearchLine(self))

    def start_keyboard_selection(self) -> None:
        """Select by keyboard, from the find the search is at or from the cursor."""
        start = self.match.position if self.match is not None else None
        self.end_mode()
        if self.terminal is not None:
            self._start_mode(KeyboardSelection(self, self._copy_selected, start))

    def request_zoom(self) -> None:
        """Ask for the whole screen, or for the panes again; keys still go to the program."""
        self.post_message(self.ZoomRequested(self))

    def end_mode(self) -> None:
        """Keys go to the program again."""
        if self._mode is not None:
            self._mode.end()
            self._mode = None
            self.refresh()

    def _start_mode(self, mode: KeyMode) -> None:
        self.end_mode()
        self._mode = mode
        self.refresh()

    def copy_selection(self, styled: bool = False) -> bool:
        """Put what is selected on the operator's clipboard; whether there was anything."""
        screen, selection = self.terminal, self.selection
        if screen is None or selection is None:
            return False
        text = (styled_text if styled else selected_text)(screen, selection)
        if not text:
            return False
        self.app.copy_to_clipboard(text)
        self.post_message(self.Copied(self, text))
        return True

    def _copy_selected(self, styled: bool) -> None:
        self.copy_selection(styled)

    # Prompt marks

    @property
    def _marks_prompts(self) -> bool:
        screen = self.terminal
        return bool(screen and not screen.modes.alternate_screen and screen.prompt_marks)

    def show_previous_prompt(self) -> None:
        """Put the prompt before the first line on view there."""
        self._show_prompt(before=True)

    def show_next_prompt(self) -> None:
        """Put the prompt after the first line on view there, or follow the tail again."""
        self._show_prompt(before=False)

    def _show_prompt(self, *, before: bool) -> None:
        screen = self.terminal
        if screen is None:
            return
        top = self.viewport.top(screen, self.size.height)
        line = (previous_prompt if before else next_prompt)(screen, top)
        if line is not None:
            self.scroll_view(line - top)
        elif not before:
            self.follow_tail()
        else:
            words = "There is no prompt above." if self._marks_prompts else NO_MARKS
            self.post_message(self.Refused(self, words))

    def copy_last_output(self) -> None:
        """Put what the last command printed on the operator's clipboard."""
        if self.terminal is None:
            return
        output = last_output(self.terminal)
        if output.text:
            self.app.copy_to_clipboard(output.text)
            self.post_message(self.Copied(self, output.text))
        else:
            self.post_message(self.Refused(self, output.problem))

    # Mouse

    async def _on_mouse_down(self, event: events.MouseDown) -> None:
        self._mouse(event, self._pointer.press)

    def _on_mouse_move(self, event: events.MouseMove) -> None:
        self._mouse(event, self._pointer.move)

    async def _on_mouse_up(self, event: events.MouseUp) -> None:
        self._mouse(event, self._pointer.release)

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._mouse(event, lambda event: self._pointer.wheel(event, MouseAction.WHEEL_UP))

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._mouse(event, lambda event: self._pointer.wheel(event, MouseAction.WHEEL_DOWN))

    def _on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        self._mouse(event, lambda event: self._pointer.wheel(event, MouseAction.WHEEL_LEFT))

    def _on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        self._mouse(event, lambda event: self._pointer.wheel(event, MouseAction.WHEEL_RIGHT))

    def _on_hide(self, event: events.Hide) -> None:
        self._drop_mouse()

    def _on_leave(self, event: events.Leave) -> None:
        self._pointer.leave()

    def _mouse(self, event: AnyMouse, handle: Callable[[AnyMouse], None]) -> None:
        event.stop()
        event.prevent_default()
        handle(event)

    def _drop_mouse(self) -> None:
        self._pointer.stop()
        if self.is_attached and self.app.mouse_captured is self:
            self.release_mouse()

    def _drag_ended(self) -> None:
        if self.copy_on_select and self._mode is None:
            self.copy_selection()

    def _link_clicked(self, url: str) -> None:
        self.post_message(self.LinkClicked(self, url))

    # Paste

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def paste(self, text: str, confirmed: bool = False) -> None:
        """Send text as a paste, by the modes of this moment; ask first where that is due."""
        if not text:
            return
        if self._mode is not None:
            self._mode.insert(text)
            self.refresh()
            return
        modes = self.modes
        if not confirmed and (reason := paste_question(text, modes)):
            self.post_message(self.PasteQuestion(self, text, reason))
            return
        self.follow_tail()
        self.post_message(self.Pasted(self, encode_paste(text, modes)))

    def paste_clipboard(self) -> None:
        """Paste what was last copied in the panel."""
        self.paste(self.app.clipboard)

    # Focus, size, bell, title

    def _on_focus(self, event: events.Focus) -> None:
        self._report_focus(True)

    def _on_blur(self, event: events.Blur) -> None:
        self.end_mode()
        self._report_focus(False)

    def _report_focus(self, focused: bool) -> None:
        if data := encode_focus(focused, self.modes):
            self._send(data)

    def _on_resize(self, event: events.Resize) -> None:
        if self._resize_pause is None:
            self._send_size()

    def _send_size(self) -> None:
        self._resize_pause = None
        size = (self.size.width, self.size.height)
        if size == self._sent_size or not all(size):
            return
        self._sent_size = size
        self._resize_pause = self.set_timer(RESIZE_EVERY, self._send_size)
        self.post_message(self.Resized(self, *size))

    def _track_changes(self, screen: TerminalScreen, modes: TerminalModes) -> None:
        super()._track_changes(screen, modes)
        if screen.title != self._title:
            self._title = screen.title
            self.post_message(self.TitleChanged(self, self._title))
        if screen.bells != self._bells and self._bell_pause is None:
            self._bells = screen.bells
            self._bell_pause = self.set_timer(BELL_EVERY, self._bell_pause_over)
            self.post_message(self.BellRang(self))

    def _bell_pause_over(self) -> None:
        self._bell_pause = None
