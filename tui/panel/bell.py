"""Alerts through the operator's terminal: bell, window title and desktop notice.

The terminal's own title is put aside at the start and brought back at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from services.config.notify import AttentionTable
from services.models import Event, GatewayState, Severity
from services.text.sanitize import sanitize

BELL = "\x07"
_PUSH_TITLE, _POP_TITLE = "\x1b[22;2t", "\x1b[23;2t"
_OSC9 = ("iTerm.app", "WezTerm", "ghostty")
"""Values of TERM_PROGRAM."""
_OSC777 = ("foot", "rxvt")
"""Beginnings of TERM."""
MAX_NAMED = 3
"""How many of what turned worse are named."""
_UNREQUESTED_KINDS = ("sandbox", "gateway", "source")
"""Kinds of event nobody asked for; the end of an operator's own action is told in the panel."""


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


class Alerts:
    """Alerts not yet given. Instants are seconds on any clock that only goes on."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._alerted_at: float | None = None
        self._waiting: dict[tuple[str, str], str] = {}
        self._unseen: set[tuple[str, str]] = set()

    @property
    def unseen(self) -> int:
        """How many things turned worse since the operator was last seen at the keys."""
        return len(self._unseen)

    def on_events(self, events: Iterable[Event]) -> None:
        """Add events, oldest first; a recovery removes the pending alert of its subject.

        That a trouble is not known any more is no recovery.
        """
        for event in events:
            if event.kind not in _UNREQUESTED_KINDS:
                continue
            about = (event.source, event.subject)
            if event.severity is Severity.WORSE:
                self._waiting[about] = sanitize(event.text, 120)
                self._unseen.add(about)
            elif event.severity is Severity.BETTER and event.after != GatewayState.UNKNOWN.value:
                self._waiting.pop(about, None)
                self._unseen.discard(about)

    def next_alert(self, now: float) -> str:
        """The next alert in one line; empty while none is pending or it is too soon."""
        if not self._waiting:
            return ""
        if self._alerted_at is not None and now - self._alerted_at < self._every_s:
            return ""
        texts = list(self._waiting.values())
        self._waiting.clear()
        self._alerted_at = now
        more = f"; {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
        return sanitize("; ".join(texts[:MAX_NAMED]) + more, 400)

    def acknowledge(self) -> None:
        """Clear all alerts: the operator has used the panel."""
        self._waiting.clear()
        self._unseen.clear()
