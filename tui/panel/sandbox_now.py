"""Feeds what pane 4 says of the selected sandbox while no shell is open; it only looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from textual.worker import Worker

from services.logs.follower import LogFollower
from services.models import Capability, Sandbox, SandboxId
from services.text.sanitize import end_sentence
from tui.context import Context
from widgets.panes.sandbox_now import NowState, SandboxNow

if TYPE_CHECKING:
    from services.logs.reader import LogRecord

REST_S = 0.6
"""A sandbox is selected for so long before its log is opened: the cursor may only be passing."""


class NowFeed:
    """Shows the board's rows at once, and follows the log of a selection that rests."""

    def __init__(self, context: Context, view: SandboxNow) -> None:
        self._context, self._view = context, view
        self._followed: SandboxId | None = None
        self._worker: Worker[None] | None = None

    def update(self, selected: SandboxId | None, empty: str, *, shown: bool) -> None:
        """Say how it is now; where nobody sees it (`shown`), no log is followed.

        `empty` says why there is no shell, and how to open one.
        """
        board = self._context.engine.board
        sandbox = None if selected is None else board.sandboxes.get(selected)
        self._follow(selected if shown and sandbox is not None else None)
        self._view.show(None if sandbox is None else self._state(sandbox, empty), empty)

    def stop(self) -> None:
        """Follow no log until the next update."""
        self._follow(None)

    def _state(self, sandbox: Sandbox, shell: str) -> NowState:
        gateways = self._context.engine.board.gateways
        wanted = sandbox.needs or ((sandbox.gateway,) if sandbox.gateway else ())
        ways = tuple(way for one in wanted if (way := gateways.get(one)) is not None)
        events = self._context.details.about(sandbox)
        told_apart = self._context.engine.told_apart(sandbox)
        return NowState(told_apart, ways, events, " ".join(shell.split()))

    def _follow(self, sandbox: SandboxId | None) -> None:
        if sandbox == self._followed:
            return
        self._followed = sandbox
        if self._worker is not None:
            self._worker.cancel()
            self._worker = None
        if sandbox is None:
            return
        refused = self._context.actions.refusals(sandbox).get(Capability.LOGS, "")
        self._view.clear_log(end_sentence(f"No log: {refused}") if refused else "")
        if not refused:
            self._worker = self._view.run_worker(self._run(sandbox), exit_on_error=False)

    async def _run(self, sandbox: SandboxId) -> None:
        await self._context.clock.sleep(REST_S)
        observer = self._context.engine.sources[sandbox.source].observer

        def opened(since: float | None) -> AsyncIterator[LogRecord]:
            return observer.logs(sandbox, "", since)

        def lost(_: str, __: float | None) -> None:
            """A line among the others says so already."""

        await LogFollower(opened, self._view.extend, lost, self._context.clock).run()
