"""The texts of empty panes: why a pane is empty and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.board.deltas import SourceLink
from services.models import Capability, GatewayState, Sandbox, SandboxId
from services.text.sanitize import end_sentence
from tui.engine import Engine
from tui.panel.actions import Actions
from tui.panel.layout import Pane

Key = Callable[[str], str]
"""The keys of an action, by its id, as they read on the screen."""
_MOST = 3
"""Sources told one by one."""


class EmptyStates(NamedTuple):
    """Builds the texts of empty panes from the present state."""

    engine: Engine
    actions: Actions

    def all(self, under_cursor: SandboxId | None, key: Key) -> dict[Pane, str]:
        """The words of every pane."""
        known = self.engine.board.sandboxes
        selected = None if under_cursor is None else known.get(under_cursor)
        if selected is not None:
            selected = self.engine.told_apart(selected)
        return {
            Pane.SANDBOXES: self._rows("sandboxes", key),
            Pane.GATEWAYS: self._rows("gateways", key),
            Pane.QUEUES: self._queues(selected, key),
            Pane.SHELL: self._shells(selected, key),
            Pane.EVENTS: (
                "Nothing has happened yet.\n"
                "What turns worse or better, and what you do, is told here."
            ),
        }

    def _rows(self, what: str, key: Key) -> str:
        links = list(self.engine.board.links.values())
        refresh = key("panel.refresh")
        if not links:
            return "No source is configured.\n`wakedeck doctor` prints what to configure."
        lost = [one for one in links if one.failures]
        if lost:
            told = [f"{self._label(one)}: {one.reason}" for one in lost[:_MOST]]
            if len(lost) > _MOST:
                told.append(f"… and {len(lost) - _MOST} more")
            advice = f"{refresh} refreshes; `wakedeck doctor` says what a source needs."
            return "\n".join((*told, advice))
        unknown = self.engine.board.unknown_lists if what == "sandboxes" else ()
        if unknown:
            places = [
                f"The sandboxes of {source if gateway is None else gateway} are not known: {why}"
                for source, gateway, why in unknown[:_MOST]
            ]
            return "\n".join((*places, f"{refresh} refreshes."))
        waited = [one for one in links if one.last_success_at is None]
        if waited:
            return f"Waiting for {self._labels(waited)}…"
        if what == "gateways":
            return f"{self._labels(links)}: no gateway in front of its sandboxes."
        unstarted = [one for one in links if one.source in self.engine.not_started]
        if unstarted:
            told = [
                f"{self._label(one)}: {self.engine.not_started[one.source]}"
                for one in unstarted[:_MOST]
            ]
            return "\n".join((*told, "Mend that, then start Wakedeck again."))
        amiss = [
            one
            for one in self.engine.board.gateways.values()
            if one.state not in (GatewayState.READY, GatewayState.ABSENT) and one.reason
        ]
        if amiss:
            first = min(amiss, key=lambda one: one.id)
            return (
                f"{self._labels(links)}: no sandboxes seen.\n"
                f"{first.name} is {first.state.value}: {first.reason}\n"
                f"{key('panel.gateways')} goes there, {key('table.open')} says more."
            )
        return (
            f"{self._labels(links)}: no sandboxes there now.\n"
            f"A new one appears here by itself; {refresh} refreshes."
        )

    def _queues(self, selected: Sandbox | None, key: Key) -> str:
        if selected is None:
            return f"No sandbox selected.\n{key('panel.sandboxes')} goes to the list, ↑ ↓ choose."
        reason = self.actions.refusals(selected.id).get(Capability.QUEUE)
        if reason is not None:
            return end_sentence(f"{selected.name}: {reason}")
        problem = self.engine.pollers.queue_problem
        if problem:
            return f"{selected.name}: {problem}\n{key('panel.refresh')} refreshes."
        if selected.id != self.engine.pollers.queue_loaded:
            return f"Reading the queues of {selected.name}…"
        return f"Both queues of {selected.name} are empty.\nWhat is sent to it appears here."

    def _shells(self, selected: Sandbox | None, key: Key) -> str:
        shell = key("panel.shell")
        if selected is None:
            return f"No shell open.\nPress {shell} on a sandbox."
        reason = self.actions.refusals(selected.id).get(Capability.SHELL)
        if reason is not None:
            return end_sentence(f"No shell in {selected.name}: {reason}")
        return f"No shell open.\nPress {shell} for one in {selected.name}."

    def _labels(self, links: Sequence[SourceLink]) -> str:
        named = ", ".join(map(self._label, links[:_MOST]))
        return f"{named} and {len(links) - _MOST} more" if len(links) > _MOST else named

    def _label(self, link: SourceLink) -> str:
        source = self.engine.sources.get(link.source)
        return source.info.label if source is not None else link.source
