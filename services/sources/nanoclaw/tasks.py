"""What is said of one series of tasks, in its row and in its details.

See upstream/nanoclaw: Scheduled work. Prompts and scripts may hold secrets: neither is passed on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from services.errors import UnavailableError
from services.files.bounded import UnfitError, read_tail
from services.models import Direction, Facts, InLabel, Message
from services.queues.facts import Survey
from services.queues.timestamps import seconds
from services.queues.values import number
from services.sources.nanoclaw import frames
from services.sources.nanoclaw.central_db import SessionRow
from services.sources.nanoclaw.frames import FrameError, HostQuery
from services.sources.nanoclaw.install import Install
from services.text.format import clock_time
from services.text.redact import redact, redact_line
from services.text.sanitize import sanitize_block

NAME = re.compile(r"[a-z0-9-]{1,120}")
"""What a host accepts as a series; nothing else becomes part of a path or a command."""
KEPT_FAILING = "its script kept failing."
AUTO_PAUSE = 8
"""Failures in a row after which a host pauses a series (upstream/nanoclaw: Scheduled work)."""
LINES = 10
_LONGEST_LINE = 600
_LONGEST_RAW = 8 * 1024
_TAIL = 64 * 1024
_NOT_TOLD = "not told"
_SCRIPT = ("none", "yes, it runs before the agent")
_DONE = (InLabel.COMPLETED, InLabel.UNSYNCED)
_FAILED = (InLabel.FAILED, InLabel.SCRIPT_FAILED, InLabel.SCRIPT_UNSYNCED)


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


async def read_details(install: Install, row: SessionRow, group_folder: str) -> Facts:
    """What the host tells; where it does not, the end of the run log from its file."""
    if NAME.fullmatch(row.task) is None:
        return (("told by", "files alone: no host gives a series such a name"), *_log("not read"))
    try:
        listed = await frames.ask(install, HostQuery.TASKS, {"session": row.id})
        task = await frames.ask(install, HostQuery.TASK, {"id": row.task, "session": row.id})
    except UnavailableError as error:
        old = isinstance(error, FrameError) and error.code == "unknown-command"
        why = "this host cannot be asked for tasks" if old else error.sentence
        lines = await asyncio.to_thread(_log_lines, install.root, group_folder, row.task)
        return (("told by", f"files alone: {why}"), *_log(lines))
    return host_facts(row.task, listed, task)


def host_facts(series: str, listed: object, task: object) -> Facts:
    """The host's two answers as facts; instants, since the facts stay as they were told."""
    one: Mapping[str, object] = task if isinstance(task, dict) else {}
    live = None
    if isinstance(listed, list):
        live = [row for row in listed if isinstance(row, dict) and row.get("series_id") == series]
    script = number(one.get("has_script"))
    told = one.get("recent_log")
    lines: list[str] | str = _NOT_TOLD
    if isinstance(told, list):
        lines = [line for line in told[-LINES:] if isinstance(line, str)]
    return (
        ("told by", "the host; lines of the run log may be the agent's own"),
        ("next run", _next_run(live)),
        ("runs", _runs(one)),
        *_last_run(live or []),
        ("script", _NOT_TOLD if script is None else _SCRIPT[bool(script)]),
        *_log(lines),
    )


def last_result(messages: Iterable[Message]) -> Facts:
    """How the newest run that is over ended, as the queue files say; none where none is."""
    over = [
        one
        for one in messages
        if one.direction is Direction.IN and one.kind == "task" and one.label in (*_DONE, *_FAILED)
    ]
    if not over:
        return ()
    last = max(over, key=lambda one: one.seq or 0)
    when = "" if last.since is None else f", {clock_time(last.since, with_date=True)}"
    return (("last result", f"{last.label.value}{when}, as its queue says"),)


def _next_run(live: list[dict[str, object]] | None) -> str:
    if not live:
        return _NOT_TOLD if live is None else "none"
    if all(row.get("status") == "paused" for row in live):
        return "none while it is paused"
    pending = [row for row in live if row.get("status") == "pending"]
    known = [at for row in pending if (at := seconds(row.get("next_run"))) is not None]
    return clock_time(min(known), with_date=True) if known else _NOT_TOLD


def _runs(task: Mapping[str, object]) -> str:
    done, failed = number(task.get("completed_runs")), number(task.get("failed_runs"))
    if done is None or failed is None:
        return _NOT_TOLD
    return f"{done} completed, {failed} failed"


def _last_run(live: list[dict[str, object]]) -> Facts:
    known = [at for row in live if (at := seconds(row.get("last_run"))) is not None]
    return (("last run", clock_time(max(known), with_date=True)),) if known else ()


def _log(lines: list[str] | str) -> Facts:
    """The newest lines, newest last; a reason where there are none to be had."""
    if isinstance(lines, str):
        return (("run log", lines),)
    # Masked before the older lines go: a key can be longer than a line.
    whole = "\n".join(line[:_LONGEST_RAW] for line in lines)
    masked = redact(sanitize_block(whole, len(whole) + 1)).split("\n")
    last = [shown for line in masked if (shown := redact_line(line, _LONGEST_LINE))][-LINES:]
    return tuple(("" if at else "run log", line) for at, line in enumerate(last or ["empty"]))


def _log_lines(root: Path, group_folder: str, series: str) -> list[str] | str:
    try:
        data = read_tail(root / "groups", (group_folder, "tasks", f"{series}.md"), _TAIL)
    except FileNotFoundError:
        return "none yet"
    except (OSError, UnfitError):
        return "cannot be read"
    return data.decode("utf-8", "replace").split("\n")
