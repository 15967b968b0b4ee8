"""What is run to get a shell in a pod: argv and scripts, pure.

The script says who it is ahead of any output, so that the shell can be hung up when we leave.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from services.terminal.exec.remote_pid import REPORT_PID_SH

DEBUG_IMAGE = "busybox"
SHELLS = ("bash", "sh", "zsh")
_TERM = (
    "for t in /usr/share/terminfo /lib/terminfo /etc/terminfo; do "
    'if [ -e "$t/x/xterm-256color" ]; then export TERM=xterm-256color; fi; done; '
)


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One way to get a shell."""

    argv: tuple[str, ...]
    name: str
    """What it is called in a sentence."""
    identifies_itself: bool = True
    """Whether it says who it is, so that it can be hung up."""


def shell_commands(shell: str | None, session: str) -> tuple[ShellCommand, ...]:
    """Ways in the order to try; `session` names a resumable one, empty for a plain shell."""
    wanted = ("sh",) if shell == "sh" else tuple(dict.fromkeys((shell or "bash", "bash", "sh")))
    script = _script(wanted, session)
    direct = tuple(
        ShellCommand((path,), path, identifies_itself=False)
        for name in wanted
        if name != "sh"
        for path in (name, f"/bin/{name}")
    )
    return (
        ShellCommand(("sh", "-c", script), "sh"),
        ShellCommand(("/bin/sh", "-c", script), "/bin/sh"),
        *direct,
    )


def _script(wanted: Sequence[str], session: str) -> str:
    tries = ""
    if session:
        # Without it, tmux and screen take the login shell, which of an image's user may be none.
        names = " || ".join(f"command -v {name}" for name in (*wanted, "sh"))
        tries += (
            f'case "${{SHELL:-}}" in ""|*/nologin|*/false) SHELL=$({names}); export SHELL;; esac; '
            # A root file system that is read-only leaves tmux no place for its socket.
            'if command -v tmux >/dev/null 2>&1 && [ -w "${TMUX_TMPDIR:-/tmp}" ]; then say tmux; '
            f"exec tmux new-session -A -D -s {session}; fi; "
            f"if command -v screen >/dev/null 2>&1; then say screen; "
            f"exec screen -D -R {session}; fi; "
        )
    for name in wanted:
        if name != "sh":
            tries += f"if command -v {name} >/dev/null 2>&1; then say {name}; exec {name}; fi; "
    return f"{_TERM}{REPORT_PID_SH}{tries}say sh; exec sh"


def session_name(text: str) -> str:
    """A name tmux and screen take."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:60]


def debug_command(
    context: str, namespace: str, pod: str, container: str, image: str = DEBUG_IMAGE
) -> str:
    """What adds a container with a shell to a pod, to be copied and run elsewhere."""
    where = ["--context", context] if context else []
    target = [f"--image={image}", f"--target={container}"]
    return shlex.join(["kubectl", *where, "-n", namespace, "debug", "-it", pod, *target])
