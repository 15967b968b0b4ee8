"""The details of one record and its last day, kept true while they are open."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import App

from services.errors import WakedeckError
from services.models import Event, Gateway, GatewayId, Message, Sandbox, SandboxId
from services.sources.protocol.observer import Describes
from tui.engine import Engine
from tui.panel.history import EventHistory
from widgets.workers import run_worker

if TYPE_CHECKING:
    from widgets.panes.details import DetailPane

MAX_EVENTS = 2000


class Details:
    """Opens the details dialog and keeps it up to date."""

    def __init__(self, app: App[int], engine: Engine) -> None:
        self._app = app
        self._engine = engine
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._open: DetailPane | None = None
        self._history = EventHistory(engine)
        self._past: dict[SandboxId | GatewayId, tuple[Event, ...]] = {}

    def on_events(self, events: Sequence[Event]) -> None:
        """Keep new events for the records they are about."""
        self._events.extend(events)

    def open(
        self, subject: Sandbox | Gateway | Message | Event, of: SandboxId | None = None
    ) -> None:
        """Show a record; for a message, `of` is the sandbox whose queue holds it."""
        if self._open is not None and self._open.is_attached:
            return
        from widgets.panes.details import DetailPane

        pane = DetailPane(subject, now=self._engine.clock.now(), events=self.about(subject))
        self._open = pane
        self._app.push_screen(pane)
        if isinstance(subject, Sandbox | Gateway):
            run_worker(pane, self._last_day, pane, subject.id)
        if isinstance(subject, Sandbox):
            run_worker(pane, self._described, pane, subject.id)
        if isinstance(subject, Message) and of is not None:
            run_worker(pane, self._content, pane, subject, of)

    def refresh(self) -> None:
        """Update the open dialog after a poll round."""
        pane = self._open
        if pane is None or not pane.is_attached:
            return
        now = self._engine.clock.now()
        subject = pane.subject
        if not isinstance(subject, Sandbox | Gateway):
            return
        board = self._engine.board
        known: Sandbox | Gateway | None
        known = (
            board.sandboxes.get(subject.id)
            if isinstance(subject, Sandbox)
            else board.gateways.get(subject.id)
        )
        if known is None:
            pane.show_missing(now)
        else:
            pane.show(known, now=now, events=self.about(known))

    async def _last_day(self, pane: DetailPane, identity: SandboxId | GatewayId) -> None:
        self._past = {identity: await self._history.last_day(identity)}
        subject = pane.subject
        if pane.is_attached and isinstance(subject, Sandbox | Gateway):
            pane.show(subject, now=self._engine.clock.now(), events=self.about(subject))

    async def _described(self, pane: DetailPane, identity: SandboxId) -> None:
        """Asked once for each opening, never by a poll round; ends with the dialog."""
        source = self._engine.sources.get(identity.source)
        if source is None or not isinstance(source.observer, Describes):
            return
        try:
            facts = await source.observer.describe(identity)
        except WakedeckError as error:
            facts = (("not known", error.sentence),)
        pane.show_described(facts, self._engine.clock.now())

    async def _content(self, pane: DetailPane, message: Message, of: SandboxId) -> None:
        pane.show_loading()
        source = self._engine.sources.get(of.source)
        if source is None:
            pane.show_problem("its source is gone")
            return
        try:
            pane.show_content(await source.observer.content(of, message.direction, message.id))
        except WakedeckError as error:
            pane.show_problem(error.sentence)

    def about(self, subject: object) -> tuple[Event, ...]:
        """What is known to have happened to a sandbox or a gateway, oldest first."""
        if not isinstance(subject, Sandbox | Gateway):
            return ()
        from services.journal.transitions import not_among

        identity: SandboxId | GatewayId = subject.id
        about = [
            one
            for one in self._events
            if (one.source, one.subject) == (identity.source, identity.native_id)
        ]
        past = self._past.get(identity, ())
        return (*not_among(past, about), *about)
