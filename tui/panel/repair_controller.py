"""The repair bar joined to the board and the actions: what it draws, and what its messages ask."""

from __future__ import annotations

from textual import on

from services.models import Sandbox, Verb
from tui.context import Context
from widgets.panes.repair_bar import RepairBar, RepairKeys


class RepairController(RepairBar):
    """The repair bar of the selected sandbox."""

    def __init__(self, context: Context, *, keys: RepairKeys, id: str | None = None) -> None:
        super().__init__(keys=keys, id=id)
        self.context = context

    def show_sandbox(self, sandbox: Sandbox | None) -> None:
        """Draw a sandbox with its latest attempt and what may be done about both."""
        if sandbox is None:
            self.show(None, None, {})
            return
        actions = self.context.actions
        attempt = self.context.engine.latest_attempt(sandbox.id)
        later = actions.overtaken_by(attempt)
        offered = None if later is not None and later.better else attempt
        self.show(
            sandbox,
            attempt,
            actions.refusals(sandbox.id),
            offer=self.context.confirmations.offer(offered),
            overtaken="" if later is None else later.text,
        )

    @on(RepairBar.WakeRequested)
    def _wake_requested(self, event: RepairBar.WakeRequested) -> None:
        self.context.actions.repair(Verb.WAKE, event.sandbox)

    @on(RepairBar.ReconnectRequested)
    def _reconnect_requested(self, event: RepairBar.ReconnectRequested) -> None:
        self.context.actions.repair(Verb.RECONNECT, event.sandbox)

    @on(RepairBar.CancelRequested)
    def _cancel_requested(self, event: RepairBar.CancelRequested) -> None:
        self.context.actions.cancel(event.attempt)

    @on(RepairBar.OfferRequested)
    def _offer_requested(self, event: RepairBar.OfferRequested) -> None:
        self.context.confirmations.ask(event.sandbox, event.verb)

    @on(RepairBar.VerbRefused)
    def _verb_refused(self, event: RepairBar.VerbRefused) -> None:
        self.context.notify(f"{event.verb.value.capitalize()}: {event.reason}", "warning")
