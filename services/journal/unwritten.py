"""Events that could not be written when their panel ended, kept beside the journal for the next."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from services.files.bounded import parse_json
from services.files.private import open_private, private_folder
from services.models import Event, Severity

LARGEST = 8 << 20
_LOG = logging.getLogger(__name__)


def unwritten_file(journal: Path) -> Path:
    """Where they wait: one JSON object a line."""
    return journal.with_name(f"{journal.stem}.unwritten.jsonl")


def keep(journal: Path, events: Iterable[Event]) -> None:
    """Append events.

    Raises:
        OSError: they cannot be kept here either.
    """
    lines = "".join(json.dumps(_shape(event)) + "\n" for event in events).encode()
    if not lines:
        return
    private_folder(journal.parent)
    handle = _locked(unwritten_file(journal))
    try:
        before = os.fstat(handle).st_size
        if before + len(lines) > LARGEST:
            raise OSError(f"{unwritten_file(journal).name} is full")
        if os.write(handle, lines) != len(lines):
            os.ftruncate(handle, before)
            raise OSError("the disk is full")
    finally:
        os.close(handle)


def _locked(path: Path) -> int:
    """Open it for this panel alone: while another takes it over, what is added goes with it."""
    while True:
        handle = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


def waiting(journal: Path) -> list[Event]:
    """What waits, oldest first; nothing where it cannot be read."""
    try:
        with os.fdopen(open_private(unwritten_file(journal), os.O_RDONLY), "rb") as file:
            events = [_event(line) for line in file.read(LARGEST).splitlines()]
    except OSError:
        return []
    return [one for one in events if one is not None]


def bring_in(journal: Path, write: Callable[[Sequence[Event]], None]) -> None:
    """Give what waits to `write`, to one panel alone; it is kept where that raises.

    Raises:
        Exception: whatever `write` raises.
    """
    waiting = unwritten_file(journal)
    try:
        handle = open_private(waiting, os.O_RDWR)
    except OSError:
        return
    with os.fdopen(handle, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            events = [_event(line) for line in file.read(LARGEST).splitlines()]
        except OSError:
            return
        write([one for one in events if one is not None])
        if None in events:
            _LOG.warning("%d unwritten events cannot be read", events.count(None))
        os.ftruncate(handle, 0)
        with suppress(OSError):
            waiting.unlink()


def _shape(event: Event) -> dict[str, object]:
    return {
        "at": event.at,
        "severity": event.severity.value,
        "source": event.source,
        "subject": event.subject,
        "kind": event.kind,
        "text": event.text,
        "before": event.before,
        "after": event.after,
        "before_at": event.before_at,
        "told_at": event.told_at,
    }


def _event(line: bytes) -> Event | None:
    try:
        shape = parse_json(line)
        texts = [shape[name] for name in ("source", "subject", "kind", "text", "before", "after")]
        instants = [shape.get(name) for name in ("before_at", "told_at")]
        if not all(isinstance(one, str) for one in texts):
            return None
        return Event(
            float(shape["at"]),
            Severity(shape["severity"]),
            *texts,
            *(None if one is None else float(one) for one in instants),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
