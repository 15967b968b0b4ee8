"""The policy of a sandbox as its details show it: rules that wait, the whole of it, decisions.

See upstream/openshell: Network rules. Read-only.
"""

from __future__ import annotations

import re

from services.errors import UnavailableError
from services.models import Facts
from services.sources.openshell import lists
from services.sources.openshell.cli import PROBE_S, Cli
from services.sources.openshell.cli_text import strip_colours
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import scope
from services.sources.openshell.gather import gather
from services.sources.openshell.records import Target
from services.text.format import clock_time
from services.text.sanitize import sanitize

POLICY_LINES = 400
"""Lines of a policy that are shown."""
RULES = "network rules"
"""The fact that names the rules that wait for a decision."""
_MOST_DECISIONS = 20
_MOST_HAPPENED = 20
_HAPPENED = re.compile(r"(\d{1,7})d (\d\d):(\d\d) ([a-z_]{1,40} .{0,400})")
"""Days since the epoch, the time of day, what happened, [chunk] and words."""


class DecidedRules:
    """Decisions made from this panel while it runs; the journal keeps them for longer."""

    def __init__(self) -> None:
        self._told: dict[str, list[tuple[str, str]]] = {}

    def note(self, target: Target, what: str, at: float) -> None:
        """A rule was decided at an instant in epoch seconds."""
        told = self._told.setdefault(target.native, [])
        told.append(("decided from here", f"{what}, {clock_time(at, with_date=True)}"))
        del told[:-_MOST_DECISIONS]

    def facts(self, native: str) -> Facts:
        """The decisions about one sandbox, oldest first."""
        return tuple(self._told.get(native, ()))


class PolicyReader:
    """Reads rules and policy through the CLI."""

    def __init__(self, cli: Cli) -> None:
        self._cli = cli

    async def rules(self, target: Target, tools: Toolset) -> Facts:
        """The network rules of a sandbox that wait for a decision; empty where none does.

        Raises:
            UnavailableError: openshell cannot be run.
        """
        answer = await self._cli.run(
            *(*scope(target, tools), "rule", "get", target.name, "--status", "pending"),
            limit_s=PROBE_S,
            gateway=target.gateway,
        )
        waiting = pending(answer.stdout) if answer.code == 0 else ""
        return ((RULES, waiting),) if waiting else ()

    async def details(self, target: Target, tools: Toolset) -> Facts:
        """The policy and the settings of a sandbox.

        Raises:
            UnavailableError: openshell cannot be run.
        """
        named = scope(target, tools)
        got, settings = await gather(
            self._cli.run(
                *(*named, "sandbox", "get", target.name), limit_s=PROBE_S, gateway=target.gateway
            ),
            self._cli.run(
                *(*named, "settings", "get", target.name), limit_s=PROBE_S, gateway=target.gateway
            ),
        )
        facts: list[tuple[str, str]] = []
        if got.code == 0:
            told = lists.fields(got.stdout)
            facts += [
                (name, told[name]) for name in ("policy source", "revision") if told.get(name)
            ]
            facts += [
                ("policy", line) for line in lists.indented(got.stdout, "Policy:")[:POLICY_LINES]
            ]
        if settings.code == 0 and (said := lists.fields(settings.stdout).get("settings")):
            facts.append(("settings", said))
        return tuple(facts)

    async def history(self, target: Target, tools: Toolset) -> Facts:
        """What the gateway itself keeps of decided rules, newest first; empty where it cannot tell.

        Raises:
            UnavailableError: openshell cannot be run.
        """
        if not tools.rule_history:
            return ()
        answer = await self._cli.run(
            *(*scope(target, tools), "rule", "history", target.name),
            limit_s=PROBE_S,
            gateway=target.gateway,
        )
        return rule_history(answer.stdout) if answer.code == 0 else ()

    async def policy(self, target: Target, tools: Toolset) -> tuple[str, list[str]]:
        """The revision and the lines of the policy as it is now.

        Raises:
            UnavailableError: it could not be had.
        """
        answer = await self._cli.run(
            *(*scope(target, tools), "sandbox", "get", target.name),
            limit_s=PROBE_S,
            gateway=target.gateway,
        )
        if answer.code != 0 or answer.truncated:
            why = "no answer in time" if answer.timed_out else answer.error_text
            raise UnavailableError(f"The policy of {target.name} is not known: {why}.")
        revision = lists.fields(answer.stdout).get("revision", "")
        return revision, lists.indented(answer.stdout, "Policy:")


def rule_history(text: str) -> Facts:
    """The happenings of a printed history, newest first; a line of another shape is counted."""
    lines = [line.strip() for line in strip_colours(text).splitlines() if line.strip()]
    if not lines or not lines[0].startswith("Rule History:"):
        return ()
    happened: list[tuple[int, str]] = []
    for line in lines[1:]:
        if found := _HAPPENED.fullmatch(line):
            days, hours, minutes = (int(found[n]) for n in (1, 2, 3))
            at = days * 86_400 + hours * 3600 + minutes * 60
            said = sanitize(found[4], 160)
            happened.append((at, f"{clock_time(at, with_date=True)[:-3]} {said}"))
    odd = len(lines) - 1 - len(happened)
    happened.sort(key=lambda one: one[0], reverse=True)
    left = len(happened) - _MOST_HAPPENED
    told = [("rule history", said) for _, said in happened[:_MOST_HAPPENED]]
    if left > 0:
        told.append(("rule history", f"{left} older ones"))
    if odd:
        told.append(("rule history", f"{odd} {'line' if odd == 1 else 'lines'} not understood"))
    return tuple(told)


def pending(text: str) -> str:
    """How many rules a list of pending ones has and what they are called; empty for none."""
    told = [line.strip() for line in strip_colours(text).splitlines()]
    count = sum(line.startswith("Chunk:") for line in told)
    if not count:
        return ""
    names = [line.removeprefix("Rule:").strip() for line in told if line.startswith("Rule:")]
    return sanitize(f"{count} waiting: {', '.join(names)}", 160)
