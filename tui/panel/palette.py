"""The command palette: every live action, and every verb for every sandbox."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Hits, Provider

from services.errors import WakedeckError
from services.lazy_dataclass import dataclass
from services.models import BY_HAND, Capability, GatewayId, Sandbox, SandboxId, Verb
from tui.context import Context
from tui.dashboard import Dashboard
from tui.panel.layout import Pane
from tui.panel.shell_keys import SHELL_KEYS, ShellKey, run_shell_key
from widgets.panes.binding_rows import KeyRow, key_sections
from widgets.panes.sandboxes import SandboxPane
from widgets.panes.table_pane import TablePane
from widgets.text.cell_text import sanitize_line

if TYPE_CHECKING:
    from services.sources.local.faults import InjectedFault
    from services.sources.local.layout import World

INITIAL_SANDBOXES = 12
"""Sandboxes whose verbs are listed before anything is typed."""
MAX_ENTRIES = 100
"""Entries shown of what matches: the best ones."""
YIELD_EVERY = 100
"""Entries judged before keys and frames get their turn."""
_NO_SANDBOX, _NO_GATEWAY = SandboxId("", ""), GatewayId("", "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the palette."""

    text: str
    help: str
    run: Callable[[], object]


def _has_subsequence(text: str, letters: str) -> bool:
    """Whether the letters occur in the text in their order."""
    place = 0
    for letter in letters:
        place = text.find(letter, place) + 1
        if not place:
            return False
    return True


class PanelCommands(Provider):
    """Actions by their description; verbs by verb and sandbox; faults of the embedded world."""

    @property
    def dashboard(self) -> Dashboard:
        """The screen under everything."""
        screen = self.app.screen_stack[0]
        assert isinstance(screen, Dashboard)
        return screen

    @property
    def context(self) -> Context:
        """The services of the context."""
        return self.dashboard.context

    async def discover(self) -> Hits:
        entries = self._entries(INITIAL_SANDBOXES)
        for entry in entries:
            said, help = sanitize_line(entry.text, 160), sanitize_line(entry.help, 200)
            yield DiscoveryHit(said, entry.run, help=help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        letters = "".join(query.casefold().split())
        found: list[tuple[float, int, Entry]] = []
        for number, entry in enumerate(self._entries(), 1):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            if _has_subsequence(entry.text.casefold(), letters):
                score = matcher.match(entry.text)
                if score > 0:
                    found.append((score, -number, entry))
        for score, _, entry in heapq.nlargest(MAX_ENTRIES, found):
            said, help = sanitize_line(entry.text, 160), sanitize_line(entry.help, 200)
            yield Hit(score, matcher.highlight(said), entry.run, help=help)

    def _entries(self, most: int | None = None) -> Iterator[Entry]:
        """All of them, or with the verbs of at most so many sandboxes."""
        yield from self._marked()
        known = self.context.engine.board.sandboxes
        selected = known.get(self.dashboard.selected or _NO_SANDBOX)
        if selected is not None:
            yield from self._verbs(selected)
            yield from self._proposals(selected)
            yield from self._copies(selected)
        others = sorted((one for one in known.values() if one is not selected), key=lambda r: r.id)
        for sandbox in others[:most]:
            yield from self._verbs(sandbox)
        yield from self._actions()
        yield from self._elsewhere()
        yield from self._shell()
        yield from self._faults()

    def _actions(self) -> Iterator[Entry]:
        for section in key_sections(self.app, self.screen.active_bindings):
            for row in section.rows:
                yield self._entry(row)

    def _elsewhere(self) -> Iterator[Entry]:
        """What the panes without the keyboard can do: it gets the keyboard first."""
        dashboard = self.dashboard
        if self.screen is not dashboard:
            return
        for pane in dashboard.query(TablePane):
            if pane.has_focus_within:
                continue
            for node in (pane, pane.table):
                bindings = node._bindings.copy()
                bindings.apply_keymap(self.app._keymap)
                own = {
                    key: ActiveBinding(node, binding, True, binding.tooltip)
                    for key, binding in bindings
                    if binding.id and not binding.id.startswith("table.")
                }
                for section in key_sections(self.app, own):
                    for row in section.rows:
                        yield self._entry(row, pane)

    def _entry(self, row: KeyRow, pane: TablePane | None = None) -> Entry:
        keys = " ".join(row.keys)
        words = row.description if pane is None else f"{row.description} ({pane.heading})"
        if row.enabled:
            return Entry(words, keys, self._acting(row.action, row.place, pane))
        reason = row.reason or "not now"
        return Entry(words, f"{keys} · {reason}", self._refusing(reason))

    def _marked(self) -> Iterator[Entry]:
        """The verbs on what is marked, as one set."""
        marked = self.dashboard.query_one(SandboxPane).marked
        for verb in Verb if marked else ():
            yield Entry(
                f"{verb.value.capitalize()} the {len(marked)} marked",
                "an attempt for each, one summary",
                partial(self.context.bulk.start, verb, marked),
            )

    def _shell(self) -> Iterator[Entry]:
        there = self.dashboard.shell_controller.front_view() is not None
        for one in SHELL_KEYS:
            if one.run is not None:
                keys = one.keys if there else f"{one.keys} · no shell is open"
                yield Entry(one.words, keys, partial(self._use, one))

    def _use(self, one: ShellKey) -> None:
        # After the palette has gone and given the focus back.
        controller = self.dashboard.shell_controller
        notify = self.context.notify
        self.app.call_later(lambda: run_shell_key(controller.front_view(), one, notify))

    def _acting(
        self, action: str, place: object, pane: TablePane | None = None
    ) -> Callable[[], None]:
        async def act() -> None:
            if pane is not None:
                self.dashboard.focus_pane(Pane(pane.id))
            await self.app.run_action(action, default_namespace=place)  # type: ignore[arg-type]

        def later() -> None:
            self.app.call_later(act)

        return later

    def _refusing(self, reason: str) -> Callable[[], None]:
        return lambda: self.context.notify(reason, "warning")

    def _verbs(self, sandbox: Sandbox) -> Iterator[Entry]:
        context, dashboard = self.context, self.dashboard
        refused = context.actions.refusals(sandbox.id)
        name = context.engine.name_of(sandbox.id)
        verbs: tuple[tuple[str, Capability, Callable[[], None]], ...] = (
            ("Wake", Capability.WAKE, lambda: context.actions.repair(Verb.WAKE, sandbox.id)),
            (
                "Reconnect",
                Capability.RECONNECT,
                lambda: context.actions.repair(Verb.RECONNECT, sandbox.id),
            ),
            ("Shell", Capability.SHELL, lambda: dashboard.shell_controller.open(sandbox.id)),
            ("Logs", Capability.LOGS, lambda: context.open_log(sandbox.id)),
        )
        for word, capability, run in verbs:
            reason = refused.get(capability)
            if reason is None:
                yield Entry(f"{word} {name}", str(sandbox.id), run)
            else:
                yield Entry(f"{word} {name}", reason, self._refusing(reason))
        if context.agent_attach.offered(sandbox.id):
            why = context.agent_attach.refusal(sandbox.id)
            yield Entry(
                f"Attach to the agent of {name}…",
                f"{sandbox.id} · asks first" if why is None else why,
                lambda: context.agent_attach.ask(sandbox.id),
            )

    def _proposals(self, sandbox: Sandbox) -> Iterator[Entry]:
        """What asks first, for the sandbox under the cursor."""
        name = self.context.engine.name_of(sandbox.id)
        for verb, words in self.context.confirmations.verbs(sandbox.id):
            yield Entry(
                f"{words} {name}…",
                f"{sandbox.id} · asks first",
                lambda verb=verb: self.context.confirmations.ask(sandbox.id, verb),  # type: ignore[misc]
            )

    def _copies(self, sandbox: Sandbox) -> Iterator[Entry]:
        """Commands that are left to the operator's own terminal."""
        front = self.context.engine.board.gateways.get(sandbox.gateway or _NO_GATEWAY)
        for name, said in (*sandbox.evidence, *(() if front is None else front.evidence)):
            if name == BY_HAND:
                yield Entry(f"Copy: {said}", "not run from here", self._copy(said))

    def _copy(self, said: str) -> Callable[[], None]:
        return lambda: self.context.copier.text(said)

    def _faults(self) -> Iterator[Entry]:
        selected = self.dashboard.selected
        if selected is None or self.context.settings.read_only:
            return
        source = self.context.engine.sources[selected.source].info
        if source.kind != "local":
            return
        from services.sources.local.faults import InjectedFault
        from services.sources.local.layout import World

        world = World(Path(source.address))
        for fault in InjectedFault:
            yield Entry(
                f"Break: {fault.value} on {selected.native_id}",
                fault.announcement,
                self._breaking(world, selected.native_id, fault),
            )

    def _breaking(self, world: World, name: str, fault: InjectedFault) -> Callable[[], None]:
        from services.sources.local.faults import inject

        def run() -> None:
            try:
                self.context.notify(inject(world, name, fault), "warning")
            except WakedeckError as error:
                self.context.notify(error.sentence, "error")

        return run
