"""One verb for many: an attempt for each sandbox of a frozen set, one summary at the end."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from textual.app import App

from services.errors import WakedeckError
from services.journal.events import action_event
from services.models import AttemptState, Capability, SandboxId, Verb
from services.text.signs import DOING
from tui.engine import Engine
from tui.panel.actions import Actions, Notify, Tone
from widgets.workers import run_worker

if TYPE_CHECKING:
    from services.repair.attempts import AttemptHandle

CONCURRENT = {Verb.WAKE: 1, Verb.RECONNECT: 4}
"""Attempts at a time on what shares a gateway: wakes of one gateway take turns anyway."""
CONCURRENT_TOTAL = 8
MAX_NAMED = 5
"""How many of those that failed are named in the summary."""
_DONE = {Verb.WAKE: "Woke", Verb.RECONNECT: "Reconnected"}


class Outcome(NamedTuple):
    """How it went for one of them."""

    sandbox: SandboxId
    how: str
    """`done`, `failed`, `refused` or `cancelled`."""
    reason: str = ""


def summary(
    verb: Verb, outcomes: Sequence[Outcome], name_of: Callable[[SandboxId], str]
) -> tuple[str, Tone]:
    """What to tell of the whole, and how grave it is; each that did not work with its reason."""
    tally = Counter(one.how for one in outcomes)
    rest = [f"{tally[how]} {how}" for how in ("failed", "refused", "cancelled") if tally[how]]
    head = f"{_DONE[verb]} {tally['done']} of {len(outcomes)}"
    if not rest:
        return f"{head}.", "information"
    unhappy = [one for one in outcomes if one.how in ("failed", "refused")]
    lines = [f"{head}; {', '.join(rest)}{':' if unhappy else '.'}"]
    lines += [f"✕ {name_of(one.sandbox)}: {one.reason}" for one in unhappy[:MAX_NAMED]]
    if len(unhappy) > MAX_NAMED:
        lines.append(f"… and {len(unhappy) - MAX_NAMED} more: the events have every reason.")
    return "\n".join(lines), "error" if tally["failed"] else "warning"


class Bulk:
    """Runs one verb on a set of sandboxes, one set at a time; `on_change` reports progress."""

    def __init__(
        self,
        app: App[int],
        engine: Engine,
        actions: Actions,
        notify: Notify,
        on_started: Callable[[Verb, SandboxId], None],
        on_change: Callable[[], None],
    ) -> None:
        self._app = app
        self._engine = engine
        self._actions = actions
        self._notify = notify
        self._on_started = on_started
        self._on_change = on_change
        self._verb: Verb | None = None
        self._outcomes: list[Outcome] = []
        self._total = 0
        self._cancelled = False
        self._running: dict[SandboxId, AttemptHandle] = {}

    @property
    def progress(self) -> str:
        """What is under way; empty for nothing."""
        if self._verb is None:
            return ""
        if self._cancelled:
            return f"cancelling: {len(self._outcomes)} of {self._total} ended"
        return f"{DOING[self._verb]} {len(self._outcomes)} of {self._total}"

    def start(self, verb: Verb, sandboxes: Sequence[SandboxId]) -> bool:
        """Begin with these and no others; False where another set is under way. Never waits."""
        if self._verb is not None:
            self._notify(f"Still {self.progress}: cancel it first, or wait.", "warning")
            return False
        self._verb, self._total, self._cancelled = verb, len(sandboxes), False
        self._outcomes.clear()
        frozen = tuple(dict.fromkeys(sandboxes))
        run_worker(self._app, self._all, verb, frozen, group="bulk")
        self._on_change()
        return True

    def cancel(self) -> bool:
        """Begin no more of them and cancel those that run; False where nothing is under way."""
        if self._verb is None:
            return False
        self._cancelled = True
        for handle in self._running.values():
            handle.cancel()
        self._on_change()
        return True

    async def _all(self, verb: Verb, sandboxes: Sequence[SandboxId]) -> None:
        lanes: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(CONCURRENT[verb])
        )
        room = asyncio.Semaphore(CONCURRENT_TOTAL)

        async def one(sandbox: SandboxId) -> None:
            async with lanes[self._lane(sandbox)], room:
                self._ended(await self._attempt(verb, sandbox))

        try:
            async with asyncio.TaskGroup() as tasks:
                for sandbox in sandboxes:
                    tasks.create_task(one(sandbox))
            places = {sandbox: place for place, sandbox in enumerate(sandboxes)}
            self._outcomes.sort(key=lambda one: places[one.sandbox])
            self._notify(*summary(verb, self._outcomes, self._engine.name_of))
        finally:
            self._verb = None
            self._running.clear()
            self._on_change()

    async def _attempt(self, verb: Verb, sandbox: SandboxId) -> Outcome:
        if self._cancelled:
            return Outcome(sandbox, "cancelled")
        reason = self._actions.refusals(sandbox).get(Capability(verb.value))
        if reason is None:
            try:
                handle = self._actions.press(verb, sandbox, silent=True)
            except WakedeckError as error:
                reason = error.sentence
        if reason is not None:
            now = self._engine.clock.now()
            self._engine.record_events(
                action_event(sandbox, f"{verb.value} refused: {reason}", now)
            )
            return Outcome(sandbox, "refused", reason)
        self._running[sandbox] = handle
        self._on_started(verb, sandbox)
        attempt = await handle.wait()
        self._running.pop(sandbox, None)
        if attempt.state is AttemptState.DONE:
            return Outcome(sandbox, "done")
        if attempt.state is AttemptState.CANCELLED:
            return Outcome(sandbox, "cancelled")
        return Outcome(sandbox, "failed", attempt.summary)

    def _ended(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._on_change()

    def _lane(self, sandbox: SandboxId) -> str:
        """What only so many attempts may run on at a time."""
        source = self._engine.sources.get(sandbox.source)
        try:
            return "" if source is None else source.actor.wake_key(sandbox)
        except WakedeckError:
            return sandbox.source
