"""The command palette: every live action, and every verb for every sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from services.errors import WakedeckError
from services.models import Capability, Sandbox, SandboxId, Verb
from tui.shell_keys import SHELL_KEYS, ShellKey, use
from widgets.binding_rows import key_sections

if TYPE_CHECKING:
    from services.sources.local.faults import Fault
    from services.sources.local.layout import World
    from tui.app import WakedeckApp

_NOBODY = SandboxId("", "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the palette."""

    text: str
    help: str
    run: Callable[[], None]


class PanelCommands(Provider):
    """Actions by their description; verbs by verb and sandbox; faults of the embedded world."""

    @property
    def panel(self) -> WakedeckApp:
        """The app, by its own type."""
        return cast("WakedeckApp", self.app)

    async def discover(self) -> Hits:
        for entry in self._entries():
            yield DiscoveryHit(entry.text, entry.run, help=entry.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self._entries():
            score = matcher.match(entry.text)
            if score > 0:
                yield Hit(score, matcher.highlight(entry.text), entry.run, help=entry.help)

    def _entries(self) -> Iterator[Entry]:
        yield from self._actions()
        yield from self._shell()
        sandboxes = sorted(self.panel.engine.board.sandboxes.values(), key=lambda one: one.id)
        for sandbox in sandboxes:
            yield from self._verbs(sandbox)
        yield from self._proposals()
        yield from self._faults()

    def _actions(self) -> Iterator[Entry]:
        for section in key_sections(self.app, self.screen.active_bindings):
            for row in section.rows:
                keys = " ".join(row.keys)
                if row.enabled:
                    yield Entry(row.description, keys, self._acting(row.action, row.place))
                else:
                    reason = row.reason or "not now"
                    yield Entry(row.description, f"{keys} · {reason}", self._refusing(reason))

    def _shell(self) -> Iterator[Entry]:
        there = self.panel.dashboard.desk.front_view() is not None
        for one in SHELL_KEYS:
            if one.run is not None:
                keys = one.keys if there else f"{one.keys} · no shell is open"
                yield Entry(one.words, keys, partial(self._use, one))

    def _use(self, one: ShellKey) -> None:
        # After the palette has gone and given the focus back.
        self.app.call_later(use, self.panel, one)

    def _acting(self, action: str, place: object) -> Callable[[], None]:
        async def act() -> None:
            await self.app.run_action(action, default_namespace=place)  # type: ignore[arg-type]

        def later() -> None:
            self.app.call_later(act)

        return later

    def _refusing(self, reason: str) -> Callable[[], None]:
        return lambda: self.panel.say(reason, "warning")

    def _verbs(self, sandbox: Sandbox) -> Iterator[Entry]:
        panel = self.panel
        refused = panel.intents.refusals(sandbox.id)
        verbs: tuple[tuple[str, Capability, Callable[[], None]], ...] = (
            ("Wake", Capability.WAKE, lambda: panel.intents.repair(Verb.WAKE, sandbox.id)),
            (
                "Reconnect",
                Capability.RECONNECT,
                lambda: panel.intents.repair(Verb.RECONNECT, sandbox.id),
            ),
            ("Shell", Capability.SHELL, lambda: panel.dashboard.desk.open(sandbox.id)),
            ("Logs", Capability.LOGS, lambda: panel.open_log(sandbox.id)),
        )
        for word, capability, run in verbs:
            reason = refused.get(capability)
            if reason is None:
                yield Entry(f"{word} {sandbox.name}", str(sandbox.id), run)
            else:
                yield Entry(f"{word} {sandbox.name}", reason, self._refusing(reason))
        if panel.attaching.offered(sandbox.id):
            why = panel.attaching.refusal(sandbox.id)
            yield Entry(
                f"Attach to the agent of {sandbox.name}…",
                f"{sandbox.id} · asks first" if why is None else why,
                lambda: panel.attaching.ask(sandbox.id),
            )

    def _proposals(self) -> Iterator[Entry]:
        """What asks first, for the sandbox under the cursor."""
        sandbox = self.panel.engine.board.sandboxes.get(self.panel.dashboard.selected or _NOBODY)
        if sandbox is None:
            return
        for verb, words in self.panel.proposing.verbs(sandbox.id):
            yield Entry(
                f"{words} {sandbox.name}…",
                f"{sandbox.id} · asks first",
                lambda verb=verb: self.panel.proposing.ask(sandbox.id, verb),  # type: ignore[misc]
            )

    def _faults(self) -> Iterator[Entry]:
        selected = self.panel.dashboard.selected
        if selected is None or self.panel.settings.read_only:
            return
        source = self.panel.engine.sources[selected.source].info
        if source.kind != "local":
            return
        from services.sources.local.faults import Fault
        from services.sources.local.layout import World

        world = World(Path(source.address))
        for fault in Fault:
            yield Entry(
                f"Break: {fault.value} on {selected.native_id}",
                "the embedded world is made to be broken",
                self._breaking(world, selected.native_id, fault),
            )

    def _breaking(self, world: World, name: str, fault: Fault) -> Callable[[], None]:
        from services.sources.local.faults import inject

        def run() -> None:
            try:
                self.panel.say(inject(world, name, fault), "warning")
            except WakedeckError as error:
                self.panel.say(error.sentence, "error")

        return run
