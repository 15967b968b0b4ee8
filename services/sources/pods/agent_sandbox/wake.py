"""Wakes one sandbox: one field is patched, once, and its way back is followed by the watch.

See upstream/agent-sandbox: Wake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.files.bounded import UnfitError
from services.models import SandboxState, Step
from services.net.http import ApiError
from services.sources.pods.agent_sandbox.backing import (
    backing_pod,
    owned_pods,
    read_one_sandbox,
    sandbox_path,
)
from services.sources.pods.agent_sandbox.judge import judge, time_left
from services.sources.pods.agent_sandbox.judgement import Evidence, SandboxJudgement
from services.sources.pods.agent_sandbox.records import (
    GROUP,
    SandboxResource,
    read_sandbox,
    sandbox_kind,
)
from services.sources.pods.listing import Watchable, WatchedKind
from services.sources.pods.pod import Pod
from services.sources.pods.watch import PODS, ResourceWatch
from services.sources.pods.writes import WritingHttp
from services.sources.protocol.steps import StepBuilder
from services.sources.protocol.verdict import VerdictKind
from services.text.format import duration
from services.text.sanitize import sanitize

PATCH_S = 15.0
FOLLOW_S = 340.0
"""So long a way back is followed: images are pulled on it."""
LOOK_S = 1.0
"""Between two looks where no change came: judgements lapse by the clock, too."""


T = TypeVar("T", bound=Watchable)
STAGES = ("pod", "schedule", "pull", "ready")
"""Its pod is made, gets a node, its containers run, the controller calls it ready."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long trouble on the way back has to last before it is the end, in seconds."""

    pod_s: float = 20.0
    """A container that cannot run."""
    room_s: float = 60.0
    """No node for it: a cluster may be making one."""


class SandboxWake:
    """One wake of one sandbox."""

    def __init__(
        self,
        http: WritingHttp,
        version: str,
        namespace: str,
        name: str,
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        self._http = http
        self._version = version
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._patience = patience or Patience()
        self._patched_at: float | None = None

    async def steps(self) -> AsyncGenerator[Step]:
        """The patch, then the stages of its way back.

        Raises:
            UnavailableError, NotFoundError: it could not be read before anything was done.
        """
        step = StepBuilder("start", self._clock, PATCH_S, critical=True)
        yield step.begun
        before = await self._read()
        found = judge(Evidence(before), self._clock.now())
        if found.wake is VerdictKind.TERMINAL or found.wake is VerdictKind.UNKNOWN:
            yield step.failed(found.reason)
            return
        if before.mode == "Running":
            yield step.skipped("it is wanted running already")
        else:
            left = time_left(before, self._clock.now())
            problem = await self._patch(before)
            if problem:
                yield step.failed(problem)
                return
            self._patched_at = self._clock.now()
            said = "its operatingMode is Running"
            outcome = "" if left is None else f"its life ends in {duration(left)}"
            yield step.ok(f"{said}; {outcome}" if outcome else said, outcome=outcome)
        async for one in self._follow():
            yield one

    async def _read(self) -> SandboxResource:
        return await read_one_sandbox(self._http, self._version, self._namespace, self._name)

    async def _patch(self, before: SandboxResource) -> str:
        """Set the one field, once; why that was not done, empty where it was."""
        path = sandbox_path(self._version, self._namespace, self._name)
        try:
            read_sandbox(await self._http.merge_patch(path, patch_of(before, self._version)))
        except ApiError as error:
            if error.status == 409:
                return await self._after_conflict(before)
            return self._refusal(error)
        except (UnfitError, UnavailableError) as error:
            return await self._after_silence(error)
        return ""

    async def _after_conflict(self, before: SandboxResource) -> str:
        """Somebody else wrote first: what they wrote is told, and nothing is sent again."""
        try:
            now = await self._read()
        except (UnavailableError, NotFoundError) as error:
            return f"It changed before it could be woken (409). {error.sentence}"
        if now.mode == "Running" and now.metadata.deletion_timestamp is None:
            return ""
        return (
            f"It changed before it could be woken (409): {changes(before, now)}."
            " Nothing was sent again; look at it, then wake it once more."
        )

    async def _after_silence(self, error: Exception) -> str:
        """No answer: whether it was done is seen in the resource alone."""
        said = error.sentence if isinstance(error, UnavailableError) else "The answer was none."
        try:
            now = await self._read()
        except (UnavailableError, NotFoundError) as again:
            return f"{said} Whether it was woken is not known: {again.sentence}"
        if now.mode == "Running":
            return ""
        return f"{said} It was not woken."

    def _refusal(self, error: ApiError) -> str:
        if error.status == 403:
            return (
                f"The user lacks patch of sandboxes.{GROUP} in"
                f" {sanitize(self._namespace, 80)} (403). This proves it:"
                f" kubectl auth can-i patch sandboxes.{GROUP}/{sanitize(self._name, 253)}"
                f" -n {sanitize(self._namespace, 80)}"
            )
        if error.status == 404:
            return "It is gone."
        return error.sentence

    async def _follow(self) -> AsyncIterator[Step]:
        stages = StageSteps(self._clock, FOLLOW_S)
        yield stages.begin()
        limit = self._clock.monotonic() + FOLLOW_S
        trouble: tuple[SandboxState, float] | None = None
        sandboxes = self._watch(sandbox_kind(self._version), self._name)
        pods: ResourceWatch[Pod] | None = None
        try:
            while True:
                now = self._clock.now()
                silent = await _look(sandboxes)
                sandbox = sandboxes.rows.get(f"{self._namespace}/{self._name}")
                if sandbox is None and not silent:
                    yield stages.fail("It was deleted while it was being woken.")
                    return
                if sandbox is not None:
                    pods = pods or self._watch(PODS, sandbox.pod_name)
                    silent = silent or await _look(pods)
                    owned = owned_pods(pods.rows, (sandbox,)).by_uid
                    pod = backing_pod(sandbox, owned.get(sandbox.metadata.uid, ()))
                    found = judge(Evidence(sandbox, pod, outdated_since=self._patched_at), now)
                    stage = stage_of(pod, found)
                    for step in stages.move(replace(stage, detail=silent or stage.detail), pod):
                        yield step
                    if found.wake is VerdictKind.READY:
                        return
                    trouble = _trouble(found, trouble, self._clock.monotonic())
                    ended = self._ended(sandbox, found, trouble)
                    if self._clock.monotonic() >= limit and not ended:
                        ended = f"It is not ready after {FOLLOW_S:g} s: {found.reason}"
                    if ended:
                        yield stages.fail(ended)
                        return
                elif self._clock.monotonic() >= limit:
                    yield stages.fail(silent)
                    return
                await _change(self._clock, sandboxes, pods)
        finally:
            await sandboxes.close()
            if pods is not None:
                await pods.close()

    def _watch(self, kind: WatchedKind[T], name: str) -> ResourceWatch[T]:
        selection = (("fieldSelector", f"metadata.name={name}"),)
        return ResourceWatch(self._http, kind, self._namespace, selection, self._clock)

    def _ended(
        self,
        sandbox: SandboxResource,
        found: SandboxJudgement,
        trouble: tuple[SandboxState, float] | None,
    ) -> str:
        """Why it cannot come back, or will not soon; empty while it may."""
        if sandbox.mode != "Running":
            return "It was suspended again while it was being woken."
        if found.wake is VerdictKind.TERMINAL and not found.unsure:
            return found.reason
        if trouble is None:
            return ""
        no_room = found.state is SandboxState.STUCK
        limit = self._patience.room_s if no_room else self._patience.pod_s
        return found.reason if self._clock.monotonic() - trouble[1] >= limit else ""


def patch_of(sandbox: SandboxResource, version: str) -> dict[str, Any]:
    """What wakes it, and nothing else; a resource that changed since refuses it."""
    wish: dict[str, Any] = {"operatingMode": "Running"}
    if version == "v1alpha1":
        wish = {"replicas": 1}
    return {"metadata": {"resourceVersion": sandbox.metadata.resource_version}, "spec": wish}


def changes(before: SandboxResource, now: SandboxResource) -> str:
    """What is another in the second, in words."""
    if before.metadata.uid != now.metadata.uid:
        return "it is another one of the same name"
    if now.metadata.deletion_timestamp is not None:
        return "it is being deleted"
    found = [
        f"{what} is {sanitize(str(new or 'none'), 80)}, was {sanitize(str(old or 'none'), 80)}"
        for what, old, new in (
            ("its wish", before.mode, now.mode),
            ("the end of its life", before.spec.shutdown_time, now.spec.shutdown_time),
            ("its shutdownPolicy", before.spec.shutdown_policy, now.spec.shutdown_policy),
        )
        if old != new
    ]
    if before.status != now.status:
        said = [f"{one.type}={one.status}" for one in now.status.conditions or ()]
        found.append(f"its status is {sanitize(', '.join(said) or 'empty', 200)}")
    if before.metadata.labels != now.metadata.labels:
        found.append("its labels are others")
    if before.metadata.annotations != now.metadata.annotations:
        found.append("its annotations are others")
    return "; ".join(found) or "something else than its wish, its life or its status"


def _trouble(
    found: SandboxJudgement, before: tuple[SandboxState, float] | None, now: float
) -> tuple[SandboxState, float] | None:
    """The trouble it is in and since when (monotonic); None where it is on its way."""
    if found.wake is VerdictKind.SETTLING:
        return None
    if before is not None and before[0] is found.state:
        return before
    return found.state, now


async def _look(watch: ResourceWatch[T]) -> str:
    """Why a watch cannot be had just now; empty where it runs."""
    await watch.look(LOOK_S)
    return watch.progress if watch.problem is None else watch.problem.sentence


async def _change(clock: Clock, *watches: ResourceWatch[Any] | None) -> None:
    """Wait for a change, for a moment at most: judgements lapse by the clock, too."""
    there = [one for one in watches if one is not None]
    waits: list[asyncio.Future[Any]]
    waits = [asyncio.ensure_future(one.changed.wait()) for one in there]
    waits.append(asyncio.ensure_future(clock.sleep(LOOK_S)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        for one in there:
            one.changed.clear()


@dataclass(frozen=True, slots=True)
class Stage:
    """The stage that is under way, and what is said of it."""

    number: int
    """Of `STAGES`; their count where all are behind."""
    detail: str = ""


def stage_of(pod: Pod | None, found: SandboxJudgement) -> Stage:
    """How far it is, from its pod and its judgement."""
    if found.wake is VerdictKind.READY:
        return Stage(len(STAGES))
    doing = found.reason
    if pod is None or pod.metadata.deletion_timestamp is not None:
        return Stage(0, doing)
    scheduled = pod.condition("PodScheduled")
    placed = pod.spec.node_name or (scheduled is not None and scheduled.status == "True")
    if not placed:
        return Stage(1, doing)
    started = [one for one in pod.lasting if one.state is not None and one.state.running]
    if not started or len(started) < len(pod.lasting):
        return Stage(2, doing)
    return Stage(3, doing)


class StageSteps:
    """The steps of one way back: each stage begins and ends once, and never goes back."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._number = 0
        self._step = StepBuilder(STAGES[0], clock, limit_s)
        self._said = ""

    def begin(self) -> Step:
        """The first stage, which has begun."""
        return self._step.begun

    def move(self, stage: Stage, pod: Pod | None) -> Iterator[Step]:
        """What is news in where it is now."""
        while self._number < stage.number:
            yield self._step.ok(_done(self._number, pod))
            self._number += 1
            self._said = ""
            if self._number == len(STAGES):
                return
            self._step = StepBuilder(STAGES[self._number], self._clock, self._limit_s)
            yield self._step.begun
        if stage.detail and stage.detail != self._said and stage.number == self._number:
            self._said = stage.detail
            yield self._step.running(stage.detail)

    def fail(self, reason: str) -> Step:
        """The stage under way ends badly."""
        return self._step.failed(reason)


def _done(number: int, pod: Pod | None) -> str:
    if pod is None:
        return ""
    names = (pod.metadata.name, pod.spec.node_name or "", "", "")
    return sanitize(names[number], 120)
