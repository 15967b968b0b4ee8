"""The rows of a cluster's pods: judged when they change, the newest warning with what is stuck.

A warning is one bounded request for a pod, twice a minute at most (upstream/pods: Events).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError
from services.models import GatewayId, Sandbox, SandboxId, SandboxState, seen_again
from services.net.http import ApiError, Http
from services.sources.pods import evidence, judge
from services.sources.pods.judge import instant
from services.sources.pods.judgement import row
from services.sources.pods.pod import EventList, Pod, PodEvent, read_events
from services.sources.pods.watch import PodWatch
from services.text.sanitize import sanitize

_STEADY = frozenset({SandboxState.READY, SandboxState.BROKEN, SandboxState.ASLEEP})
"""States that no passing of time changes."""
_TOLD = 60
"""A warning whose first characters stand in the reason already adds nothing to it."""
_AT_ONCE = 250
"""Rows made before giving way: thousands of pods hold up no key."""
EVENTS_AGAIN_S = 30.0
REFUSED_S = 300.0
"""So long nothing is asked where this user may not read events."""
EVENTS_AT_ONCE = 8
"""Pods asked for in one look; the others have their turn in the next ones."""
_MOST_EVENTS = 50


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


class StuckEvents:
    """The newest warnings of pods, by the pod's uid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._refused_until = 0.0

    def of(self, pod: Pod) -> str:
        """What was said last of a pod; empty where nothing was."""
        return self._said.get(pod.metadata.uid, "")

    async def refresh(self, http: Http, stuck: Sequence[Pod], limit_s: float) -> None:
        """Ask for those whose turn it is; what is not stuck any more is forgotten."""
        now = self._clock.monotonic()
        stuck = [pod for pod in stuck if pod.metadata.uid]
        kept = {pod.metadata.uid for pod in stuck}
        self._asked = {uid: at for uid, at in self._asked.items() if uid in kept}
        self._said = {uid: said for uid, said in self._said.items() if uid in kept}
        if now < self._refused_until:
            return
        due = [
            pod
            for pod in stuck
            if now - self._asked.get(pod.metadata.uid, -EVENTS_AGAIN_S) >= EVENTS_AGAIN_S
        ]
        due.sort(key=lambda pod: self._asked.get(pod.metadata.uid, 0.0))
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(self._ask(http, pod, now) for pod in due[:EVENTS_AT_ONCE]))

    async def _ask(self, http: Http, pod: Pod, now: float) -> None:
        uid = pod.metadata.uid
        self._asked[uid] = now
        path = f"/api/v1/namespaces/{quote(pod.metadata.namespace, safe='')}/events"
        query = (
            ("fieldSelector", f"involvedObject.uid={uid},type=Warning"),
            ("limit", str(_MOST_EVENTS)),
        )
        try:
            said = newest(read_events(await http.get(path, query)), uid)
        except ApiError as error:
            if error.status == 403:
                self._refused_until = now + REFUSED_S
            return
        except (UnavailableError, UnfitError):
            return
        if said:
            self._said[uid] = said


def newest(events: EventList, uid: str) -> str:
    """The newest warning of a pod, in a line; empty where there is none."""
    warnings = [
        one for one in events.items if one.type == "Warning" and one.involved_object.uid == uid
    ]
    if not warnings:
        return ""
    last = max(warnings, key=_at)
    times = f" ({last.count} times)" if last.count and last.count > 1 else ""
    return f"{sanitize(last.reason or 'Warning', 60)}: {sanitize(last.message or '', 200)}{times}"


def _at(event: PodEvent) -> float:
    series = event.series.last_observed_time if event.series is not None else None
    told = (series, event.last_timestamp, event.event_time, event.metadata.creation_timestamp)
    return next((at for at in map(instant, told) if at is not None), 0.0)
