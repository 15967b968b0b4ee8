"""CLI calls that change something: select, start, forward; and the proof that they worked."""

from __future__ import annotations

from services.errors import ProcessError
from services.process.run import run
from services.sources.openshell.cli import Cli, CliResult, environment
from services.sources.openshell.cli_text import error_text
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.proof import CommandResult, prove
from services.sources.openshell.records import Target
from services.sources.openshell.start_plan import StartPlan

SELECT_S = 5.0
START_S = 150.0
WAIT_S = 60.0
SANDBOX_S = 90.0
PROOF_S = 18.0
"""Limits within a wake, 323 s in all: below the wake's own."""
GET_S = 8.0
FORWARDS_S = 18.0
"""All of the forward step, however many ports there are."""


class OpenShellCommands:
    """The changing CLI calls of one source; for the operator's attempts alone."""

    def __init__(self, cli: Cli, client: OpenShellClient) -> None:
        self._cli = cli
        self._client = client

    async def select(self, gateway: str) -> CommandResult:
        """Make it the active gateway of the CLI."""
        answer = await self._cli.run("gateway", "select", gateway, limit_s=SELECT_S)
        return _outcome(answer, f"the gateway {gateway} cannot be selected")

    async def start_gateway(self, name: str, plan: StartPlan) -> CommandResult:
        """Carry the plan out; it proves nothing yet."""
        if plan.by_cli:
            answer = await self._cli.run(*plan.argv, limit_s=START_S)
            return _outcome(answer, f"the gateway {name} does not start")
        try:
            done = await run(plan.argv, timeout_s=START_S, env=environment())
        except ProcessError as error:
            return CommandResult(error.sentence)
        if done.code == 0:
            return CommandResult()
        if done.code is None:
            return CommandResult(f"the start command was still running after {START_S:g} s")
        said = error_text(done.stderr.decode("utf-8", "replace")) or f"status {done.code}"
        return CommandResult(f"the start command failed: {said}")

    async def start_sandbox(self, target: Target, tools: Toolset) -> CommandResult:
        """Start a stopped one and wait for Ready."""
        answer = await self._cli.run(
            *(*scope(target, tools), "sandbox", "start", target.name),
            limit_s=SANDBOX_S,
            gateway=target.gateway,
            extra={"OPENSHELL_LIFECYCLE_TIMEOUT": str(int(SANDBOX_S - 5))},
        )
        return _outcome(answer, f"the sandbox {target.name} does not start")

    async def prove(self, target: Target, tools: Toolset) -> CommandResult:
        """Run `true` in it: Ready alone can be a lie (upstream/openshell: Phases)."""
        return await prove(self._cli, target, tools, PROOF_S)


def _outcome(answer: CliResult, what: str) -> CommandResult:
    if answer.code == 0:
        return CommandResult()
    if answer.timed_out:
        return CommandResult(f"{what}: no end in sight after {answer.took_s:.0f} s")
    return CommandResult(f"{what}: {answer.error_text}")
