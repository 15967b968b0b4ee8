"""The open shells on one line, and what is odd about the shown one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from services.models import Shell, ShellState
from services.text.format import size
from services.text.signs import SHELLS
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import TONES, joined, styled

_CLOSE = "×"


class ShellTab(NamedTuple):
    """One tab."""

    shell: Shell
    label: str
    active: bool = False
    unseen: bool = False
    """It has written something since it was last shown."""
    bell_rang: bool = False
    """Its bell rang since it was last typed in."""
    skips_shown: int = 0
    """Skipped bytes that were told for long enough."""


class TabHit(NamedTuple):
    """The cells of one tab on the line."""

    start: int
    end: int
    close: int
    """The cell of its closing mark."""
    id: str


def markers(shell: Shell, skips_shown: int = 0) -> Content:
    """What the operator has to know about a running shell; empty where all is well."""
    parts = []
    skipped = shell.skipped_bytes - skips_shown
    if shell.skipping:
        parts.append(styled(f"… {size(skipped)}B skipping", "warn"))
    elif skipped:
        parts.append(styled(f"… {size(skipped)}B skipped", "dim"))
    if shell.input_blocked:
        parts.append(styled("! remote is not reading input", "bad"))
    return joined(parts)


def tab_line(tabs: Sequence[ShellTab], width: int) -> tuple[Content, tuple[TabHit, ...]]:
    """The tabs in `width` cells, the active one always in sight, the shown shell's markers last."""
    right = next((markers(tab.shell, tab.skips_shown) for tab in tabs if tab.active), Content(""))
    right = right.truncate(max(0, width - 12), ellipsis=True)
    room = width - right.cell_length - (2 if right else 0)
    cells = [_tab(tab) for tab in tabs]
    at = next((number for number, tab in enumerate(tabs) if tab.active), 0)
    first, last = _window([cell.cell_length for cell in cells], at, room)
    parts: list[Content] = []
    hits: list[TabHit] = []
    used = 0
    if first:
        parts.append(styled(f"‹{first}", "dim"))
        used = parts[0].cell_length
    for tab, cell in zip(tabs[first:last], cells[first:last], strict=True):
        cut = cell.truncate(max(1, room - used), ellipsis=True)
        end = used + cut.cell_length
        hits.append(TabHit(used, end, end - 2 if cut is cell else -1, tab.shell.id))
        parts.append(cut)
        used = end
    if last < len(tabs):
        parts.append(styled(f"{len(tabs) - last}›", "dim"))
    left = Content.assemble(*parts).truncate(max(0, room))
    filler = " " * max(0, width - left.cell_length - right.cell_length)
    return Content.assemble(left, filler, right), tuple(hits)


def _tab(tab: ShellTab) -> Content:
    sign = SHELLS[tab.shell.state]
    word = "" if tab.shell.state is ShellState.OPEN else sign.word
    folder = _folder_name(tab.shell.folder) if tab.shell.state is ShellState.OPEN else ""
    cell = Content.assemble(
        " ",
        (sign.glyph, TONES[sign.tone]),
        " ",
        (sanitize_line(tab.label, 28), "bold" if tab.active else TONES["dim"]),
        " " if folder else "",
        (folder, TONES["dim"]),
        " " if word else "",
        (word, TONES[sign.tone]),
        " " if tab.bell_rang else "",
        ("♪" if tab.bell_rang else "", TONES["warn"]),
        " " if tab.unseen else "",
        ("•" if tab.unseen else "", TONES["wait"]),
        " ",
        (_CLOSE, TONES["dim"]),
        " ",
    )
    return cell.stylize_before("on $foreground 15%") if tab.active else cell


def _folder_name(path: str) -> str:
    """The last part of a working folder; `/` for the root, empty where it is not known."""
    return sanitize_line(path.rstrip("/").rpartition("/")[2] or path[:1], 20)


def _window(widths: Sequence[int], at: int, room: int) -> tuple[int, int]:
    """The slice of tabs around `at` that fits, with room for the marks at both ends."""
    if sum(widths) <= room or not widths:
        return 0, len(widths)
    first, last, used = at, at + 1, widths[at] + 6
    while last < len(widths) and used + widths[last] <= room:
        used += widths[last]
        last += 1
    while first > 0 and used + widths[first - 1] <= room:
        first -= 1
        used += widths[first]
    return first, last


class ShellTabs(Widget, can_focus=True):
    """A line of tabs; it moves by arrows or vim keys and asks its pane for everything else."""

    DEFAULT_CSS = """
    ShellTabs { height: 1; color: $text; }
    ShellTabs:focus { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "step(1)", "Next shell", id="shell.next"),
        Binding("left,h", "step(-1)", "Previous shell", id="shell.previous", show=False),
        Binding("enter,down,j", "enter", "Type in it", id="shell.enter"),
        Binding("x,delete", "close", "Close shell", id="shell.close"),
    ]
    ALLOW_SELECT = False

    tabs: reactive[tuple[ShellTab, ...]] = reactive(())
    _hits: tuple[TabHit, ...] = ()

    @dataclass
    class Chosen(Message):
        """A tab is wanted in front; `enter` also wants the keys there."""

        id: str
        enter: bool = False

    @dataclass
    class CloseChosen(Message):
        """A tab is wanted gone."""

        id: str

    def render(self) -> Content:
        line, self._hits = tab_line(self.tabs, self.content_size.width)
        return line

    def on_click(self, event: events.Click) -> None:
        x = event.get_content_offset_capture(self).x
        hit = next((hit for hit in self._hits if hit.start <= x < hit.end), None)
        if hit is None:
            return
        event.stop()
        if x == hit.close:
            self.post_message(self.CloseChosen(hit.id))
        else:
            self.post_message(self.Chosen(hit.id))

    @property
    def _active(self) -> int:
        return next((n for n, tab in enumerate(self.tabs) if tab.active), 0)

    def action_step(self, by: int) -> None:
        """Show the next or the previous shell, around the end."""
        if self.tabs:
            wanted = self.tabs[(self._active + by) % len(self.tabs)]
            self.post_message(self.Chosen(wanted.shell.id))

    def action_enter(self) -> None:
        """Give the keys to the shown shell."""
        if self.tabs:
            self.post_message(self.Chosen(self.tabs[self._active].shell.id, enter=True))

    def action_close(self) -> None:
        """Ask to close the shown shell."""
        if self.tabs:
            self.post_message(self.CloseChosen(self.tabs[self._active].shell.id))
