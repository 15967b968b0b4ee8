"""Details of sandboxes beyond their rows, read a few at a time and cached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.errors import UnavailableError
from services.models import Facts
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import GatewayProbe, OpenShellClient
from services.sources.openshell.gather import gather
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


class DetailsCache:
    """Pending rules of ready sandboxes, and details once a revision."""

    def __init__(self, client: OpenShellClient) -> None:
        self._client = client
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
        return {name: kept.rules + kept.details for name, kept in self._kept.items()}

    def _asked(self, target: Target) -> int:
        return self._kept.get(target.native, _CachedDetails()).asked

    async def _ask(self, target: Target, row: SandboxRow, tools: Toolset) -> None:
        kept = replace(self._kept.get(target.native, _CachedDetails()), asked=self._round)
        self._kept[target.native] = kept
        try:
            kept = replace(kept, rules=await self._client.rules(target, tools))
            version = (row.revision, row.policy_version)
            if version != kept.version:
                details = await self._client.details(target, tools)
                kept = replace(kept, version=version, details=details)
        except UnavailableError:
            return
        self._kept[target.native] = kept
