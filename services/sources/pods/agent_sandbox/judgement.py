"""What is known of one sandbox of a cluster, and the judgement and verdict that follow."""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.models import SandboxState
from services.sources.pods.agent_sandbox.records import ResourceCondition, SandboxResource
from services.sources.pods.judge import judge
from services.sources.pods.judgement import PodJudgement
from services.sources.pods.pod import Pod
from services.sources.protocol.verdict import Verdict, VerdictKind


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sandbox as it was read, and what else is known of it; instants since the epoch."""

    sandbox: SandboxResource
    pod: Pod | None = None
    """The one it owns."""
    outdated_since: float | None = None
    """When its conditions were first seen to speak of an earlier wish."""
    contradicted_since: float | None = None
    """When its pod was first seen to contradict that it is ready."""
    pod_judged: PodJudgement | None = None
    """What its pod is, where that was judged already."""

    def pod_judgement(self, now: float) -> PodJudgement | None:
        """What its pod is; None where it has none."""
        if self.pod is None or self.pod_judged is not None:
            return self.pod_judged
        return judge(self.pod, now)

    def condition(self, type: str) -> ResourceCondition | None:
        """A condition of the wish that is written now."""
        found = self.sandbox.condition(type)
        return None if found is None or self.sandbox.is_outdated(found) else found

    @property
    def outdated(self) -> bool:
        """Whether the controller has not taken up the last change of the wish."""
        ready = self.sandbox.condition("Ready")
        told = ready or next(iter(self.sandbox.status.conditions or ()), None)
        return told is not None and self.sandbox.is_outdated(told)


@dataclass(frozen=True, slots=True)
class SandboxJudgement:
    """The judgement of one sandbox."""

    state: SandboxState
    reason: str
    wake: VerdictKind
    """What a wake may do with it."""
    since: float | None = None
    """When it came to be so, in the cluster's own words."""
    until: float | None = None
    """When this lapses by the clock alone."""
    advice: str = ""
    no_shell: str = ""
    """Why no shell can be had; empty where one can."""
    unknown_word: str = ""
    """A word of the controller that this panel has no meaning for."""
    unsure: bool = False
    """It may pass at once: worth one more look before it is told."""


def verdict(found: SandboxJudgement) -> Verdict:
    """What an attempt may do; the reason of one that only sleeps is no error, and so not told."""
    asleep = found.wake is VerdictKind.REPAIRABLE and found.state is SandboxState.ASLEEP
    if asleep:
        return Verdict(VerdictKind.REPAIRABLE, "", wakeable=True)
    return Verdict(found.wake, found.reason, advice=found.advice)
