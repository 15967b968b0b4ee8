"""What is run to get a shell in a pod: argv and scripts, pure.

The script says who it is ahead of any output, so that the shell can be hung up when we leave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.terminal.exec.remote_pid import SAY

SHELLS = ("bash", "sh", "zsh")
_TERM = (
    "for t in /usr/share/terminfo /lib/terminfo /etc/terminfo; do "
    'if [ -e "$t/x/xterm-256color" ]; then export TERM=xterm-256color; fi; done; '
)


@dataclass(frozen=True, slots=True)
class Start:
    """One way to get a shell."""

    argv: tuple[str, ...]
    name: str
    """What it is called in a sentence."""
    speaks: bool = True
    """Whether it says who it is, so that it can be hung up."""


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
    return f"{_TERM}{SAY}{tries}say sh; exec sh"


def session_name(text: str) -> str:
    """A name tmux and screen take."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:60]
