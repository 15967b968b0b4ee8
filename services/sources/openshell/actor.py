"""Does what the operator asked: select, start, get, forward, connect, in that order.

See upstream/openshell: Reconnect order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError, UnavailableError
from services.models import SandboxId, Step
from services.sources.openshell import (
    nemoclaw_cli,
    phases,
    sandbox_judge,
    shells,
    start_plan,
)
from services.sources.openshell.agent_question import AGENT_S, AgentAnswers, ask_agent
from services.sources.openshell.cli import Cli, config_folder
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.client import OpenShellClient
from services.sources.openshell.commands import (
    FORWARDS_S,
    GET_S,
    PROOF_S,
    SANDBOX_S,
    SELECT_S,
    START_S,
    WAIT_S,
    OpenShellCommands,
)
from services.sources.openshell.forward_repair import ForwardRepair, RepairedForwards
from services.sources.openshell.forwards import listens
from services.sources.openshell.gateway_judge import missing
from services.sources.openshell.gateway_status import GatewayJudgement, GatewayStatus
from services.sources.openshell.records import Registration, SandboxRow, Target
from services.sources.openshell.sandbox_judge import Reconciled, SandboxProbe
from services.sources.openshell.sandbox_start import SandboxStart
from services.sources.protocol.steps import StepBuilder, skipped_step
from services.sources.protocol.verdict import Verdict
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport

_POLL_S = 0.5
_COMING_UP = (GatewayStatus.PROBE_TIMEOUT, GatewayStatus.UNHEALTHY)


class OpenShellActor:
    """The verbs of OpenShell. Nothing here destroys, onboards or makes anything anew."""

    def __init__(
        self, source: str, table: OpenShellTable, clock: Clock, answers: AgentAnswers
    ) -> None:
        self._answers = answers
        self._source = source
        self._table = table
        self._clock = clock
        self._cli = Cli(table.binary)
        self._client = OpenShellClient(self._cli, table, clock)
        self._commands = OpenShellCommands(self._cli, self._client)

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"openshell:{config_folder()}:{self._resolve(sandbox).gateway}"

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """The gateway first where it is the cause, then the sandbox; skipped where it is well."""
        target = self._resolve(sandbox)
        tools = await self._client.toolset()
        known, judged = await self._gateway(target.gateway, tools)
        selecting = StepBuilder("select", self._clock, SELECT_S)
        before = await self._active(tools)
        away = judged.status is not GatewayStatus.HEALTHY and before not in ("", target.gateway)
        if tools.generation is Generation.A and away and known.endpoint:
            yield selecting.begun
            done = await self._commands.select(target.gateway)
            if done.problem:
                yield selecting.failed(done.problem)
                return
            yield selecting.ok(f"{before} was the active gateway before")
            known, judged = await self._gateway(target.gateway, tools)
        else:
            yield skipped_step("select", "every call names its gateway", self._clock)
        if judged.status is GatewayStatus.HEALTHY:
            yield skipped_step("start", "the gateway answers", self._clock)
        else:
            async for step in self._start(target.gateway, known, judged, tools):
                yield step
        async for step in self._start_sandbox(target, tools):
            yield step

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Get the sandbox, mend its ports where that is possible, prove that it runs commands."""
        target = self._resolve(sandbox)
        tools = await self._client.toolset()
        stage = StepBuilder("sandbox", self._clock, GET_S)
        yield stage.begun
        probe = await self._client.sandbox(target, tools, GET_S)
        if probe.found is not Reconciled.PRESENT or probe.row is None:
            judged = self._verdict(target, probe, tools)
            passing = probe.found in (Reconciled.TIMEOUT, Reconciled.GATEWAY_ERROR)
            yield stage.failed(judged.reason, transient=passing)
            return
        if probe.row.phase != "Ready":
            yield stage.failed(
                phases.reason_of(probe.row, self._clock.now()),
                transient=probe.row.phase in ("Provisioning", "Starting"),
            )
            return
        yield stage.ok("Ready")
        async for step in self._forward(target, probe.row, tools):
            yield step
        stage = StepBuilder("connect", self._clock, PROOF_S)
        yield stage.begun
        proof = await self._commands.prove(target, tools)
        if proof.problem:
            yield stage.failed(f"{proof.problem}.", transient=proof.transient)
            return
        yield stage.ok(proof.said)
        async for step in self._ask_agent(target, tools):
            yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        """A shell in the sandbox; `agent` attaches to its main process instead."""
        target = self._resolve(sandbox)
        return shells.shell(self._cli, self._client, target, choice)

    async def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        target = self._resolve(sandbox)
        tools = await self._client.toolset()
        async with aclosing(shells.execute(self._cli, target, tools, request)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """Gateways and forwarded ports are meant to stay."""

    def _resolve(self, sandbox: SandboxId) -> Target:
        target = Target.parse(sandbox.native_id)
        if sandbox.source != self._source or target is None:
            raise NotFoundError("This is not the name of an OpenShell sandbox.")
        return target

    def _verdict(self, target: Target, probe: SandboxProbe, tools: Toolset) -> Verdict:
        now = self._clock.now()
        return sandbox_judge.verdict(target.name, probe, tools, now, listed=False)

    async def _active(self, tools: Toolset) -> str:
        known = await self._client.registrations(tools)
        return next((one.name for one in known if one.active), "")

    async def _gateway(self, name: str, tools: Toolset) -> tuple[Registration, GatewayJudgement]:
        known = await self._client.registrations(tools)
        found = next((one for one in known if one.name == name), None)
        if found is None:
            return Registration(name), missing(name)
        judged, _ = await self._client.gateway(found, tools)
        return found, judged

    async def _start(
        self, name: str, known: Registration, judged: GatewayJudgement, tools: Toolset
    ) -> AsyncIterator[Step]:
        plan = start_plan.plan(name, known.endpoint, tools, self._table.start)
        stage = StepBuilder("start", self._clock, START_S)
        unregistered = judged.status is GatewayStatus.MISSING and not plan.by_cli
        if not judged.status.startable or unregistered or not plan.possible:
            yield stage.failed(f"{judged.reason} {plan.advice or judged.advice}".strip())
            return
        command = " ".join(("openshell", *plan.argv) if plan.by_cli else plan.argv)
        yield stage.running(command)
        done = await self._commands.start_gateway(name, plan)
        if done.problem:
            yield stage.failed(f"{done.problem[:1].upper()}{done.problem[1:]}.")
            return
        yield stage.ok(command)
        stage = StepBuilder("wait", self._clock, WAIT_S)
        yield stage.begun
        until = self._clock.monotonic() + WAIT_S
        while True:
            _, judged = await self._gateway(name, tools)
            if judged.status is GatewayStatus.HEALTHY:
                break
            # While it comes up it may break off or say nothing, which passes.
            waiting = judged.status.startable or judged.status in _COMING_UP
            if not waiting or self._clock.monotonic() > until:
                yield stage.failed(f"{judged.reason} {judged.advice}".strip())
                return
            await self._clock.sleep(_POLL_S)
        if tools.generation is Generation.A and await self._active(tools) != name:
            await self._commands.select(name)
        yield stage.ok("the gateway answers")

    async def _start_sandbox(self, target: Target, tools: Toolset) -> AsyncIterator[Step]:
        stage = StepBuilder("sandbox", self._clock, SANDBOX_S)
        yield stage.begun
        probe = await self._client.sandbox(target, tools, GET_S)
        judged = self._verdict(target, probe, tools)
        row = probe.row
        if row is None:
            yield stage.failed(f"{judged.reason} {judged.advice}".strip())
            return
        if judged.wakeable:
            waiting = SandboxStart(self._commands, self._client, self._clock, target, tools)
            async with aclosing(waiting.run(stage)) as steps:
                async for step in steps:
                    yield step
            if waiting.problem:
                yield stage.failed(waiting.problem)
                return
        elif row.phase != "Ready":
            # The attempt verifies by probing: what it then sees is what is said.
            yield stage.ok(judged.reason)
            return
        proof = await self._commands.prove(target, tools)
        if proof.problem and not proof.transient:
            yield stage.failed(f"{proof.problem}.")
        elif proof.problem:
            yield stage.ok(f"{proof.problem}; it may need a moment")
        else:
            yield stage.ok(proof.said)

    async def _ask_agent(self, target: Target, tools: Toolset) -> AsyncIterator[Step]:
        """Whether the agent's gateway lives: what was proven so far says nothing of it."""
        entry = (await self._client.registry()).entry(target.gateway, target.name)
        if entry is None or not entry.has_agent_gateway or entry.agent_port is None:
            return
        stage = StepBuilder("agent", self._clock, AGENT_S)
        yield stage.begun
        answer = await ask_agent(self._cli, target, tools, entry, self._clock.now())
        self._answers.note(target, answer)
        if answer.serves and entry.port is not None and not await listens("", entry.port):
            away = f"{answer.said}, but its dashboard is not reachable on {entry.port} from here"
            yield stage.not_done(away, away)
        elif answer.serves:
            yield stage.ok(answer.said, outcome=answer.said)
        elif answer.serves is None:
            yield stage.not_done(answer.said, answer.said)
        else:
            hint = "; the palette can let NemoClaw repair it" if nemoclaw_cli.locate() else ""
            yield stage.not_done(f"{answer.said}{hint}", f"{answer.said}{hint}")

    async def _forward(
        self, target: Target, row: SandboxRow, tools: Toolset
    ) -> AsyncIterator[Step]:
        """Best effort: no port is a reason to fail."""
        if not self._table.forwards:
            yield skipped_step("forward", "switched off for this source", self._clock)
            return
        listed = await self._client.registry()
        stage = StepBuilder("forward", self._clock, FORWARDS_S)
        yield stage.begun
        repair = ForwardRepair(self._cli, self._client, target, tools)
        try:
            async with asyncio.timeout(FORWARDS_S):
                told = await repair.run(row, listed)
        except (TimeoutError, UnavailableError) as error:
            detail = str(error) or f"not done within {FORWARDS_S:g} s"
            yield stage.not_done(detail, "its forwards may not be mended")
            return
        if told.failed:
            yield stage.not_done("; ".join(told.failed), _not_mended(told))
        elif told.done:
            ports = ", ".join(told.done)
            yield stage.ok(ports, outcome=f"the forward of {ports} was mended")
        else:
            yield stage.skipped("no port needs it")


def _not_mended(told: RepairedForwards) -> str:
    done = f"the forward of {', '.join(told.done)} was mended; " if told.done else ""
    ports = [one.split(":")[0] for one in told.failed if not one.startswith("other ports")]
    if not ports:
        return (
            f"{done}its other forwards may not be mended"
            if done
            else ("its forwards may not be mended")
        )
    return f"{done}the forward of {', '.join(ports)} was not mended"
