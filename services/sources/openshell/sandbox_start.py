"""One `sandbox start`, waited for no longer than the gateway itself waits.

See upstream/openshell: What start and stop accept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from services.clock import Clock
from services.errors import UnavailableError
from services.models import Step
from services.sources.openshell import phases
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import OpenShellClient
from services.sources.openshell.commands import GET_S, SANDBOX_S, OpenShellCommands
from services.sources.openshell.proof import CommandResult
from services.sources.openshell.records import SandboxRow, Target
from services.sources.protocol.steps import StepBuilder
from services.text.format import duration, sentence

_LOOK_S = 1.0
"""Seconds between two looks while it starts."""


class SandboxStart:
    """Starts one sandbox; `problem` is a sentence once it could not be."""

    def __init__(
        self,
        commands: OpenShellCommands,
        client: OpenShellClient,
        clock: Clock,
        target: Target,
        tools: Toolset,
    ) -> None:
        self.problem = ""
        self._commands = commands
        self._client = client
        self._clock = clock
        self._target = target
        self._tools = tools

    async def run(self, stage: StepBuilder) -> AsyncGenerator[Step, None]:
        """Steps with the time that is left; ends with the start, its deadline or a final reason.

        Closing it ends the command and takes nothing back.
        """
        began = self._clock.now()
        yield stage.running(f"openshell sandbox start {self._target.name}")
        task = asyncio.create_task(self._commands.start_sandbox(self._target, self._tools))
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_S))[0]:
                row = await self._row()
                now = self._clock.now()
                if row is not None and self._is_final(row, now, began):
                    self.problem = phases.reason_of(row, now)
                    return
                until = _until(row, began)
                if now > until:
                    self.problem = (
                        f"The sandbox {self._target.name} was not ready within"
                        f" {duration(until - began)}: the gateway waits no longer either."
                    )
                    return
                phase = "" if row is None else f"{phases.phase_text(row)}, "
                left = f"{phase}{duration(until - now)} left"
                yield stage.running(left, limit_s=until - began)
            self.problem = refusal(task.result())
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _row(self) -> SandboxRow | None:
        try:
            return (await self._client.sandbox(self._target, self._tools, GET_S)).row
        except UnavailableError:
            return None

    def _is_final(self, row: SandboxRow, now: float, began: float) -> bool:
        """Whether this start has failed for good; a failure from before it does not count."""
        making = row.life.provisioning
        old = making is not None and making.timed_out is not None and making.timed_out < began
        if row.phase == "Error":
            changed = [one.at for one in row.conditions if one.kind == "Ready"]
            old = old or any(at is None or at < began for at in changed)
            return not old and not phases.start_rule(row, self._tools).allowed
        return not old and phases.over(row, now)


def _until(row: SandboxRow | None, began: float) -> float:
    """When it is given up, in epoch seconds: at our own limit or at the gateway's, if earlier."""
    making = None if row is None else row.life.provisioning
    until = began + SANDBOX_S
    if making is None or making.deadline is None or making.deadline < began:
        return until
    return min(until, making.deadline + phases.GRACE_S)


def refusal(done: CommandResult) -> str:
    """What a start that failed means for the operator; empty for one that did not."""
    if not done.problem:
        return ""
    said = done.problem.lower()
    advice = ""
    if "must be stopped, completed, or a failed main-process error" in said:
        advice = f" {phases.NEVER_AGAIN}"
    elif "cleanup is still pending" in said:
        advice = " Wake it again once the cleanup is done."
    elif "request was waiting" in said:
        advice = " Something else has changed it meanwhile: look at it, then wake it again."
    return f"{sentence(done.problem)}{advice}"
