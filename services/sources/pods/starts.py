"""What is run to get a shell in a pod, and to end it again: argv and scripts, pure.

The script says its process id and what it became in a private sequence ahead of any output, so
that the shell can be hung up when we leave: a closed socket does not end it (contract §0.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHELLS = ("bash", "sh", "zsh")
_SAID = re.compile(rb"\x1b\]7733;(\d{1,9});(\d{1,19});([a-z-]{1,16})\x07")
_INTRODUCER = b"\x1b]7733;"
_LONGEST = 64
_SEARCHED = 64 * 1024
"""So much other output, and the script says nothing any more."""
_TERM = (
    "for t in /usr/share/terminfo /lib/terminfo /etc/terminfo; do "
    'if [ -e "$t/x/xterm-256color" ]; then export TERM=xterm-256color; fi; done; '
)
_SAY = (
    "say() { s=0; if read -r l 2>/dev/null </proc/$$/stat; then "
    'l=${l##*) }; set -- "$1" $l; s=${21:-0}; fi; '
    'printf \'\\033]7733;%s;%s;%s\\007\' "$$" "$s" "$1"; }; '
)
_HANG_UP = (
    'alive() { read -r l 2>/dev/null </proc/"$p"/stat || return 1; l=${l##*) }; set -- $l; '
    '[ "$1" != Z ] && { [ "$s" = 0 ] || [ "${20:-0}" = "$s" ]; }; }; '
    'p=$1; s=$2; alive || exit 0; kill -HUP "$p"; kill -CONT "$p"; '
    "for i in 1 2 3 4 5 6 7 8 9 10; do alive || exit 0; sleep 0.1 2>/dev/null || sleep 1; done; "
    'kill -KILL "$p"; alive || exit 0; sleep 0.1 2>/dev/null || sleep 1; ! alive'
)


@dataclass(frozen=True, slots=True)
class Start:
    """One way to get a shell."""

    argv: tuple[str, ...]
    name: str
    """What it is called in a sentence."""
    speaks: bool = True
    """Whether it says who it is, so that it can be hung up."""


@dataclass(frozen=True, slots=True)
class Remote:
    """The process a shell is, inside its container."""

    pid: int
    started: int
    """The kernel's start tick, 0 where it could not be read: ids are used again."""
    became: str
    """`bash`, `sh`, `zsh`, `tmux` or `screen`."""


def starts(shell: str | None, session: str) -> tuple[Start, ...]:
    """Ways in the order to try; `session` names a resumable one, empty for a plain shell."""
    wanted = ("sh",) if shell == "sh" else tuple(dict.fromkeys((shell or "bash", "bash", "sh")))
    script = _script(wanted, session)
    direct = tuple(
        Start((path,), path, speaks=False)
        for name in wanted
        if name != "sh"
        for path in (name, f"/bin/{name}")
    )
    return (
        Start(("sh", "-c", script), "sh"),
        Start(("/bin/sh", "-c", script), "/bin/sh"),
        *direct,
    )


def _script(wanted: Sequence[str], session: str) -> str:
    tries = ""
    if session:
        tries += (
            f"if command -v tmux >/dev/null 2>&1; then say tmux; "
            f"exec tmux new-session -A -D -s {session}; fi; "
            f"if command -v screen >/dev/null 2>&1; then say screen; "
            f"exec screen -D -R {session}; fi; "
        )
    for name in wanted:
        if name != "sh":
            tries += f"if command -v {name} >/dev/null 2>&1; then say {name}; exec {name}; fi; "
    return f"{_TERM}{_SAY}{tries}say sh; exec sh"


def hang_up(remote: Remote) -> tuple[str, ...]:
    """Ends a shell of ours and what it started on its terminal; nothing where it is gone."""
    return ("sh", "-c", _HANG_UP, "sh", str(remote.pid), str(remote.started))


def session_name(text: str) -> str:
    """A name tmux and screen take."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:60]


class Preamble:
    """Takes what the script said out of the output; fed any pieces.

    What was typed before the script ran comes first, as its echo.
    """

    def __init__(self) -> None:
        self.remote: Remote | None = None
        self._held = b""
        self._passed = 0

    def feed(self, data: bytes) -> bytes:
        """The output without it; a possible beginning is held back."""
        if self.remote is not None or self._passed > _SEARCHED:
            return self.rest() + data
        seen = self._held + data
        found = _SAID.search(seen)
        if found is not None:
            self._held = b""
            self.remote = Remote(int(found[1]), int(found[2]), found[3].decode("ascii"))
            return seen[: found.start()] + seen[found.end() :]
        kept = _beginning(seen)
        self._held = seen[len(seen) - kept :]
        self._passed += len(seen) - kept
        return seen[: len(seen) - kept]

    def rest(self) -> bytes:
        """What is still held where no more comes."""
        held, self._held = self._held, b""
        return held


def _beginning(data: bytes) -> int:
    """How many bytes at the end may be the beginning of what the script says."""
    at = data.rfind(_INTRODUCER)
    if at >= 0 and len(data) - at < _LONGEST and b"\x07" not in data[at:]:
        return len(data) - at
    return next(
        (size for size in range(len(_INTRODUCER) - 1, 0, -1) if data.endswith(_INTRODUCER[:size])),
        0,
    )
