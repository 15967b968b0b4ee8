"""The tasks of an agent and what its jobs were to deliver, as messages of a queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from services.agents.openclaw.told import CronJob, TaskInfo, Told
from services.models import Counts, Direction, InLabel, Message, OutLabel, QueueSnapshot, SandboxId
from services.text.signs import LABEL_ORDER, urgent_first

_IN: Mapping[str, InLabel] = MappingProxyType(
    {
        "queued": InLabel.DUE,
        "running": InLabel.PROCESSING,
        "succeeded": InLabel.COMPLETED,
        "completed": InLabel.COMPLETED,
        "failed": InLabel.FAILED,
        "timed_out": InLabel.FAILED,
        "lost": InLabel.FAILED,
        "cancelled": InLabel.CANCELLED,
    }
)
_OUT: Mapping[str, OutLabel] = MappingProxyType(
    {
        "pending": OutLabel.UNDELIVERED,
        "session_queued": OutLabel.UNDELIVERED,
        "delivered": OutLabel.DELIVERED,
        "failed": OutLabel.FAILED,
        "parent_missing": OutLabel.FAILED,
        "not-delivered": OutLabel.FAILED,
    }
)
_SILENT = frozenset({"", "not_applicable", "not-requested", "dismissed"})
"""Nothing was to be delivered, or somebody has seen to it."""
JOB = "job:"


def inbound(tasks: Iterable[TaskInfo]) -> Counts:
    """How many tasks stand how, the most urgent first."""
    counted = Counter(_in_label(one.status).value for one in tasks)
    return urgent_first(tuple(counted.items()))


def outbound(tasks: Iterable[TaskInfo], jobs: Iterable[CronJob]) -> Counts:
    """How many deliveries stand how, the most urgent first."""
    labels = [_out_label(one.delivery) for one in tasks] + [_job_label(one) for one in jobs]
    counted = Counter(one.value for one in labels if one is not None)
    return urgent_first(tuple(counted.items()))


def unknown_words(told: Told) -> tuple[str, ...]:
    """Words of tasks and deliveries that are not known here."""
    words = {one.status for one in told.tasks or ()} - _IN.keys() - {""}
    words |= {one.delivery for one in told.tasks or ()} - _OUT.keys() - _SILENT
    return tuple(sorted(words))[:8]


def to_queue(
    sandbox: SandboxId,
    tasks: Sequence[TaskInfo],
    jobs: Sequence[CronJob],
    window: int,
    at: float,
    problem: str,
) -> QueueSnapshot:
    """The queue of one row; of more than `window` tasks the most urgent, then the newest."""
    messages = [_task_message(one) for one in tasks]
    messages += [found for one in jobs if (found := _job_message(one)) is not None]
    messages.sort(key=lambda one: (LABEL_ORDER.get(one.label.value, 0), -(one.at or 0.0)))
    kept = sorted(messages[:window], key=lambda one: (one.at or 0.0, one.id))
    return QueueSnapshot(
        sandbox,
        at,
        tuple(kept),
        inbound(tasks),
        outbound(tasks, jobs),
        problem,
        stale=bool(problem),
    )


def full_text(tasks: Sequence[TaskInfo], jobs: Sequence[CronJob], message: str) -> str | None:
    """What is known of one message; None where there is none."""
    for task in tasks:
        if task.id == message:
            return "\n".join(filter(None, (task.title, _told(task.status, task.error))))
    for job in jobs:
        if f"{JOB}{job.id}" == message:
            lines = (job.name, _told(job.status, job.error), _told(job.delivery, _delivery(job)))
            return "\n".join(filter(None, lines))
    return None


def _task_message(one: TaskInfo) -> Message:
    label, error = _in_label(one.status), one.error
    text = f"{one.title}: {error}" if error else one.title
    said = one.status if label.value != one.status and label is not InLabel.COMPLETED else ""
    began = {InLabel.DUE: one.created_at, InLabel.PROCESSING: one.started_at}
    return Message(
        Direction.IN,
        one.id,
        None,
        label,
        one.runtime or "task",
        one.created_at,
        text,
        len(text),
        since=began.get(label, one.ended_at),
        note="" if label in began else said,
    )


def _job_message(one: CronJob) -> Message | None:
    label = _job_label(one)
    if label is None:
        return None
    error = _delivery(one)
    text = f"{one.name}: {error}" if error else one.name
    return Message(
        Direction.OUT, f"{JOB}{one.id}", None, label, "job", one.last_at, text, len(text)
    )


def _in_label(status: str) -> InLabel:
    return _IN.get(status, InLabel.UNKNOWN_STATUS)


def _out_label(delivery: str) -> OutLabel | None:
    return None if delivery in _SILENT else _OUT.get(delivery, OutLabel.UNKNOWN_STATUS)


def _job_label(one: CronJob) -> OutLabel | None:
    # A run that failed had nothing to deliver: its failure says so already.
    return None if one.failed and not one.undelivered else _out_label(one.delivery)


def _delivery(job: CronJob) -> str:
    return job.delivery_error if job.undelivered else ""


def _told(word: str, error: str) -> str:
    return f"{word}: {error}" if error else word
