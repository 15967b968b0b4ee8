"""What is worth knowing of a sandbox beyond its row, gathered a few at a time and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.errors import UnavailableError
from services.models import Facts
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import GatewayLook, Looking
from services.sources.openshell.gather import together
from services.sources.openshell.records import SandboxRow, Target, safe_name
from services.sources.openshell.rows import target_of

AT_A_TIME = 2
"""Sandboxes looked at more closely in one round; the ones asked longest ago come first."""
ROUND_S = 1.5
"""How much longer one round may take for it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    asked: int = 0
    rules: Facts = ()
    version: tuple[str, str] | None = None
    """Of what `details` were asked."""
    details: Facts = ()


class Dossiers:
    """Of ready sandboxes: rules that wait, asked again and again; details, once a revision."""

    def __init__(self, looking: Looking) -> None:
        self._looking = looking
        self._kept: dict[str, _Kept] = {}
        self._round = 0

    async def more(self, looks: Sequence[GatewayLook], tools: Toolset) -> dict[str, Facts]:
        """What is known of every sandbox that is there now; asks for a few anew."""
        self._round += 1
        ready = [
            (target_of(look.registration.name, row), row)
            for look in looks
            for row in look.rows or ()
            if row.phase == "Ready" and safe_name(row.name)
        ]
        there = {target.native for target, _ in ready}
        self._kept = {name: kept for name, kept in self._kept.items() if name in there}
        ready.sort(key=lambda one: self._asked(one[0]))
        try:
            async with asyncio.timeout(ROUND_S):
                await together(
                    *(self._ask(target, row, tools) for target, row in ready[:AT_A_TIME])
                )
        except TimeoutError:
            pass  # The rows themselves are complete without it.
        return self.known()

    def known(self) -> dict[str, Facts]:
        """What is known so far."""
        return {name: kept.rules + kept.details for name, kept in self._kept.items()}

    def _asked(self, target: Target) -> int:
        return self._kept.get(target.native, _Kept()).asked

    async def _ask(self, target: Target, row: SandboxRow, tools: Toolset) -> None:
        kept = replace(self._kept.get(target.native, _Kept()), asked=self._round)
        self._kept[target.native] = kept
        try:
            kept = replace(kept, rules=await self._looking.rules(target, tools))
            version = (row.revision, row.policy_version)
            if version != kept.version:
                details = await self._looking.details(target, tools)
                kept = replace(kept, version=version, details=details)
        except UnavailableError:
            return
        self._kept[target.native] = kept
