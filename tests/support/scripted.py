"""A source that does as it is told, under a clock that moves when told, and remembers it all."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.clock import Clock
from services.errors import UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Capability,
    Direction,
    LogStream,
    Observation,
    QueueSnapshot,
    SandboxId,
    Source,
    Step,
    StepState,
)
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport

READY = Verdict(VerdictKind.READY, "")
SETTLING = Verdict(VerdictKind.SETTLING, "Migrating its database.")
DOWN = Verdict(VerdictKind.REPAIRABLE, "The gateway is down.", wakeable=True)
STOPPED = Verdict(VerdictKind.REPAIRABLE, "It is managed elsewhere.")
REFUSED = Verdict(
    VerdictKind.TERMINAL, "Refused.", advice="Ask its owner.", confirmable="repair-credential"
)
UNKNOWN = Verdict(VerdictKind.UNKNOWN, "Nothing could be read.")


@dataclass
class Script:
    """What one wake or one pass of link steps does."""

    steps: tuple[Step, ...] = (Step("start", StepState.RUNNING),)
    takes_s: float = 1.0
    """After each step."""
    ends: str = "ok"
    """`ok`, `raise`, `crash` or `hang`; a failed step among `steps` ends it anyway."""
    then: Verdict | None = None
    """What the probe says once it ended well."""
    deaf: bool = False
    """Closing it does nothing for a minute."""


@dataclass
class Scripted:
    """Observer and actor of one source."""

    clock: Clock
    key: str = "s"
    verdict: dict[str, Verdict] = field(default_factory=dict)
    probing: str = ""
    """`raise`, `crash`, `hang` or `deaf` for a probe that does not answer."""
    wakes: Script = field(default_factory=lambda: Script(then=READY))
    links: deque[Script] = field(default_factory=deque)
    shared: bool = False
    """All sandboxes are behind one gateway."""
    answered: list[tuple[float, SandboxId, Verdict]] = field(default_factory=list)
    woken: list[tuple[float, SandboxId]] = field(default_factory=list)
    active: Counter[SandboxId] = field(default_factory=Counter)
    """Wakes and link passes that have not let go."""
    awake: Counter[str] = field(default_factory=Counter)
    """Wakes that run now, by gateway."""
    most_awake: int = 0
    interrupted: list[str] = field(default_factory=list)
    """Critical steps that were cut off."""

    @property
    def info(self) -> Source:
        able = frozenset({Capability.WAKE, Capability.RECONNECT})
        return Source(self.key, "scripted", "Scripted", "nowhere", able)

    @property
    def open(self) -> OpenSource:
        return OpenSource(self, self)

    async def observe(self) -> Observation:
        if self.probing:
            raise UnavailableError("Nothing answers.")
        return Observation(self.key, self.clock.now())

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        raise UnavailableError("No queues here.")

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        raise UnavailableError("No queues here.")

    async def probe(self, sandbox: SandboxId) -> Verdict:
        match self.probing:
            case "raise":
                raise UnavailableError("The probe could not be made.")
            case "crash":
                raise ZeroDivisionError
            case "hang":
                await self.clock.sleep(10_000)
            case "deaf":
                until = self.clock.monotonic() + 90
                while self.clock.monotonic() < until:
                    try:
                        await self.clock.sleep(until - self.clock.monotonic())
                    except asyncio.CancelledError:
                        continue
        await self.clock.sleep(0.1)
        verdict = self.verdict.get(sandbox.native_id, READY)
        self.answered.append((self.clock.now(), sandbox, verdict))
        return verdict

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return ()

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        yield LogRecord("nothing")

    def wake_key(self, sandbox: SandboxId) -> str:
        return "gateway" if self.shared else sandbox.native_id

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        key = self.wake_key(sandbox)
        self.woken.append((self.clock.now(), sandbox))
        self.awake[key] += 1
        self.most_awake = max(self.most_awake, self.awake[key])
        try:
            async for step in self._play(self.wakes, sandbox):
                yield step
        finally:
            self.awake[key] -= 1

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        script = self.links.popleft() if self.links else Script((Step("connect", StepState.OK),))
        async for step in self._play(script, sandbox):
            yield step

    async def _play(self, script: Script, sandbox: SandboxId) -> AsyncIterator[Step]:
        self.active[sandbox] += 1
        try:
            for step in script.steps:
                yield step
                try:
                    await self.clock.sleep(script.takes_s)
                except asyncio.CancelledError:
                    if step.critical and step.state is StepState.RUNNING:
                        self.interrupted.append(step.name)
                    raise
                if step.state is StepState.RUNNING:
                    yield Step(step.name, StepState.OK, critical=step.critical)
            match script.ends:
                case "raise":
                    raise UnavailableError("The command is not installed. token=hunter2")
                case "crash":
                    raise ZeroDivisionError
                case "hang":
                    await self.clock.sleep(10_000)
            if script.then is not None:
                self.verdict[sandbox.native_id] = script.then
                if self.shared:
                    self.verdict.update(dict.fromkeys(self.verdict, script.then))
        finally:
            if script.deaf:
                until = self.clock.monotonic() + 60
                while self.clock.monotonic() < until:
                    try:
                        await self.clock.sleep(until - self.clock.monotonic())
                    except asyncio.CancelledError:
                        continue
            self.active[sandbox] -= 1

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        raise UnavailableError("No shell here.")

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        raise UnavailableError("No shell here.")

    async def close(self) -> None:
        """Nothing is held."""
