"""What a shell's view does for itself: its chords, and the same for terminals without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from widgets.panes.binding_rows import KeyRow, KeySection
from widgets.terminal.view import TerminalView

if TYPE_CHECKING:
    from tui.app import WakedeckApp


@dataclass(frozen=True, slots=True)
class ShellKey:
    """One thing the view does."""

    keys: str
    words: str
    run: Callable[[TerminalView], object] | None = None
    """Also without the keys; None where only a shell with the keyboard makes sense of it."""


SHELL_KEYS = (
    ShellKey("ctrl+]", "Give the keys back to the panel"),
    ShellKey("ctrl+shift+f", "Shell: search", TerminalView.start_search),
    ShellKey("ctrl+shift+x", "Shell: select by keys", TerminalView.start_marking),
    ShellKey("ctrl+shift+c", "Shell: copy the selection", TerminalView.copy_selection),
    ShellKey("ctrl+shift+v", "Shell: paste what was copied", TerminalView.paste_clipboard),
    ShellKey("shift+pageup", "Shell: a page back"),
    ShellKey("shift+pagedown", "Shell: a page on"),
    ShellKey("shift+home", "Shell: the oldest line"),
    ShellKey("shift+end", "Shell: the newest line", TerminalView.follow_tail),
)


def section() -> KeySection:
    """For the help page."""
    rows = tuple(
        KeyRow((one.keys,), one.words.removeprefix("Shell: ").capitalize(), "", "")
        for one in SHELL_KEYS
    )
    return KeySection("In a shell", rows)


def use(panel: WakedeckApp, one: ShellKey) -> None:
    """Do it in the shell in front, which gets the keyboard."""
    view = panel.dashboard.desk.front_view()
    if view is None:
        panel.say("No shell is open.", "warning")
    elif one.run is not None:
        view.focus()
        if one.run(view) is False:
            panel.say("Nothing is selected in the shell.", "warning")
