"""The reasons platforms name for what a pod does, in plain words."""

from __future__ import annotations

from services.models import SandboxState as S
from services.text.sanitize import sanitize

_WORDS: dict[str, tuple[S, str]] = {
    "ContainerCreating": (S.SETTLING, "its containers are being created"),
    "PodInitializing": (S.SETTLING, "its init containers run"),
    "Pulling": (S.SETTLING, "its image is being pulled"),
    "ScalingUp": (S.SETTLING, "it is being scaled up"),
    "Initializing": (S.SETTLING, "it is starting"),
    "Terminating": (S.SETTLING, "it is being deleted"),
    "CrashLoopBackOff": (S.BROKEN, "it crashes again and again"),
    "ImagePullBackOff": (S.BROKEN, "its image cannot be pulled"),
    "ErrImagePull": (S.BROKEN, "its image cannot be pulled"),
    "InvalidImageName": (S.BROKEN, "the name of its image is not valid"),
    "ErrImageNeverPull": (S.BROKEN, "its image is not on the node and may not be pulled"),
    "CreateContainerConfigError": (
        S.BROKEN,
        "its configuration names something that is not there (a ConfigMap, a Secret, a key)",
    ),
    "CreateContainerError": (S.BROKEN, "the container cannot be created"),
    "RunContainerError": (S.BROKEN, "the container cannot be started"),
    "ProgressDeadlineExceeded": (S.BROKEN, "its rollout did not finish in time"),
    "OOMKilled": (S.BROKEN, "it used more memory than it may"),
    "Error": (S.BROKEN, "it ended with an error"),
    "Failed": (S.BROKEN, "it failed"),
    "Evicted": (S.BROKEN, "its node ran short and evicted it"),
    "NodeLost": (S.UNKNOWN, "its node does not answer"),
    "Unschedulable": (S.STUCK, "no node can take it"),
    "SchedulingGated": (S.SETTLING, "it is held back on purpose (a scheduling gate)"),
    "NotReady": (S.STUCK, "it runs and is not ready"),
    "Completed": (S.ASLEEP, "it has finished"),
    "Succeeded": (S.ASLEEP, "it has finished"),
    "Running": (S.READY, ""),
    "Pending": (S.SETTLING, "it waits to be started"),
    "Unknown": (S.UNKNOWN, "its node does not answer"),
}


def known(said: str) -> bool:
    """Whether there are words for it."""
    return said in _WORDS


def words_for(said: str) -> tuple[S, str]:
    """State and plain words for a reason a platform names; an unknown one is shown as it is."""
    known = _WORDS.get(said)
    if known is not None:
        state, words = known
        return state, f"{said}: {words}" if words else ""
    return S.UNKNOWN, f"{sanitize(said, 80)} (a state this panel does not know)"
