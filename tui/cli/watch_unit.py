"""A systemd user unit that keeps `wakedeck watch` running."""

from __future__ import annotations

from services.config.settings import Flags
from tui.cli import own_command

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
    words = own_command.words(flags)
    words += ["watch", "--json"]
    words += ["--metrics", metrics] if metrics else []
    words += ["--label-sandboxes"] if label_sandboxes else []
    return UNIT.format(command=" ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    """One argument as a unit file spells it, whatever is in it."""
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = safe == word and word and not any(one.isspace() or one in "';" for one in word)
    return word if plain else f'"{safe}"'
