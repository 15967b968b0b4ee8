"""The frame around the shells: tabs, notices, how one ended, and the chord that leads out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol, Self

from textual import events
from textual.app import ComposeResult
from textual.await_remove import AwaitRemove
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import AwaitMount, Widget
from textual.widgets import Static

from services.models import Retry, Shell, ShellState
from services.text.signs import SHELLS
from widgets.panes.sandbox_now import SandboxNow
from widgets.panes.shell_tabs import ShellTab, ShellTabs
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import joined, signed, styled

_LOST_STATES = (ShellState.LOST, ShellState.FAILED)
SKIPPED_SHOWN_S = 10.0
"""How long the tab of a shell that has caught up says what was skipped."""
_ENTER = (b"\r", b"\n", b"\r\n")


class TypedBytes(Protocol):
    """A terminal view's message about what was typed into it."""

    data: bytes

    def stop(self) -> object:
        """Keep it from going further up."""


def ending_line(shell: Shell, key: str) -> Content:
    """How a shell ended and what `key` offers now; empty while it is not over."""
    if not shell.state.over:
        return Content("")
    sign = SHELLS[shell.state]
    said = sanitize_line(shell.reason)
    if shell.code is not None and str(shell.code) not in said:
        said = f"{said} (exit code {shell.code})" if said else f"exit code {shell.code}"
    elif not said and shell.state is ShellState.ENDED:
        said = "no exit code arrived"
    # One that failed hardly ever had a state: most never opened.
    gone = "" if shell.state is ShellState.FAILED else "; the old state is gone"
    offer = f"press {key} to open a new shell{gone}"
    if shell.retry is Retry.NO:
        done = shell.state is ShellState.ENDED and shell.code is None
        offer = "nothing is left to do here" if done else "opening it again will not help"
    elif shell.resumes:
        offer = f"press {key}: the same shell goes on if it is still there"
    elif shell.retry is Retry.AUTO:
        offer = f"press {key} to try again now{gone}"
    head = f"{sign.word}: {said}" if said else sign.word
    return Content.assemble(signed(sign, head, bold=True), "  ", styled(offer, "dim"))


class ShellPane(Vertical):
    """Shows one mounted terminal view at a time; the views belong to whoever added them."""

    DEFAULT_CSS = """
    ShellPane {
        border: round $foreground 25%;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;

        &:focus-within {
            border: round $accent;
            border-title-color: $text;
        }
        &.-typing { border-subtitle-color: $text-accent; border-subtitle-style: bold; }
        &.-lost { border-title-color: $text-error; }

        #shell-notice { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        #shell-ending { height: auto; max-height: 3; background: $panel; padding: 0 1; }
        #shell-slot { height: 1fr; }
        #shell-slot > * { height: 1fr; width: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # First in line, so that a finished shell's view cannot swallow it.
        Binding("enter", "reopen", "New shell", id="shell.reopen", priority=True),
        # Before the view hears of it: the next key is already meant for the panel.
        Binding("ctrl+right_square_bracket", "release", "Leave", priority=True, show=False),
    ]

    @dataclass
    class TabActivated(Message):
        """This shell is in front now, by the operator's hand."""

        id: str

    @dataclass
    class CloseRequested(Message):
        """The operator asks to close this shell."""

        id: str

    @dataclass
    class ReopenRequested(Message):
        """The operator asks for a new shell in the place of this finished one."""

        id: str

    def __init__(
        self,
        *,
        chord: str = "ctrl+]",
        number: str = "",
        open_key: str = "s",
        reopen_key: str = "Enter",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`chord` gives the keyboard back, `number` focuses this pane; keys are as they read."""
        super().__init__(name=name, id=id, classes=classes)
        self._chord = sanitize_line(chord, 24)
        self._number = sanitize_line(number, 4)
        self._open_key = sanitize_line(open_key, 12)
        self._reopen_key = sanitize_line(reopen_key, 12)
        self._shells: dict[str, Shell] = {}
        self._views: dict[str, Widget] = {}
        self._names: dict[str, str] = {}
        self._unseen: set[str] = set()
        self._bells: set[str] = set()
        self._skips_shown: dict[str, int] = {}
        self._fading: tuple[str, int] | None = None
        """The shell in front and its skipped bytes, while what its tab says of them runs out."""
        self._fade: Timer | None = None
        self._front: str | None = None
        self._subject = ""
        self._typing = False

    def compose(self) -> ComposeResult:
        yield ShellTabs()
        yield Container(id="shell-slot")
        yield SandboxNow(f"No shell open. Press {self._open_key} on a sandbox.")

    def on_mount(self) -> None:
        self._draw()

    @property
    def now_view(self) -> SandboxNow:
        """What stands there while no shell is open."""
        return self.query_one(SandboxNow)

    def set_subject(self, name: str) -> None:
        """The sandbox that is shown while no shell is open; empty for none."""
        if name != self._subject:
            self._subject = name
            self._draw_frame()

    @property
    def active(self) -> str | None:
        """The id of the shell in front."""
        return self._front

    def add_shell(self, shell: Shell, view: Widget, name: str = "") -> AwaitMount:
        """Mount the view of a new shell and bring it to the front; once this pane is mounted.

        `name` is what its sandbox is called; without one it is its id.
        """
        self._shells[shell.id] = shell
        self._names[shell.id] = sanitize_line(name or shell.sandbox.native_id, 60)
        self._views[shell.id] = view
        view.display = False
        mounted = self.query_one("#shell-slot").mount(view)
        self.activate(shell.id)
        return mounted

    def update_shell(self, shell: Shell) -> None:
        """The shell as it stands now; one that was not added is ignored."""
        if self._shells.get(shell.id, shell) != shell:
            self._shells[shell.id] = shell
            self._draw()

    def mark_activity(self, id: str) -> None:
        """It wrote something: its tab says so until it is shown."""
        if id in self._shells and id != self._front and id not in self._unseen:
            self._unseen.add(id)
            self._draw()

    def mark_bell(self, id: str) -> None:
        """Its bell rang: its tab says so until somebody types in it."""
        if (
            id in self._shells
            and not (id == self._front and self._typing)
            and id not in self._bells
        ):
            self._bells.add(id)
            self._draw()

    def activate(self, id: str) -> None:
        """Bring a shell to the front; an unknown one is ignored."""
        if id not in self._shells:
            return
        held = self._typing
        self._front = id
        self._unseen.discard(id)
        for key, view in self._views.items():
            view.display = key == id
        if held:
            self._views[id].focus()
        self._draw()

    def cycle_tab(self, step: int) -> None:
        """Bring the tab `step` places further to the front, wrapping around."""
        ids = list(self._shells)
        if self._front is not None:
            self.activate(ids[(ids.index(self._front) + step) % len(ids)])

    def remove_shell(self, id: str) -> AwaitRemove | None:
        """Take a shell and its view away; the neighbour comes to the front."""
        view = self._views.get(id)
        if view is None:
            return None
        ids = list(self._shells)
        at = ids.index(id)
        had_focus = self._holds_focus(self)
        held = self._typing
        del self._shells[id], self._views[id], self._names[id]
        self._unseen.discard(id)
        self._bells.discard(id)
        self._skips_shown.pop(id, None)
        left = [key for key in ids if key != id]
        if self._front == id:
            self._front, self._typing = None, False
            if left:
                self.activate(left[min(at, len(left) - 1)])
        self._draw()
        if had_focus:
            self.focus_inside(typing=held)
        return view.remove()

    def focus(self, scroll_visible: bool = True) -> Self:
        self.focus_inside(typing=True)
        return self

    def focus_inside(self, *, typing: bool) -> None:
        """Put the focus on the view in front, or with `typing` off on the tabs."""
        if self._front is None:
            taker: Widget = self.now_view
        elif typing:
            taker = self._views[self._front]
        else:
            taker = self.query_one(ShellTabs)
        if taker.is_mounted:
            self.screen.set_focus(taker)  # At once: what is typed next is not for another pane.
        else:
            taker.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._focus_moved()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        self._focus_moved()

    def _focus_moved(self) -> None:
        self._typing = self._front is not None and self._holds_focus(self._views[self._front])
        if self._typing and self._front in self._bells:
            self._bells.discard(self._front)
            self._draw()
        self._draw_frame()

    def _holds_focus(self, widget: Widget) -> bool:
        focused = self.screen.focused
        return focused is not None and widget in focused.ancestors_with_self

    def on_shell_tabs_chosen(self, event: ShellTabs.Chosen) -> None:
        event.stop()
        if event.id not in self._shells:
            return
        if event.id != self._front:
            self.activate(event.id)
            self.post_message(self.TabActivated(event.id))
        if event.enter:
            self._views[event.id].focus()

    def on_shell_tabs_close_chosen(self, event: ShellTabs.CloseChosen) -> None:
        event.stop()
        self.post_message(self.CloseRequested(event.id))

    def on_terminal_view_typed(self, event: TypedBytes) -> None:
        """Keys for a finished shell go nowhere, save Enter: it asks for a new one."""
        shell = self._shell
        if shell is None or not shell.state.over:
            return
        event.stop()
        if event.data in _ENTER and shell.retry is not Retry.NO:
            self.action_reopen()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "reopen":
            shell = self._shell
            return shell is not None and shell.state.over and shell.retry is not Retry.NO
        if action == "release":
            return self._front is not None and self._holds_focus(self._views[self._front])
        return True

    def action_release(self) -> None:
        """Take the keyboard from the view in front, at once, and put it on the tabs."""
        self.focus_inside(typing=False)

    def action_reopen(self) -> None:
        """Ask for a new shell in the place of the finished one in front."""
        if self._front is not None:
            self.post_message(self.ReopenRequested(self._front))

    @property
    def _shell(self) -> Shell | None:
        return None if self._front is None else self._shells[self._front]

    def _labels(self) -> list[str]:
        seen: Counter[object] = Counter()
        labels = []
        for shell in self._shells.values():
            seen[shell.sandbox] += 1
            number = f" {seen[shell.sandbox]}" if seen[shell.sandbox] > 1 else ""
            labels.append(f"{self._names[shell.id]}{number}")
        return labels

    def _fade_skips(self) -> None:
        """Let what is told of skipped output run out once the shell in front has caught up."""
        shell = self._shell
        wanted = None
        if shell is not None and not shell.skipping:
            wanted = (shell.id, shell.skipped_bytes)
            if self._skips_shown.get(shell.id, 0) == shell.skipped_bytes:
                wanted = None
        if wanted == self._fading:
            return
        if self._fade is not None:
            self._fade.stop()
        self._fading = wanted
        self._fade = wanted and self.set_timer(SKIPPED_SHOWN_S, partial(self._faded, *wanted))

    def _faded(self, id: str, skipped: int) -> None:
        self._skips_shown[id] = skipped
        self._draw()

    def _draw(self) -> None:
        shell = self._shell
        self._fade_skips()
        tabs = self.query_one(ShellTabs)
        tabs.tabs = tuple(
            ShellTab(
                each,
                label,
                active=each.id == self._front,
                unseen=each.id in self._unseen,
                bell_rang=each.id in self._bells,
                skips_shown=self._skips_shown.get(each.id, 0),
            )
            for each, label in zip(self._shells.values(), self._labels(), strict=True)
        )
        tabs.display = shell is not None
        self.now_view.display = shell is None
        self.query_one("#shell-slot").display = shell is not None
        notice = styled(shell.notice, "dim") if shell else Content("")
        self._line("shell-notice", notice, before="#shell-slot")
        ending = ending_line(shell, self._reopen_key) if shell else Content("")
        self._line("shell-ending", ending)
        self.set_class(shell is not None and shell.state in _LOST_STATES, "-lost")
        self._draw_frame()
        self.refresh_bindings()

    def _draw_frame(self) -> None:
        shell = self._shell
        self.set_class(self._typing, "-typing")
        title = [self._subject]
        if shell is not None:
            title = [self._names[shell.id], shell.title or sanitize_line(shell.folder)]
        parts = [styled(f"· {part}", "dim") for part in title if part]
        number = styled(self._number, "wait")
        heading = Content.styled("now" if shell is None else "shell", "bold")
        self.border_title = joined((number, heading, *parts), " ")
        leads_out = f"{self._chord} leaves the shell" if self._typing else ""
        self.border_subtitle = Content(leads_out)

    def _line(self, id: str, words: Content, before: str | None = None) -> None:
        """Show a line, which is there from its first words on."""
        static = next(iter(self.query_children(f"#{id}").results(Static)), None)
        if static is None:
            if not words:
                return
            static = Static(id=id, markup=False)
            self.mount(static, before=before)
        static.display = bool(words)
        static.update(words)
