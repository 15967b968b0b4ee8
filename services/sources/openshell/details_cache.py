"""What is asked of ready sandboxes beyond their rows: a few in each round, the rest from before.

See upstream/openshell: Network rules. Read-only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.models import Facts
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import GatewayProbe
from services.sources.openshell.gather import gather
from services.sources.openshell.policy import PolicyReader
from services.sources.openshell.records import SandboxRow, Target, safe_name
from services.sources.openshell.rows import target_of

AT_A_TIME = 2
"""Sandboxes looked at more closely in one round; the ones asked longest ago come first."""
ROUND_S = 1.5
"""How much longer one round may take for it."""


@dataclass(frozen=True, slots=True)
class _CachedDetails:
    asked: int = 0
    rules: Facts = ()
    version: tuple[str, str] | None = None
    """Of what `details` were asked."""
    details: Facts = ()
    history: Facts | None = None
    """None until it was asked for; a decision changes what waits, and so asks again."""

    @property
    def facts(self) -> Facts:
        return self.rules + self.details + (self.history or ())


class DetailsCache:
    """Pending rules of ready sandboxes, and details once a revision."""

    def __init__(self, policies: PolicyReader) -> None:
        self._policies = policies
        self._kept: dict[str, _CachedDetails] = {}
        self._round = 0

    async def update(self, probes: Sequence[GatewayProbe], tools: Toolset) -> dict[str, Facts]:
        """What is known of every sandbox that is there now; asks for a few anew."""
        self._round += 1
        ready = [
            (target_of(probe.registration.name, row), row)
            for probe in probes
            for row in probe.rows or ()
            if row.phase == "Ready" and safe_name(row.name)
        ]
        there = {target.native for target, _ in ready}
        self._kept = {name: kept for name, kept in self._kept.items() if name in there}
        ready.sort(key=lambda one: self._asked(one[0]))
        try:
            async with asyncio.timeout(ROUND_S):
                await gather(*(self._ask(target, row, tools) for target, row in ready[:AT_A_TIME]))
        except TimeoutError:
            pass  # The rows themselves are complete without it.
        return self.cached()

    def cached(self) -> dict[str, Facts]:
        """What is known so far."""
        return {
            name: kept.rules + kept.details + (kept.history or ())
            for name, kept in self._kept.items()
        }

    def _asked(self, target: Target) -> int:
        return self._kept.get(target.native, _CachedDetails()).asked

    async def _ask(self, target: Target, row: SandboxRow, tools: Toolset) -> None:
        kept = replace(self._kept.get(target.native, _CachedDetails()), asked=self._round)
        self._kept[target.native] = kept
        try:
            before, rules = kept.rules, await self._policies.rules(target, tools)
            kept = replace(kept, rules=rules)
            version = (row.revision, row.policy_version)
            if version != kept.version:
                details = await self._policies.details(target, tools)
                kept = replace(kept, version=version, details=details, history=None)
            if kept.history is None or rules != before:
                kept = replace(kept, history=await self._policies.history(target, tools))
        except UnavailableError:
            return
        self._kept[target.native] = kept
