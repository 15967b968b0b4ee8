"""How far a sandbox has come on its way back, as steps with their times."""

from __future__ import annotations

from collections.abc import Iterator

from services.clock import Clock
from services.lazy_dataclass import dataclass
from services.models import Step
from services.sources.pods.agent_sandbox.judgement import SandboxJudgement
from services.sources.pods.pod import Pod
from services.sources.protocol.steps import StepBuilder
from services.sources.protocol.verdict import VerdictKind
from services.text.sanitize import sanitize

STAGES = ("pod", "schedule", "pull", "ready")
"""Its pod is made, gets a node, its containers run, the controller calls it ready."""


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
