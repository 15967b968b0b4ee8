"""A systemd user unit that keeps `wakedeck watch` running."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from services.config.settings import Flags

UNIT = """\
# ~/.config/systemd/user/wakedeck-watch.service, then:
#   systemctl --user daemon-reload && systemctl --user enable --now wakedeck-watch
#   loginctl enable-linger     (so that it runs while nobody is logged in)
#   journalctl --user --unit wakedeck-watch --follow
[Unit]
Description=Wakedeck without a screen

[Service]
ExecStart={command}
Restart=always
RestartSec=5
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""


def text(flags: Flags, metrics: str = "", label_sandboxes: bool = False) -> str:
    """The unit, for the command and the configuration that are in use now."""
    words = [*_program()]
    if flags.config is not None:
        words += ["--config", str(flags.config.absolute())]
    if flags.profile:
        words += ["--profile", flags.profile]
    if flags.local:
        words.append("--local")
    words += ["watch", "--json"]
    words += ["--metrics", metrics] if metrics else []
    words += ["--label-sandboxes"] if label_sandboxes else []
    return UNIT.format(command=" ".join(map(_quoted, words)))


def _program() -> list[str]:
    """The command that is running, by its whole path."""
    started = Path(sys.argv[0])
    found = shutil.which(str(started)) if started.name.startswith("wakedeck") else None
    if found is not None:
        return [str(Path(found).absolute())]
    return [sys.executable, "-m", "wakedeck"]


def _quoted(word: str) -> str:
    """One argument as a unit file spells it, whatever is in it."""
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = safe == word and word and not any(one.isspace() or one in "';" for one in word)
    return word if plain else f'"{safe}"'
