"""What a cluster says of the pods that are stuck: their newest warning, asked for them alone.

One bounded request for a pod, twice a minute at most (upstream/pods: Events).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError
from services.sources.pods.http import ApiError, Http
from services.sources.pods.judge import instant
from services.sources.pods.pod import EventList, Pod, PodEvent, read_events
from services.text.sanitize import sanitize

AGAIN_S = 30.0
REFUSED_S = 300.0
"""So long nothing is asked where this user may not read events."""
AT_ONCE = 8
"""Pods asked for in one look; the others have their turn in the next ones."""
_LARGEST = 50


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
        due = [pod for pod in stuck if now - self._asked.get(pod.metadata.uid, -AGAIN_S) >= AGAIN_S]
        due.sort(key=lambda pod: self._asked.get(pod.metadata.uid, 0.0))
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(self._ask(http, pod, now) for pod in due[:AT_ONCE]))

    async def _ask(self, http: Http, pod: Pod, now: float) -> None:
        uid = pod.metadata.uid
        self._asked[uid] = now
        path = f"/api/v1/namespaces/{quote(pod.metadata.namespace, safe='')}/events"
        query = (
            ("fieldSelector", f"involvedObject.uid={uid},type=Warning"),
            ("limit", str(_LARGEST)),
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
