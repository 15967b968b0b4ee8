"""Does what the operator asked of a Vellum assistant: wakes it, renews and proves its link."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.models import SandboxId, Step, StepState
from services.sources.vellum import messages
from services.sources.vellum.commands import Command
from services.sources.vellum.evidence import ActionResult, AssistantEvidence
from services.sources.vellum.hints import hint
from services.sources.vellum.judge import classify, serving
from services.sources.vellum.limits import WAKE_S
from services.sources.vellum.link import AssistantLink
from services.sources.vellum.probes import AssistantProbes
from services.sources.vellum.registry import AssistantEntry
from services.sources.vellum.rows import NO_SHELL, NO_SHELL_DOCKER, NO_SHELL_REMOTE
from services.sources.vellum.runner import VellumRunner
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport
from services.text.sanitize import sanitize


class VellumActor:
    """The verbs of one Vellum environment."""

    def __init__(
        self, source: str, probes: AssistantProbes, runner: VellumRunner, clock: Clock
    ) -> None:
        self._source = source
        self._probes = probes
        self._runner = runner
        self._clock = clock
        self._link = AssistantLink(probes, runner, clock)

    def wake_key(self, sandbox: SandboxId) -> str:
        # All assistants of an environment share a lockfile that is written under a short lock.
        return f"vellum:{self._probes.lockfile}"

    async def wake(self, sandbox: SandboxId) -> AsyncGenerator[Step, None]:
        """One `vellum wake`; what it says proves nothing, so a good end only ends the step."""
        entry = await self._resolve(sandbox)
        step = Step("start", StepState.RUNNING, self._clock.now(), limit_s=WAKE_S)
        yield step
        async with aclosing(self._runner.lines(Command.WAKE, entry.id, WAKE_S)) as told:
            async for one in told:
                if isinstance(one, ActionResult):
                    yield await self._woken(entry, step, one)
                elif (words := hint(one)) and words != step.detail:
                    step = replace(step, detail=words)
                    yield step

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Have a good credential, then let the gateway prove that it takes it."""
        entry = await self._resolve(sandbox)
        async with aclosing(self._link.steps(entry)) as steps:
            async for step in steps:
                yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        raise UnavailableError(self._no_shell(sandbox))

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        raise UnavailableError(self._no_shell(sandbox))

    async def close(self) -> None:
        await self._runner.close()

    async def _woken(self, entry: AssistantEntry, step: Step, action: ActionResult) -> Step:
        judged = classify(AssistantEvidence(self._clock.now(), action=action))
        ended = replace(step, ended_at=self._clock.now(), detail=judged.reason)
        if action.timed_out or action.code == 0:
            seen = await self._probes.probe_known(entry)
            proven = "it serves" if serving(seen.ready) else judged.reason
            return replace(ended, state=StepState.OK, detail=proven)
        return replace(ended, state=StepState.FAILED)

    async def _resolve(self, sandbox: SandboxId) -> AssistantEntry:
        """The entry of an id, read afresh.

        Raises:
            NotFoundError: not registered here.
            UnavailableError: the registry cannot be read, or this runs elsewhere.
        """
        registry = await self._probes.registry()
        if registry.problem:
            seen = AssistantEvidence(0.0, registry=registry.path, registry_problem=registry.problem)
            raise UnavailableError(messages.registry(seen), advice=messages.REGISTRY_ADVICE)
        entry = registry.find(sandbox.native_id)
        if sandbox.source != self._source or entry is None:
            raise NotFoundError(f"{sanitize(sandbox.native_id, 60)}: it is not registered here.")
        if not entry.local and entry.cloud != "paired":
            raise UnavailableError(f"Its lifecycle is managed elsewhere (cloud {entry.cloud}).")
        return entry

    def _no_shell(self, sandbox: SandboxId) -> str:
        entry = self._probes.last.find(sandbox.native_id)
        cloud = "local" if entry is None else entry.cloud
        said = {"local": NO_SHELL, "docker": NO_SHELL_DOCKER}.get(cloud, NO_SHELL_REMOTE)
        return f"No shell in {sanitize(sandbox.native_id, 60)}: {said}."
