"""The soak: a panel on a real embedded world that is broken and repaired again and again.

Nothing is simulated: the faults are signals to real processes, the panel is the whole app without
a terminal, and what must have been remembered is read from the journal's file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import LocalTable
from services.models import (
    AttemptState,
    Gateway,
    GatewayId,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
    ShellState,
)
from services.sources.local.faults import InjectedFault, inject
from services.sources.local.layout import SANDBOX_NAMES, World
from services.sources.local.source import open_local
from services.sources.local.world import roles
from tests.soak.gauges import Sample, leaks, residents, sample
from tests.soak.hands import Hands
from tests.soak.injected import LEADS_TO, OF_THE_GATEWAY, Injected, missing
from tui.app import WakedeckApp

SEEN_S = 45.0
"""How long the panel may take to see a fault, or a repair, on a loaded machine."""
WARM = 3
"""Rounds before what the panel holds is compared: by then all there is has been used once."""
OF_AN_AGENT = (InjectedFault.AGENT_KILL, InjectedFault.AGENT_HANG, InjectedFault.AGENT_CRASH_LOOP)
Say = Callable[[str], None]


class Stuck(Exception):
    """Something the soak waits for does not come."""


@dataclass
class Findings:
    """What a soak saw; `wrong` is empty where all is well."""

    seconds: float = 0.0
    rounds: int = 0
    keys: int = 0
    injected: list[Injected] = field(default_factory=list)
    hidden: set[Injected] = field(default_factory=set)
    """Never shown: they began behind a way in that did not serve and ended before it did."""
    samples: list[Sample] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class _Complaints(logging.Handler):
    """Errors our own modules log are findings: the panel hides them from the operator."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        self._wrong.append(f"logged: {self.format(record)}")


class Soak:
    """One panel, one world, one seed."""

    def __init__(
        self, app: WakedeckApp, world: World, hands: Hands, chance: random.Random, say: Say
    ) -> None:
        self._app = app
        self._world = world
        self._hands = hands
        self._chance = chance
        self._say = say
        self.found = Findings()

    async def run(self, seconds: float) -> None:
        """Rounds until the time is over, at least one; then everything is compared."""
        began = time.monotonic()
        self._hear_complaints()
        await self._until("the world is up", self._all_ready)
        try:
            while self.found.rounds == 0 or time.monotonic() - began < seconds:
                await self._round()
                self.found.rounds += 1
                await self._at_rest(time.monotonic() - began)
        finally:
            self.found.seconds = time.monotonic() - began
            self.found.keys = self._hands.pressed

    def _hear_complaints(self) -> None:
        def heard(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            self.found.wrong.append(f"loop: {context.get('message')}: {context.get('exception')!r}")

        asyncio.get_running_loop().set_exception_handler(heard)

    async def _round(self) -> None:
        """Break one to three things, wait until each is seen, mend them all."""
        await self._hands.close_shells()
        agents = self._chance.sample(SANDBOX_NAMES, self._chance.choice((0, 1, 1, 2)))
        faults = [(name, self._chance.choice(OF_AN_AGENT)) for name in agents]
        if not faults or self._chance.random() < 0.4:
            name = self._chance.choice(SANDBOX_NAMES)
            faults.append(
                (name, self._chance.choice((*OF_THE_GATEWAY, *OF_THE_GATEWAY, InjectedFault.FLOOD)))
            )
        await self._open_shells(faults)
        if self._chance.random() < 0.5:
            await self._drop_a_shell()
        for name, fault in faults:
            self._break(name, fault)
            await self._hands.fidget()
        for one in self.found.injected[-len(faults) :]:
            await self._seen(one)
        for one in sorted(
            self.found.injected[-len(faults) :], key=lambda i: i.fault not in OF_THE_GATEWAY
        ):
            await self._mend(one)
        for _ in range(2):
            await self._hands.fidget()
        await self._until("everything serves again", self._all_ready)

    def _break(self, name: str, fault: InjectedFault) -> None:
        # An event's instant is that of the look that saw it: never before the fault.
        self.found.injected.append(Injected(time.time(), fault, name))
        self._say(f"  {inject(self._world, name, fault)}")

    async def _open_shells(self, faults: list[tuple[str, InjectedFault]]) -> None:
        for name in sorted({name for name, _ in faults}):
            if self._chance.random() < 0.6:
                await self._hands.go_to(name)
                await self._hands.press("s")
        await self._until(
            "shells are open",
            lambda: all(one.session.shell.state is ShellState.OPEN for one in self._app.shells),
        )
        self._hands.type_into_shells()

    async def _drop_a_shell(self) -> None:
        dropped = next(iter(self._app.shells), None)
        if dropped is not None:
            self._break(dropped.session.shell.sandbox.native_id, InjectedFault.SHELL_DROP)
            await self._until(
                "the cut shell is lost", lambda: dropped.session.shell.state is ShellState.LOST
            )

    async def _seen(self, one: Injected) -> None:
        """Wait until the panel shows where the fault leads; what lies between is in the journal."""
        course = LEADS_TO[one.fault]
        if len(course) > 1:
            state = course[-2]
            await self._until(f"{one} is seen as {state}", partial(self._has, one, state))
            if self._hides(one):
                self.found.hidden.add(one)
            await self._hands.fidget()

    async def _mend(self, one: Injected) -> None:
        if one.fault is InjectedFault.FLOOD:
            self._clear(one)
            return
        if one in self.found.hidden:
            await self._until(f"{one} is not hidden", lambda: not self._hides(one))
            if self._has(one, LEADS_TO[one.fault][-2]):
                self.found.hidden.remove(one)
        await self._hands.go_to(one.sandbox)
        if one.fault is InjectedFault.CREDENTIAL_REFUSED:
            await self._hands.press("w")
            await self._ended(one, AttemptState.FAILED)
            self._clear(one)
            return
        if not self._has(one, "ready"):
            await self._hands.press(self._chance.choice(("w", "r")))
            await self._ended(one, AttemptState.DONE)

    def _clear(self, one: Injected) -> None:
        self._say(f"  {inject(self._world, one.sandbox, InjectedFault.CLEAR)}")

    async def _ended(self, one: Injected, state: AttemptState) -> None:
        sandbox = SandboxId("local", one.sandbox)

        def over() -> bool:
            attempt = self._app.engine.latest_attempt(sandbox)
            return (
                attempt is not None and attempt.ended_at is not None and attempt.ended_at > one.at
            )

        await self._until(f"the attempt after {one} ends", over)
        attempt = self._app.engine.latest_attempt(sandbox)
        if attempt is not None and attempt.state is not state:
            said = f"{attempt.summary} {attempt.original} {attempt.advice}"
            self.found.wrong.append(f"the attempt after {one} is {attempt.state.value}: {said}")

    def _has(self, one: Injected, state: str) -> bool:
        """Whether what it was done to is in this state, shown or behind a closed way in."""
        row = self._row(one)
        own = row.own_state if isinstance(row, Sandbox) else None
        return row is not None and (own or row.state).value == state

    def _hides(self, one: Injected) -> bool:
        """Whether its way in is shown instead of its own state."""
        row = self._row(one)
        return isinstance(row, Sandbox) and row.own_state is not None

    def _row(self, one: Injected) -> Gateway | Sandbox | None:
        board = self._app.engine.board
        if one.kind == "gateway":
            return board.gateways.get(GatewayId("local", one.subject))
        return board.sandboxes.get(SandboxId("local", one.subject))

    def _all_ready(self) -> bool:
        board = self._app.engine.board
        return (
            len(board.sandboxes) == len(SANDBOX_NAMES)
            and all(one.state is SandboxState.READY for one in board.sandboxes.values())
            and all(one.state is GatewayState.READY for one in board.gateways.values())
        )

    async def _at_rest(self, at_s: float) -> None:
        """Close what the hands opened, then look at what the panel still holds."""
        await self._hands.close_shells()
        await self._hands.home()
        await self._until("the shells are gone", lambda: len(residents(self._world.root)) <= 6)
        await asyncio.sleep(1.0)
        now = sample(at_s, self._world.root)
        self.found.samples.append(now)
        self._say(f"round {self.found.rounds}: {now}")

    async def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SEEN_S
        while not holds():
            if not self._app.is_running:
                raise Stuck(f"the panel has exited while waiting until {what}")
            if time.monotonic() > deadline:
                board = self._app.engine.board
                states = [f"{one.name} {one.state.value}" for one in board.sandboxes.values()]
                states += [f"{one.name} {one.state.value}" for one in board.gateways.values()]
                raise Stuck(f"not within {SEEN_S:.0f} s: {what} ({', '.join(states)})")
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _complaints(wrong: list[str]) -> AsyncIterator[None]:
    handler = _Complaints(wrong)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    names = ("services", "tui", "widgets", "asyncio")
    for name in names:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(handler)


async def soak(folder: Path, seconds: float, seed: int, say: Say = lambda _: None) -> Findings:
    """Run one in an empty folder; everything it started has ended when this returns."""
    clock = SystemClock()
    world = World(folder / "world")
    settings = Settings("soak", (SourceSettings("local", "local", LocalTable()),))
    source = open_local("local", LocalTable(), clock, world.root)
    app = WakedeckApp(settings, (source,), clock, state=folder)
    chance = random.Random(seed)
    async with app.run_test(size=(160, 45)) as pilot:
        one = Soak(app, world, Hands(app, pilot, chance), chance, say)
        async with _complaints(one.found.wrong):
            try:
                await one.run(seconds)
            except (Stuck, AssertionError) as error:
                one.found.wrong.append(str(error) or repr(error))
            alive = app.is_running
            app.action_leave()
            deadline = time.monotonic() + 20
            while app.is_running and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
    found = one.found
    if not alive:
        found.wrong.append("the panel left by itself")
    if left := residents(world.root):
        found.wrong.append(f"{len(left)} processes of {len(roles(world))} outlived the panel")
    shown = [one for one in found.injected if one not in found.hidden]
    found.wrong += missing(folder / "journal.db", shown)
    found.wrong += leaks(found.samples, WARM)
    return found
