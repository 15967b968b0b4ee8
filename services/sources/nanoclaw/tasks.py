"""What is said of the session of one series of tasks (upstream/nanoclaw: Scheduled work)."""

from __future__ import annotations

import re

from services.models import InLabel
from services.queues.facts import Survey
from services.sources.nanoclaw.central_db import SessionRow

NAME = re.compile(r"[a-z0-9-]{1,120}")
"""What a host accepts as a series; nothing else becomes part of a path or a command."""
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


def resuming(row: SessionRow | None, survey: Survey) -> str:
    """The command of an install that takes a paused series up again; empty where none is needed."""
    if not paused_task(row, survey) or row is None or NAME.fullmatch(row.task) is None:
        return ""
    first = "once its script is mended: " if paused_task(row, survey).endswith(KEPT_FAILING) else ""
    return f"{first}ncl tasks resume {row.task}"
