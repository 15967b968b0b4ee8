"""The key chords of a shell's view, also for the palette and the help page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.panel.actions import Notify
from widgets.panes.binding_rows import KeyRow, KeySection
from widgets.terminal.view import TerminalView


@dataclass(frozen=True, slots=True)
class ShellKey:
    """One thing the view does."""

    keys: str
    words: str
    run: Callable[[TerminalView], object] | None = None
    """Also without the keys; None where only a shell with the keyboard makes sense of it."""


SHELL_KEYS = (
    ShellKey("ctrl+]", "Leave the shell"),
    ShellKey("ctrl+shift+f", "Shell: search", TerminalView.start_search),
    ShellKey("ctrl+shift+x", "Shell: select by keys", TerminalView.start_keyboard_selection),
    ShellKey("ctrl+shift+c", "Shell: copy the selection", TerminalView.copy_selection),
    ShellKey("ctrl+shift+v", "Shell: paste what was copied", TerminalView.paste_clipboard),
    ShellKey("shift+pageup", "Shell: a page back"),
    ShellKey("shift+pagedown", "Shell: a page on"),
    ShellKey("shift+home", "Shell: the oldest line"),
    ShellKey("shift+end", "Shell: the newest line", TerminalView.follow_tail),
)


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
