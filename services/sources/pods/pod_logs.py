"""Which logs a pod has, and their lines: one of each container, and of the run before this one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from services.errors import NotFoundError
from services.lazy_dataclass import dataclass
from services.logs.reader import LogEndedError, LogRecord
from services.models import LogStream
from services.sources.pods.pod import ContainerStatus, Pod, container_of
from services.text.sanitize import sanitize

LINES = 200
"""So many of the newest are asked for; a run that is over is told from further back."""
BEFORE = 1000
SILENCE_S = 24 * 3600.0
_PREVIOUS = "/previous"
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class PodLog:
    """One log of a pod."""

    container: str
    previous: bool = False

    @property
    def name(self) -> str:
        """As `LogStream.name`: containers' names have no slash."""
        return self.container + (_PREVIOUS if self.previous else "")

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """How it is asked for; only what still runs is followed."""
        container = (("container", self.container),) if self.container else ()
        if self.previous:
            return (*container, ("previous", "true"), ("tailLines", str(BEFORE)))
        return (*container, ("follow", "true"), ("tailLines", str(LINES)))


def log_streams(pod: Pod, preferred: str) -> tuple[LogStream, ...]:
    """Every log of a pod, the usual one first; those of containers that never ran are left out."""
    return tuple(
        LogStream(sanitize(one.name, 300), sanitize(_title(one, pod), 100))
        for one in _logs(pod, preferred)
    )


def log_named(pod: Pod, preferred: str, stream: str) -> PodLog:
    """The log of that name, the usual one where it is empty.

    Raises:
        NotFoundError: the pod has none of that name.
    """
    usual = container_of(pod, preferred)
    if not stream:
        return PodLog(usual)
    found = next((one for one in _logs(pod, preferred) if one.name == stream), None)
    if found is None:
        raise NotFoundError(
            f"{sanitize(pod.metadata.name, 100)} has no log {sanitize(stream, 80)!r}."
        )
    return found


async def log_lines(
    parts: AsyncIterator[bytes], longest: int = _LONGEST_LINE
) -> AsyncIterator[bytes]:
    """Whole lines of what comes in pieces; one that never ends is cut."""
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > longest:
            yield rest
            rest = b""
    if rest:
        yield rest


def record(line: bytes) -> LogRecord:
    """A line as a record, bounded."""
    return LogRecord(line[:_LONGEST_LINE].decode("utf-8", "replace"))


def check_ended(log: PodLog) -> None:
    """Say that a log which was told to its end has no more.

    Raises:
        LogEndedError: it is of a run that is over.
    """
    if log.previous:
        raise LogEndedError("That run is over: this is all of its log.")


def _logs(pod: Pod, preferred: str) -> Iterator[PodLog]:
    usual = container_of(pod, preferred)
    known = [*(one.name for one in pod.containers), *(one.name for one in pod.statuses)]
    names = list(dict.fromkeys(known))
    names.sort(key=lambda name: name != usual)
    for name in names:
        status = pod.container(name)
        if pod.role(name) != "container" and not _ran(status):
            continue
        yield PodLog(name)
        if _ran_before(status):
            yield PodLog(name, previous=True)


def _ran(status: ContainerStatus | None) -> bool:
    """Whether it has a log: it runs or did."""
    state = None if status is None else status.state
    return _ran_before(status) or (state is not None and state.waiting is None)


def _ran_before(status: ContainerStatus | None) -> bool:
    return status is not None and status.restart_count > 0


def _title(one: PodLog, pod: Pod) -> str:
    if one.previous:
        return f"{one.container}, the run before"
    role = pod.role(one.container)
    if role == "init container":
        return f"{one.container}, before the others"
    return one.container if role == "container" else f"{one.container}, a {role}"
