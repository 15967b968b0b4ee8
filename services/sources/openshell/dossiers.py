"""What is worth knowing of a sandbox beyond its row, gathered a few at a time and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.errors import UnavailableError
from services.models import Facts
from services.sources.openshell.looking import GatewayLook, Looking
from services.sources.openshell.portrait import target_of
from services.sources.openshell.shapes import SandboxRow, Target, safe_name
from services.sources.openshell.toolset import Toolset

AT_A_TIME = 2
"""Sandboxes looked at more closely in one round; the ones asked longest ago come first."""
ROUND_S = 1.5
"""How much longer one round may take for it."""


@dataclass(slots=True)
class _Kept:
    asked: int
    facts: Facts


class Dossiers:
    """Policy and waiting network rules of ready sandboxes, by identity."""

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
                await asyncio.gather(
                    *(self._ask(target, row, tools) for target, row in ready[:AT_A_TIME])
                )
        except TimeoutError:
            pass  # The rows themselves are complete without it.
        return self.known()

    def known(self) -> dict[str, Facts]:
        """What is known so far."""
        return {name: kept.facts for name, kept in self._kept.items()}

    def _asked(self, target: Target) -> int:
        kept = self._kept.get(target.native)
        return 0 if kept is None else kept.asked

    async def _ask(self, target: Target, row: SandboxRow, tools: Toolset) -> None:
        old = self._kept.get(target.native)
        self._kept[target.native] = _Kept(self._round, () if old is None else old.facts)
        try:
            facts = await self._looking.dossier(target, tools)
        except UnavailableError:
            return
        self._kept[target.native] = _Kept(self._round, facts)
