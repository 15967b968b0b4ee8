"""Brings dead forwarded ports of one sandbox back; leaves every other port alone.

See upstream/openshell: Forwards. For the operator's attempts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from services.lazy_dataclass import dataclass
from services.sources.openshell import forwards, nemoclaw_cli
from services.sources.openshell.cli import Cli, CliResult
from services.sources.openshell.cli_text import normalize_text
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.gather import gather
from services.sources.openshell.nemoclaw_registry import NemoclawEntry, NemoclawRegistry
from services.sources.openshell.records import Forward, SandboxRow, Target
from services.sources.openshell.sandbox_judge import Reconciled

FORWARD_S = 5.0
GET_S = 5.0


@dataclass(slots=True)
class RepairedForwards:
    """What was done, and what could not be or is not known, each as a clause."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class ForwardRepair:
    """The forward step of one sandbox."""

    def __init__(self, cli: Cli, client: OpenShellClient, target: Target, tools: Toolset) -> None:
        self._cli = cli
        self._client = client
        self._target = target
        self._tools = tools

    async def run(self, row: SandboxRow, listed: NemoclawRegistry) -> RepairedForwards:
        """Stop and start what is dead, and start what NemoClaw notes and nobody forwards.

        Raises:
            UnavailableError: openshell cannot be run.
        """
        told = RepairedForwards()
        there = await self._client.forwards(self._tools)
        if there.problem:
            told.failed.append(f"other ports: {there.problem}")
        named = [one for one in there.rows if one.of(self._target)]
        owners = await self._owners(row, listed, named)
        mine = [one for one in named if owners.owned(one, self._target)]
        for one in named:
            if one not in mine and not one.alive and owners.unassigned(one):
                told.failed.append(
                    f"port {one.port}: a forward of {one.sandbox}, gateway not known"
                )
        entry = listed.entry(self._target.gateway, self._target.name)
        # Where not all are known, what NemoClaw notes may well be forwarded already.
        noted = () if there.problem else self._noted(entry, there.rows)
        noted = await self._without_receipts(noted, told)
        for one in (*(one for one in mine if not one.alive), *noted):
            await self._mend(one, told)
        return told

    async def _owners(
        self, row: SandboxRow, listed: NemoclawRegistry, named: Sequence[Forward]
    ) -> forwards.Owners:
        """Who may own them; the other gateways are asked only where a file does not tell."""
        known: dict[Target, str] = {
            Target(one.gateway, one.name): ""
            for one in listed.entries
            if one.name == self._target.name
        }
        known[self._target] = row.id
        if any(not (one.id and row.id) for one in named):
            others = await self._client.registrations(self._tools)
            away = [
                Target(one.name, self._target.name)
                for one in others
                if one.name != self._target.gateway
            ]
            answers = await gather(*(self._client.sandbox(one, self._tools, GET_S) for one in away))
            for other, answer in zip(away, answers, strict=True):
                if answer.found not in (Reconciled.MISSING, Reconciled.GATEWAY_MISSING):
                    # One that does not answer may have it: then the name alone proves nothing.
                    known[other] = "" if answer.row is None else answer.row.id
        return forwards.Owners(known.items())

    def _noted(self, entry: NemoclawEntry | None, there: Sequence[Forward]) -> tuple[Forward, ...]:
        """The ports of NemoClaw's entry that nothing forwards."""
        ports = () if entry is None else entry.ports
        taken = {one.port for one in there}
        return tuple(
            Forward(self._target.name, "", port, alive=True) for port in ports if port not in taken
        )

    async def _without_receipts(
        self, noted: Sequence[Forward], told: RepairedForwards
    ) -> tuple[Forward, ...]:
        """The ports that NemoClaw does not forward itself; its own are left alone."""
        held = {one.port: one for one in await self._client.receipts()}
        left = []
        for one in noted:
            receipt = held.get(one.port)
            if receipt is None or (not receipt.alive and nemoclaw_cli.locate() is None):
                left.append(one)
            elif not receipt.alive:
                told.failed.append(
                    f"port {one.port}: NemoClaw's forward is gone, and NemoClaw can repair it"
                )
        return tuple(left)

    async def _mend(self, one: Forward, told: RepairedForwards) -> None:
        name = self._target.name
        if not one.alive:
            await self._forward("stop", str(one.port), name)
        if await forwards.listens(one.bind, one.port):
            told.failed.append(f"port {one.port}: {await forwards.holder(one.port)}")
            return
        answer = await self._forward("start", "--background", one.place, name)
        if answer.code == 0 or _already_ours(answer, one.port, name):
            told.done.append(f"port {one.port}")
        else:
            why = "no answer in time" if answer.timed_out else answer.error_text
            told.failed.append(f"port {one.port}: {why}")

    async def _forward(self, verb: str, *given: str) -> CliResult:
        return await self._cli.run(
            *(*scope(self._target, self._tools), "forward", verb, *given),
            limit_s=FORWARD_S,
            gateway=self._target.gateway,
        )


def _already_ours(answer: CliResult, port: int, sandbox: str) -> bool:
    said = normalize_text(answer.text).lower()
    return f"port {port} is already forwarded to sandbox '{sandbox}'".lower() in said
