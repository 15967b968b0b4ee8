"""The few calls that change something: select, start, forward; and the proof that it worked."""

from __future__ import annotations

from services.errors import ProcessError
from services.process.run import run
from services.sources.openshell.cli import Answer, Cli, environment
from services.sources.openshell.cli_text import complaint, normalised
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import Looking, scope
from services.sources.openshell.nemoclaw_registry import Entry
from services.sources.openshell.proof import Outcome, prove
from services.sources.openshell.records import Forward, Target
from services.sources.openshell.start_plan import StartPlan

SELECT_S = 5.0
START_S = 150.0
WAIT_S = 60.0
SANDBOX_S = 90.0
PROOF_S = 18.0
"""Limits within a wake, 323 s in all: below the wake's own."""
GET_S = 8.0
FORWARD_S = 5.0
FORWARDS_S = 18.0
"""All of the forward step, however many ports there are."""


class Doing:
    """The acts of one source; only an attempt the operator asked for gets here."""

    def __init__(self, cli: Cli, looking: Looking) -> None:
        self._cli = cli
        self._looking = looking

    async def select(self, gateway: str) -> Outcome:
        """Make it the active gateway of the CLI."""
        answer = await self._cli.run("gateway", "select", gateway, limit_s=SELECT_S)
        return _outcome(answer, f"the gateway {gateway} cannot be selected")

    async def start_gateway(self, name: str, plan: StartPlan) -> Outcome:
        """Carry the plan out; it proves nothing yet."""
        if plan.by_cli:
            answer = await self._cli.run(*plan.argv, limit_s=START_S)
            return _outcome(answer, f"the gateway {name} does not start")
        try:
            done = await run(plan.argv, timeout_s=START_S, env=environment())
        except ProcessError as error:
            return Outcome(error.sentence)
        if done.code == 0:
            return Outcome()
        if done.code is None:
            return Outcome(f"the start command was still running after {START_S:g} s")
        said = complaint(done.stderr.decode("utf-8", "replace")) or f"status {done.code}"
        return Outcome(f"the start command failed: {said}")

    async def start_sandbox(self, target: Target, tools: Toolset) -> Outcome:
        """Start a stopped one and wait for Ready."""
        answer = await self._cli.run(
            *(*scope(target, tools), "sandbox", "start", target.name),
            limit_s=SANDBOX_S,
            gateway=target.gateway,
            extra={"OPENSHELL_LIFECYCLE_TIMEOUT": str(int(SANDBOX_S - 5))},
        )
        return _outcome(answer, f"the sandbox {target.name} does not start")

    async def prove(self, target: Target, tools: Toolset) -> Outcome:
        """Run `true` in it: Ready alone can be a lie (upstream/openshell: Phases)."""
        return await prove(self._cli, target, tools, PROOF_S)

    async def repair_forwards(
        self, target: Target, tools: Toolset, entry: Entry | None
    ) -> tuple[list[str], list[str]]:
        """Bring dead ports of the sandbox back; what was done, and what could not be."""
        there = await self._looking.forwards()
        mine = [one for one in there if one.sandbox == target.name]
        wanted = [one for one in mine if not one.alive]
        if entry is not None and entry.port not in {one.port for one in mine}:
            wanted.append(Forward(target.name, "", entry.port, alive=True))
        done: list[str] = []
        failed: list[str] = []
        for one in wanted:
            if not one.alive:
                await self._forward("stop", (str(one.port), target.name), target, tools)
            answer = await self._forward(
                "start", ("--background", one.place, target.name), target, tools
            )
            mended = answer.code == 0 or _already_ours(answer, one.port, target.name)
            (done if mended else failed).append(
                f"port {one.port}" if mended else f"port {one.port}: {answer.complaint}"
            )
        return done, failed

    async def _forward(
        self, verb: str, given: tuple[str, ...], target: Target, tools: Toolset
    ) -> Answer:
        return await self._cli.run(
            *(*scope(target, tools), "forward", verb, *given),
            limit_s=FORWARD_S,
            gateway=target.gateway,
        )


def _outcome(answer: Answer, what: str) -> Outcome:
    if answer.code == 0:
        return Outcome()
    if answer.timed_out:
        return Outcome(f"{what}: no end in sight after {answer.took_s:.0f} s")
    return Outcome(f"{what}: {answer.complaint}")


def _already_ours(answer: Answer, port: int, sandbox: str) -> bool:
    said = normalised(answer.text).lower()
    return f"port {port} is already forwarded to sandbox '{sandbox}'".lower() in said
