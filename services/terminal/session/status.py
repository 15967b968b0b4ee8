"""The published status of one shell session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.models import Shell
from services.terminal.transport.base import CloseReason

log = logging.getLogger("wakedeck.terminal")


class ShellStatus:
    """The one record of a session; after its end nothing changes it."""

    def __init__(self, shell: Shell, on_change: Callable[[Shell], None]) -> None:
        self.shell = shell
        self._on_change = on_change

    def update(self, **changes: Any) -> None:
        """Tell what changed, if anything did."""
        if self.shell.state.over:
            return
        changed = replace(self.shell, **changes)
        if changed == self.shell:
            return
        self.shell = changed
        try:
            self._on_change(changed)
        except Exception:
            log.exception("who watches %s failed", changed.sandbox)

    def finish(self, ending: CloseReason, skipped_bytes: int) -> None:
        """Reach the one terminal state."""
        self.update(
            state=ending.state,
            code=ending.code,
            reason=ending.reason,
            retry=ending.retry,
            skipping=False,
            skipped_bytes=skipped_bytes,
            input_blocked=False,
        )
