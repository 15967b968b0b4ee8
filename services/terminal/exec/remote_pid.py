"""Remote process ids: how a started process reports its pid, and the command that kills it.

A closed socket, and the end of a command-line client, leave the process they started running
(upstream/pods: Processes left behind). So what we start says its process id in a private sequence
ahead of any output, and a second command can end it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.lazy_dataclass import dataclass

COMMAND = "command"
"""What a single command says it became."""
KILL_LIMIT_S = 8.0
"""How long the script that ends one may take."""
_REPORT = re.compile(rb"\x1b\]7733;(\d{1,9});(\d{1,19});([a-z-]{1,16})\x07")
_INTRODUCER = b"\x1b]7733;"
_LONGEST = 64
_SEARCH_LIMIT = 64 * 1024
"""So much other output, and the script says nothing any more."""
REPORT_PID_SH = (
    "say() { s=0; if read -r l 2>/dev/null </proc/$$/stat; then "
    'l=${l##*) }; set -- "$1" $l; s=${21:-0}; fi; '
    'printf \'\\033]7733;%s;%s;%s\\007\' "$$" "$s" "$1"; }; '
)
"""Shell text: `say WORD` tells the process id, the kernel's start tick and what it becomes."""
SESSION = "session"
"""What a shell says that leads a terminal's session: it is ended with all that is in it."""
SAY_SESSION = f" ({REPORT_PID_SH}say {SESSION})"
"""A line to type into it."""
_ALIVE = (
    'alive() { read -r l 2>/dev/null </proc/"$p"/stat || return 1; l=${l##*) }; set -- $l; g=$3; '
    '[ "$1" != Z ] && { [ "$s" = 0 ] || [ "${20:-0}" = "$s" ]; }; }; '
    "nap() { sleep 0.1 2>/dev/null || sleep 1; }; p=$1; s=$2; alive || exit ${3:-0}; "
)
_HANG_UP = (
    _ALIVE
    + 'kill -HUP "$p"; kill -CONT "$p"; '
    + "for i in 1 2 3 4 5 6 7 8 9 10; do alive || exit 0; nap; done; "
    + 'kill -KILL "$p"; alive || exit 0; nap; ! alive'
)
_END = (
    _ALIVE
    # A leader is ended with its group: a pipeline is more than its first process.
    + 't=$p; [ "$g" = "$p" ] && t=-$p; '
    + 'there() { alive && return; [ "$t" = "$p" ] && return 1; for f in /proc/[0-9]*/stat; do '
    + 'read -r l 2>/dev/null <"$f" || continue; l=${l##*) }; set -- $l; '
    + '[ "$1" != Z ] && [ "$3" = "$p" ] && return; done; return 1; }; '
    + "for n in INT TERM KILL; do kill -$n $t 2>/dev/null; kill -CONT $t 2>/dev/null; "
    + "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
    + "there || exit 0; nap; done; done; ! alive"
)
_END_SESSION = (
    _ALIVE
    + 'every() { r=1; for f in /proc/[0-9]*/stat; do read -r l 2>/dev/null <"$f" || continue; '
    + 'q=${l%% *}; l=${l##*) }; set -- "$1" $l; [ "$2" != Z ] && [ "$5" = "$p" ] || continue; r=0; '
    + '[ -z "$1" ] || { kill "-$1" "$q"; kill -CONT "$q"; } 2>/dev/null; done; return $r; }; '
    + "for n in HUP TERM KILL; do every $n || exit 0; for i in 1 2 3 4 5 6 7 8 9 10; do nap; "
    + 'every "" || exit 0; done; done; ! every ""'
)
_RUN = REPORT_PID_SH + f'say {COMMAND}; exec "$@"'
_RUN_WITH_INPUT = REPORT_PID_SH + f'say {COMMAND}; read -r go || exit 125; exec "$@"'
GO = b"go\n"
"""Sent first where a command takes input: until then it has not begun."""


@dataclass(frozen=True, slots=True)
class RemoteProcess:
    """A process we started in a sandbox, by its pid and start ticks there."""

    pid: int
    start_ticks: int
    """The kernel's start tick, 0 where it could not be read: ids are used again."""
    program: str
    """`bash`, `sh`, `zsh`, `tmux`, `screen`, `command` or `session`."""


def wrap_command(argv: Sequence[str], *, stdin: bool = False, sh: str = "sh") -> tuple[str, ...]:
    """The argv that reports its pid first; with `stdin` it waits for `GO` before it begins."""
    return (sh, "-c", _RUN_WITH_INPUT if stdin else _RUN, "sh", *argv)


def kill_command(remote: RemoteProcess, absent: int = 0) -> tuple[str, ...]:
    """The argv that ends the process where it runs; exit status 0 if it is gone.

    A shell is hung up, which ends what it started on its terminal; a command is interrupted,
    terminated and killed, with its group. `absent` is the status where it was not there.
    """
    script = {COMMAND: _END, SESSION: _END_SESSION}.get(remote.program, _HANG_UP)
    return ("sh", "-c", script, "sh", str(remote.pid), str(remote.start_ticks), str(absent))


class PidPreamble:
    """Extracts the pid report from the output; fed any pieces.

    What was typed before the script ran comes first, as its echo.
    """

    def __init__(self) -> None:
        self.remote: RemoteProcess | None = None
        self._pending = b""
        self._passed = 0

    def feed(self, data: bytes) -> bytes:
        """The output without it; a possible beginning is held back."""
        if self.remote is not None or self._passed > _SEARCH_LIMIT:
            return self.flush() + data
        seen = self._pending + data
        found = _REPORT.search(seen)
        if found is not None:
            self._pending = b""
            self.remote = RemoteProcess(int(found[1]), int(found[2]), found[3].decode("ascii"))
            return seen[: found.start()] + seen[found.end() :]
        kept = _partial_report(seen)
        self._pending = seen[len(seen) - kept :]
        self._passed += len(seen) - kept
        return seen[: len(seen) - kept]

    def flush(self) -> bytes:
        """What is still held where no more comes."""
        held, self._pending = self._pending, b""
        return held


def _partial_report(data: bytes) -> int:
    """How many bytes at the end may be the beginning of what the script says."""
    at = data.rfind(_INTRODUCER)
    if at >= 0 and len(data) - at < _LONGEST and b"\x07" not in data[at:]:
        return len(data) - at
    return next(
        (size for size in range(len(_INTRODUCER) - 1, 0, -1) if data.endswith(_INTRODUCER[:size])),
        0,
    )
