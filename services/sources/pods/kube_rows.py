"""The rows of a cluster's pods: judged when they change, the newest warning with what is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from services.clock import Clock
from services.models import GatewayId, Sandbox, SandboxId, SandboxState, seen_again
from services.net.http import Http
from services.sources.pods import evidence, judge
from services.sources.pods.events import StuckEvents
from services.sources.pods.judgement import row
from services.sources.pods.pod import Pod
from services.sources.pods.watch import PodWatch

_STEADY = frozenset({SandboxState.READY, SandboxState.BROKEN, SandboxState.ASLEEP})
"""States that no passing of time changes."""
_TOLD = 60
"""A warning whose first characters stand in the reason already adds nothing to it."""
_AT_ONCE = 250
"""Rows made before giving way: thousands of pods hold up no key."""


class PodRows:
    """Makes the rows of one look; remembers the last one's."""

    def __init__(self, source: str, clock: Clock) -> None:
        self._source = source
        self._judged: dict[str, tuple[Pod, Sandbox]] = {}
        self._events = StuckEvents(clock)

    async def rows(
        self,
        listed: Sequence[tuple[PodWatch, Mapping[str, Pod]]],
        front: GatewayId,
        now: float,
        folded: Collection[str] = (),
    ) -> tuple[Sandbox, ...]:
        """A row for each pod but the `folded`; those that did not change are not judged again.

        `listed` is what each watch had: rows and `folded` are of the same instant.
        """
        known, self._judged = self._judged, {}
        rows: list[Sandbox] = []
        for watch, pods in listed:
            for name, pod in pods.items():
                if name in folded:
                    continue
                seen_at = watch.seen_at(name, now)
                before = known.get(name)
                if before is not None and before[0] is pod and before[1].state in _STEADY:
                    row = seen_again(before[1], seen_at)
                else:
                    row = self.row(pod, front, seen_at)
                self._judged[name] = (pod, row)
                rows.append(row)
                if len(rows) % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        return tuple(rows)

    async def with_events(
        self, rows: tuple[Sandbox, ...], http: Http, limit_s: float
    ) -> tuple[Sandbox, ...]:
        """The same, what is stuck with the cluster's own word on it."""
        stuck = {one.id: one for one in rows if one.state is SandboxState.STUCK}
        pods = [self._judged[one.native_id][0] for one in stuck]
        await self._events.refresh(http, pods, limit_s)
        for id, pod in zip(stuck, pods, strict=True):
            if said := self._events.of(pod):
                one = stuck[id]
                facts = (*one.evidence, ("last warning", said))
                told = said.partition(": ")[2][:_TOLD] in one.reason
                reason = one.reason if told else f"{said}; {one.reason}"
                stuck[id] = replace(one, reason=reason, evidence=facts)
        return tuple(stuck.get(one.id, one) for one in rows) if stuck else rows

    def row(self, pod: Pod, front: GatewayId, now: float) -> Sandbox:
        """One row, judged at `now` (epoch)."""
        id = SandboxId(self._source, pod.native_id)
        return row(id, pod.metadata.name, judge.judge(pod, now), front, now, evidence.evidence(pod))

    def forget(self) -> None:
        """Judge everything anew the next time."""
        self._judged = {}
