"""The proof that a sandbox runs commands: Ready alone can be a lie (upstream/openshell: Phases)."""

from __future__ import annotations

import math

from services.lazy_dataclass import dataclass
from services.sources.openshell.cli import Cli
from services.sources.openshell.cli_text import ErrorKind
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import scope
from services.sources.openshell.records import Target
from services.sources.protocol.verdict import Verdict, VerdictKind

_REMOTE_S = 10


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How one act went: `problem` is empty where it did what it should."""

    problem: str = ""
    transient: bool = False
    said: str = ""


async def prove(cli: Cli, target: Target, tools: Toolset, limit_s: float) -> CommandResult:
    """Run `true` in it; only where an operator asked, never with every look."""
    if not tools.exec:
        return CommandResult(said="ready; this openshell has no exec to prove it with")
    answer = await cli.run(
        *(*scope(target, tools), "sandbox", "exec", "-n", target.name),
        *("--timeout", str(min(_REMOTE_S, math.ceil(limit_s))), "--no-tty", "--", "true"),
        limit_s=limit_s,
        gateway=target.gateway,
    )
    if answer.code == 0:
        return CommandResult(said="a command ran in it")
    if answer.timed_out:
        why = f"no command ran in it within {limit_s:g} s"
        return CommandResult(f"{target.name} is listed as ready, but {why}", transient=True)
    passing = answer.error_kind in (ErrorKind.SUPERVISOR, ErrorKind.PHASE)
    problem = f"{target.name} is listed as ready, but runs no command: {answer.error_text}"
    return CommandResult(problem, transient=passing)


async def proven(
    cli: Cli, target: Target, tools: Toolset, listed: Verdict, limit_s: float
) -> Verdict:
    """A verdict of ready only with its proof; any other as it is."""
    if listed.kind is not VerdictKind.READY:
        return listed
    proof = await prove(cli, target, tools, limit_s)
    if not proof.problem:
        return listed
    if proof.transient:
        return Verdict(VerdictKind.SETTLING, f"{proof.problem}.")
    return Verdict(
        VerdictKind.TERMINAL,
        f"{proof.problem}.",
        advice=f"Its logs say more: openshell logs {target.name} -n 200.",
    )
