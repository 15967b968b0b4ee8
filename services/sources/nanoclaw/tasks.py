"""What is said of the session of one series of tasks (upstream/nanoclaw: Scheduled work)."""

from __future__ import annotations

from services.models import InLabel
from services.queues.facts import Survey
from services.sources.nanoclaw.central_db import SessionRow

KEPT_FAILING = "its script kept failing."
AUTO_PAUSE = 8
"""Failures in a row after which a host pauses a series (upstream/nanoclaw: Scheduled work)."""


def is_spent(row: SessionRow | None) -> bool:
    """Whether it is the closed session of a task that never runs again."""
    return row is not None and row.status == "closed" and bool(row.task)


def runs(row: SessionRow | None, survey: Survey) -> str:
    """How often a series ran and how often that failed, of a session of its own; else empty."""
    if row is None or not row.task:
        return ""
    counts = dict(survey.inbound)
    failed = sum(counts.get(label.value, 0) for label in _FAILED)
    over = failed + sum(counts.get(label.value, 0) for label in _DONE)
    return f"{over}, {failed} failed" if failed else str(over)


_DONE = (InLabel.COMPLETED, InLabel.UNSYNCED)
_FAILED = (InLabel.FAILED, InLabel.SCRIPT_FAILED, InLabel.SCRIPT_UNSYNCED)


def paused_task(row: SessionRow | None, survey: Survey) -> str:
    """That a task is paused, and why as far as its rows tell; empty where it is not."""
    if row is None or not row.task or not survey.series:
        return ""
    if not all(one.paused for one in survey.series):
        return ""
    failed = dict(survey.inbound).get(InLabel.SCRIPT_FAILED.value, 0)
    return f"Task paused: {KEPT_FAILING}" if failed >= AUTO_PAUSE else "Task paused."
