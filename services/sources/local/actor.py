"""Starts, resumes or restarts what does not serve in the embedded world, for the operator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError, WakedeckError
from services.models import SandboxId, Step
from services.process.identity import Liveness
from services.sources.local import crashes, door, lock, probes, spawn, starts
from services.sources.local.gateway_probe import ProbeOutcome
from services.sources.local.judge import REFUSED, REFUSED_ADVICE, SILENCE_S, ProcessFacts
from services.sources.local.layout import World
from services.sources.protocol.steps import StepBuilder
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.exec.runner import run_command
from services.terminal.exec.sentinel import SentinelCommand
from services.terminal.transport.base import Transport
from services.text.sanitize import sanitize

START_LIMIT_S = 12.0
WAIT_LIMIT_S = 12.0
LINK_LIMIT_S = 5.0
_RESUME_S = 2.0
_GRACE_S = 1.5
_POLL_S = 0.1
NOTICE = "A shell on the machine itself: what you do here is real."


class LocalActor:
    """The verbs of the embedded world."""

    def __init__(self, source: str, world: World, clock: Clock) -> None:
        self._source = source
        self._world = world
        self._clock = clock

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"local:{self._world.root}"

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Resume or restart gateway, host and this sandbox's agent, only where one needs it."""
        name = self._resolve(sandbox)
        step = StepBuilder("start", self._clock, START_LIMIT_S)
        yield step.begun
        try:
            async with asyncio.timeout(START_LIMIT_S):
                done = [
                    said
                    for said in (
                        await self._ensure_serving("host", self._alive),
                        await self._ensure_serving("gateway", self._gateway_answers),
                        await self._ensure_agent_serving(name),
                    )
                    if said
                ]
        except TimeoutError:
            why = await asyncio.to_thread(spawn.unwritable, self._world)
            place = sanitize(str(self._world.root), 200)
            tail = f": nothing can be written into {place} ({why})" if why else ""
            yield step.failed(f"The processes do not start in time{tail}.")
            return
        except WakedeckError as error:
            yield step.failed(error.sentence)
            return
        yield step.ok(", ".join(done) or "everything was running")
        wait = StepBuilder("wait", self._clock, WAIT_LIMIT_S)
        yield wait.begun
        serving = await self._wait_until(WAIT_LIMIT_S, lambda: self._serves(sandbox))
        if serving:
            yield wait.ok("serving")
        else:
            # The attempt verifies by probing: what it then sees is what is said.
            yield wait.ok("started; no sign of life yet")

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Prove the link: the gateway takes our token and serves this sandbox's terminal."""
        name = self._resolve(sandbox)
        step = StepBuilder("credential", self._clock, LINK_LIMIT_S)
        yield step.begun
        facts = probes.process(self._world, "gateway")
        seen = await probes.gateway(self._world, facts)
        members = None if seen is None else seen.members
        if members is None:
            yield step.failed("The gateway stopped answering.", transient=True)
            return
        if members.answer is ProbeOutcome.DENIED:
            yield step.failed(f"{REFUSED} {REFUSED_ADVICE}")
            return
        yield step.ok("accepted")
        step = StepBuilder("connect", self._clock, LINK_LIMIT_S)
        yield step.begun
        served = (members.body or {}).get("sandboxes")
        names = (
            [one.get("id") for one in served if isinstance(one, dict)]
            if (isinstance(served, list))
            else []
        )
        if name in names:
            yield step.ok("terminal ready")
        else:
            yield step.failed("The gateway does not serve it yet.", transient=True)

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        from services.sources.local.framing import EmbeddedFraming
        from services.terminal.transport.websocket import WebSocketTransport

        name = self._resolve(sandbox)
        if choice.pod is not None or choice.first_pod:
            raise UnavailableError("A sandbox of the embedded world has no pods to choose from.")
        record = self._world.read_record("gateway")
        if record is None and not starts.under_way(self._world, "gateway", self._clock.now()):
            raise UnavailableError(
                "The embedded gateway is not running, so no shell can be opened.",
                advice="Wake the sandbox first.",
            )
        query = f"?shell={choice.shell}" if choice.shell else ""
        return WebSocketTransport(
            f"ws://{door.HOST_HEADER}/sandboxes/{name}/terminal{query}",
            {},
            framing=EmbeddedFraming(),
            notice=NOTICE,
            dial=lambda: door.enter(self._world),
            called=door.NAME,
        )

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Over a terminal: one stream for both outputs."""
        return run_command(
            SentinelCommand(self.shell(sandbox, request.choice), "the sandbox"), request
        )

    async def close(self) -> None:
        """The world's processes belong to the world, not to this actor."""

    def _resolve(self, sandbox: SandboxId) -> str:
        if sandbox.source != self._source or sandbox.native_id not in self._world.names():
            raise NotFoundError(f"The embedded world has no sandbox {sandbox.native_id!r}.")
        return sandbox.native_id

    async def _wait_until(self, seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
        deadline = time.monotonic() + seconds
        while not await holds():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def _ensure_serving(
        self, role: str, is_serving: Callable[[ProcessFacts], Awaitable[bool]]
    ) -> str:
        """Leave a working process alone, resume a suspended one, replace what does not answer."""
        if starts.under_way(self._world, role, self._clock.now()):
            await self._wait_until(START_LIMIT_S, lambda: self._is_serving(role, is_serving))
        facts = probes.process(self._world, role)
        record = starts.read(self._world, role) if facts.starting else self._world.read_record(role)
        if record is not None and not facts.liveness.over:
            if not facts.starting and await is_serving(facts):
                return ""
            if facts.liveness is Liveness.STOPPED:
                spawn.resume(record)
                if await self._wait_until(_RESUME_S, lambda: self._is_serving(role, is_serving)):
                    return f"{role} resumed"
            await asyncio.to_thread(spawn.end, record, _GRACE_S)
        pid = await asyncio.to_thread(spawn.start, self._world, role)
        await self._wait_until(START_LIMIT_S, lambda: self._is_serving(role, is_serving))
        return f"{role} {'started' if record is None else 'restarted'} (pid {pid})"

    async def _is_serving(
        self, role: str, is_serving: Callable[[ProcessFacts], Awaitable[bool]]
    ) -> bool:
        facts = probes.process(self._world, role)
        return not (facts.liveness.over or facts.starting) and await is_serving(facts)

    async def _ensure_agent_serving(self, name: str) -> str:
        folder = self._world.sandbox(name)
        cleared = ""
        if probes.process(self._world, f"agent-{name}").liveness.over:
            if await asyncio.to_thread(lock.break_stale, folder):
                cleared = "stale lock cleared, "
            (folder / crashes.GAVE_UP).unlink(missing_ok=True)
        said = await self._ensure_serving(
            f"agent-{name}", lambda facts: self._heartbeat_is_recent(name, facts)
        )
        return f"{cleared}{said}"

    async def _alive(self, facts: ProcessFacts) -> bool:
        return facts.liveness is Liveness.RUNNING

    async def _gateway_answers(self, facts: ProcessFacts) -> bool:
        seen = await probes.gateway(self._world, facts)
        return seen is not None and seen.health.answer is ProbeOutcome.OK

    async def _heartbeat_is_recent(self, name: str, facts: ProcessFacts) -> bool:
        if facts.liveness is not Liveness.RUNNING:
            return False
        beat = probes.heartbeat(self._world, name)
        if beat is None or facts.started_at is None:
            return False
        return self._clock.now() - beat < SILENCE_S and beat >= facts.started_at - 1.0

    async def _serves(self, sandbox: SandboxId) -> bool:
        facts = probes.process(self._world, "gateway")
        if not await self._gateway_answers(facts):
            return False
        role = f"agent-{sandbox.native_id}"
        return await self._heartbeat_is_recent(sandbox.native_id, probes.process(self._world, role))
