"""Carries notices from the history to whoever is called, for as long as `watch` runs."""

from __future__ import annotations

import asyncio
import logging
import shlex
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from services.board.board import Board
from services.board.refusals import refusals
from services.clock import Clock
from services.files.sqlite import Connection
from services.journal.file import UnusableError, open_to_write
from services.models import Capability, SandboxId, SandboxState, Source
from services.watch.digest import About
from services.watch.outbox import Outbox
from services.watch.sender import Sender

ROUND_S = 1.0
RETRY_S = 5.0
_MENDED_BY = (SandboxState.DOWN, SandboxState.STUCK, SandboxState.ASLEEP, SandboxState.CUT_OFF)
_LOG = logging.getLogger(__name__)


class Notifier:
    """One rule: its outbox and its sender."""

    def __init__(self, outbox: Outbox, sender: Sender, journal: Path, clock: Clock) -> None:
        self._outbox = outbox
        self._sender = sender
        self._journal = journal
        self._clock = clock

    async def run(self) -> None:
        """Claim and send until cancelled; what cannot be had now is tried again."""
        while True:
            try:
                async with Connection(self._connect) as db:
                    while True:
                        if not await self._round(db):
                            await self._clock.sleep(ROUND_S)
            except (sqlite3.Error, OSError, UnusableError) as error:
                _LOG.warning("notices to %s: %s", self._outbox.name, error)
                await self._clock.sleep(RETRY_S)

    async def _round(self, db: Connection) -> bool:
        """Send what there is to send; whether there was anything."""
        now = self._clock.now()
        claimed = await db.run(lambda db: self._outbox.claim(db, now))
        if claimed is None:
            return False
        problem = await self._sender.send(claimed.notice)
        at = self._clock.now()
        await asyncio.shield(db.run(lambda db: self._outbox.finish(db, claimed, problem, at)))
        return True

    def _connect(self) -> sqlite3.Connection:
        return open_to_write(self._journal, self._clock.now()).db


def advice_of(board: Board, sources: Mapping[str, Source]) -> Callable[[About], str]:
    """What one key would do for what a notice is about, as the board shows it then."""

    def advice(key: About) -> str:
        source, kind, subject = key
        row = board.sandboxes.get(SandboxId(source, subject))
        info = sources.get(source)
        if kind not in ("sandbox", "needs") or row is None or info is None:
            return ""
        name = shlex.quote(f"{source}/{subject}")
        if row.needs_me:
            return "Enter on it in the panel shows what waits."
        missing = refusals(info, row)
        if row.state in _MENDED_BY and not row.stale:
            if row.state is not SandboxState.CUT_OFF and Capability.WAKE not in missing:
                return f"One key, w, would try to wake it (wakedeck wake {name})."
            if Capability.RECONNECT not in missing:
                return f"One key, r, would try to reconnect it (wakedeck reconnect {name})."
        return ""

    return advice
