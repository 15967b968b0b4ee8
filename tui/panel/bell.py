"""Alerts through the operator's terminal: bell, window title and desktop notice.

The terminal's own title is put aside at the start and brought back at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from services.config.notify import AttentionTable
from services.journal.alerts import Alerts
from services.models import Event
from services.text.sanitize import sanitize

BELL = "\x07"
_PUSH_TITLE, _POP_TITLE = "\x1b[22;2t", "\x1b[23;2t"
_OSC9 = ("iTerm.app", "WezTerm", "ghostty")
"""Values of TERM_PROGRAM."""
_OSC777 = ("foot", "rxvt")
"""Beginnings of TERM."""


def notice_kind(wanted: str, environ: Mapping[str, str]) -> str:
    """`osc9`, `osc777` or `off`; an unknown terminal is sent nothing it may print."""
    if wanted != "auto":
        return wanted
    if environ.get("TERM_PROGRAM") in _OSC9 or "KITTY_WINDOW_ID" in environ:
        return "osc9"
    if environ.get("VTE_VERSION") or environ.get("TERM", "").startswith(_OSC777):
        return "osc777"
    return "off"


def _sanitize_field(text: str) -> str:
    """One line that can neither end a control string nor start a field of its own."""
    return sanitize(text, 240).replace(";", ",")


def notice(kind: str, text: str, *, in_tmux: bool) -> str:
    """The bytes of a desktop notice; empty for `off`."""
    if kind == "osc9":
        # The words in front keep a text such as `4,1` from reading as a terminal's own command.
        said = f"\x1b]9;Wakedeck: {_sanitize_field(text)}\x1b\\"
    elif kind == "osc777":
        said = f"\x1b]777;notify;Wakedeck;{_sanitize_field(text)}\x1b\\"
    else:
        return ""
    return f"\x1bPtmux;{said.replace(chr(27), chr(27) * 2)}\x1b\\" if in_tmux else said


class TerminalBell:
    """Rings the bell, sets the title and sends notices; `muted` silences all but the title."""

    def __init__(
        self,
        table: AttentionTable,
        profile: str,
        environ: Mapping[str, str],
        write: Callable[[str], None],
    ) -> None:
        self._table = table
        self._name = "Wakedeck" if profile == "default" else f"Wakedeck {sanitize(profile, 40)}"
        self._notice = notice_kind(table.notice, environ)
        self._in_tmux = "TMUX" in environ
        self._write = write
        self._attention = Alerts(table.every_s)
        self._title = ""
        self.muted = False

    def open(self) -> None:
        """Put the terminal's title aside and set ours."""
        if self._table.title:
            self._write(_PUSH_TITLE)
            self._update_title()

    def close(self) -> None:
        """Give the terminal its title back."""
        if self._title:
            self._title = ""
            self._write(_POP_TITLE)

    def on_events(self, events: Iterable[Event], now: float) -> None:
        """Take new events at `now`, seconds on the monotonic clock."""
        self._attention.on_events(events)
        self.tick(now)

    def tick(self, now: float) -> None:
        """Send the alerts that are due at `now`."""
        said = self._attention.next_alert(now)
        if said and not self.muted:
            if self._table.bell:
                self._write(BELL)
            told = notice(self._notice, said, in_tmux=self._in_tmux)
            if told:
                self._write(told)
        self._update_title()

    def on_input(self) -> None:
        """The operator is present: clear the count of unseen alerts."""
        self._attention.acknowledge()
        self._update_title()

    def _update_title(self) -> None:
        if not self._table.title:
            return
        unseen = self._attention.unseen
        title = f"! {unseen} worse · {self._name}" if unseen else self._name
        if title != self._title:
            self._title = title
            self._write(f"\x1b]2;{title}\x1b\\")
