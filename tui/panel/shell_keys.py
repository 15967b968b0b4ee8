"""The key chords of a shell's view, also for the palette and the help page."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from textual.widget import Widget

from tui.panel.actions import Notify
from widgets.panes.binding_rows import KeyRow, KeySection

if TYPE_CHECKING:
    from widgets.terminal.view import TerminalView

_VIEW = "widgets.terminal.view"
"""Loaded after the first frame; before that no view can have the keyboard."""


class ShellKey(NamedTuple):
    """One thing the view does."""

    keys: str
    words: str
    run: Callable[[TerminalView], object] | None = None
    """Also without the keys; None where only a shell with the keyboard makes sense of it."""
    short: str = ""
    """What a footer says of it; empty where it has no place there."""


SHELL_KEYS = (
    ShellKey("ctrl+]", "Leave the shell", short="leave"),
    ShellKey("ctrl+shift+f", "Shell: search", lambda view: view.start_search(), "search"),
    ShellKey(
        "ctrl+shift+x",
        "Shell: select by keys",
        lambda view: view.start_keyboard_selection(),
        "select",
    ),
    ShellKey(
        "ctrl+shift+c", "Shell: copy the selection", lambda view: view.copy_selection(), "copy"
    ),
    ShellKey("ctrl+shift+z", "Shell: zoom and back", lambda view: view.request_zoom(), "zoom"),
    ShellKey(
        "ctrl+shift+v", "Shell: paste what was copied", lambda view: view.paste_clipboard(), "paste"
    ),
    ShellKey("ctrl+shift+up", "Shell: the prompt before", lambda view: view.show_previous_prompt()),
    ShellKey("ctrl+shift+down", "Shell: the next prompt", lambda view: view.show_next_prompt()),
    ShellKey("ctrl+shift+o", "Shell: copy the last output", lambda view: view.copy_last_output()),
    ShellKey("shift+pageup", "Shell: a page back", short="back"),
    ShellKey("shift+pagedown", "Shell: a page on"),
    ShellKey("shift+home", "Shell: the oldest line"),
    ShellKey("shift+end", "Shell: the newest line", lambda view: view.follow_tail()),
)


def footer_rows(focused: Widget | None) -> tuple[KeyRow, ...]:
    """The chords for a footer while a shell's view has the keyboard; nothing while none has."""
    # A thread loads the module after the first frame: it may be there without the class.
    view: type[TerminalView] | None = getattr(sys.modules.get(_VIEW), "TerminalView", None)
    if view is None or not isinstance(focused, view):
        return ()
    # No action: a click would be meant for the program.
    chords = tuple(KeyRow((one.keys,), one.short, "", "") for one in SHELL_KEYS if one.short)
    tabs = KeyRow((f"{chords[0].keys[0]} [ ]",), "tabs", "", "")
    return (chords[0], tabs, *chords[1:])


def help_section() -> KeySection:
    """The help section about shells."""
    rows = tuple(
        KeyRow((one.keys,), one.words.removeprefix("Shell: ").capitalize(), "", "")
        for one in SHELL_KEYS
    )
    return KeySection("In a shell", rows)


def run_shell_key(view: TerminalView | None, one: ShellKey, notify: Notify) -> None:
    """Run the action in the front shell, which gets the focus."""
    if view is None:
        notify("No shell is open.", "warning")
    elif one.run is not None:
        view.focus()
        if one.run(view) is False:
            notify("Nothing is selected in the shell.", "warning")
