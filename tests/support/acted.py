"""A scripted source for pictures and keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from services.clock import Clock
from services.errors import UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Capability,
    Direction,
    Facts,
    Gateway,
    GatewayId,
    LogStream,
    Observation,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    Source,
    Step,
    StepState,
    Unknown,
)
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.terminal.exec.requests import ExecEvent, ExecRequest, ExecResult, ShellChoice
from services.terminal.transport.base import CloseReason, Transport

READY = Verdict(VerdictKind.READY, "")


class ScriptedTransport:
    """Plays bytes, remembers what was typed, ends when told."""

    def __init__(
        self, output: bytes = b"", notice: str = "", ending: CloseReason | None = None
    ) -> None:
        self.notice = notice
        self.typed = bytearray()
        self.sizes: list[tuple[int, int]] = []
        self._queue: asyncio.Queue[bytes | CloseReason] = asyncio.Queue()
        if output:
            self._queue.put_nowait(output)
        if ending is not None:
            self._queue.put_nowait(ending)

    def say(self, output: bytes | CloseReason) -> None:
        self._queue.put_nowait(output)

    async def open(self, columns: int, lines: int) -> None:
        self.sizes.append((columns, lines))

    async def read(self) -> bytes | CloseReason:
        return await self._queue.get()

    async def write(self, data: bytes) -> None:
        self.typed += data

    async def acknowledge(self) -> bool:
        return True

    async def ping(self) -> bool:
        return True

    async def resize(self, columns: int, lines: int) -> None:
        self.sizes.append((columns, lines))

    async def close(self) -> None:
        return


@dataclass
class Script:
    """What one scripted source says; change it while it runs."""

    gateways: tuple[Gateway, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()
    queues: dict[SandboxId, QueueSnapshot] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    described: dict[SandboxId, Facts] = field(default_factory=dict)
    """What it tells when details are opened; where it is empty, none is asked."""
    verdicts: list[Verdict] = field(default_factory=list)
    """Taken one by one; the last one stays."""
    wake_steps: tuple[Step, ...] = ()
    prime_steps: tuple[Step, ...] = ()
    hold: asyncio.Event | None = None
    """A wake waits here after its first step."""
    failure: str = ""
    unknown: tuple[tuple[GatewayId | None, Unknown[Sandbox]], ...] = ()
    hangs: bool = False
    looks: int = 0
    woken: list[SandboxId] = field(default_factory=list)
    transport: Callable[[], Transport] = ScriptedTransport
    logs: dict[str, asyncio.Queue[str | None]] = field(default_factory=dict)
    """Lines by stream as they come; None loses the stream."""
    following: int = 0
    """How many logs are being followed."""


class ScriptedObserver:
    """Says what the script says."""

    def __init__(self, info: Source, script: Script, clock: Clock) -> None:
        self.info = info
        self._script = script
        self._clock = clock

    async def observe(self) -> Observation:
        self._script.looks += 1
        if self._script.hangs:
            await asyncio.Event().wait()
        if self._script.failure:
            raise UnavailableError(self._script.failure)
        now = self._clock.now()
        return Observation(
            self.info.key,
            now,
            tuple(replace(one, observed_at=now) for one in self._script.gateways),
            tuple(replace(one, observed_at=now) for one in self._script.sandboxes),
            self._script.unknown,
        )

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        known = self._script.queues.get(sandbox)
        return known or QueueSnapshot(sandbox, self._clock.now(), (), (), ())

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        return self._script.contents.get(message, "")

    async def probe(self, sandbox: SandboxId) -> Verdict:
        if self._script.hangs:
            await asyncio.Event().wait()
        verdicts = self._script.verdicts
        if not verdicts:
            return READY
        return verdicts.pop(0) if len(verdicts) > 1 else verdicts[0]

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return tuple(LogStream(name, name) for name in self._script.logs)

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        if not self._script.logs:
            raise UnavailableError("The agent writes no log.")
        told = self._script.logs[stream or next(iter(self._script.logs))]
        self._script.following += 1
        try:
            while True:
                line = await told.get()
                if line is None:
                    raise UnavailableError("The daemon went away.")
                yield LogRecord(line)
        finally:
            self._script.following -= 1

    async def close(self) -> None:
        return


class DescribingObserver(ScriptedObserver):
    """One that tells more when details are opened."""

    async def describe(self, sandbox: SandboxId) -> Facts:
        return self._script.described.get(sandbox, ())


class ScriptedActor:
    """Does what the script says."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self._script = script
        self._clock = clock

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"scripted:{sandbox.source}"

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        self._script.woken.append(sandbox)
        begun: dict[str, float] = {}
        for number, step in enumerate(self._script.wake_steps):
            yield replace(step, started_at=begun.setdefault(step.name, self._clock.now()))
            if number == 0 and self._script.hold is not None:
                await self._script.hold.wait()

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        for step in self._script.prime_steps:
            yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        return self._script.transport()

    async def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        yield ExecResult(0)

    async def close(self) -> None:
        return


class ScriptedProposer:
    """Asks the one question there is; nothing is ever carried out."""

    verbs = (("repair-guardian", "Re-issue the credential of"),)

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        return Proposal(
            sandbox,
            verb,
            "Re-issue the credential?",
            f"{sandbox.native_id} (environment production)",
            "Every other device that is signed in to this assistant is signed out and has to be "
            "paired again.\nOnce begun it is never interrupted.",
            "Re-issue",
            act="re-issuing the credential",
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        yield Step("re-issue", StepState.FAILED, detail="A picture does nothing.")


def scripted(
    script: Script, clock: Clock, key: str = "local", kind: str = "scripted"
) -> OpenSource:
    """An open source that follows a script."""
    info = Source(key, "scripted", key, "", frozenset(Capability))
    kind_of = DescribingObserver if script.described else ScriptedObserver
    observer, actor = kind_of(info, script, clock), ScriptedActor(script, clock)
    return OpenSource(observer, actor, proposer=ScriptedProposer())
