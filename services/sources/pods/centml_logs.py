"""Logs of a deployment's revisions, a pod each (upstream/pods: CentML logs)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.logs.reader import LogRecord
from services.models import LogStream
from services.net.http import ApiError, Http
from services.sources.pods.centml_api import Deployment
from services.sources.pods.pod_logs import LINES
from services.text.sanitize import sanitize

MOST_REVISIONS = 3
MOST_PODS = 32
NEXT_S = 2.0
"""Between two questions for what is new."""
KNOWN_MS = 300_000
"""How long a line is remembered: what is near the newest is told again."""
_BUSY = 503
_TRIES = 5
_BACKOFF_S = 0.5
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class RevisionLog:
    """One log: of a pod, in one revision."""

    revision: int
    pod: str

    @property
    def name(self) -> str:
        """As `LogStream.name`."""
        return f"{self.revision}/{self.pod}"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line, as the platform keeps it."""

    id: str
    at_ms: int
    message: str


async def find_logs(http: Http, deployment: Deployment, pod: str) -> tuple[RevisionLog, ...]:
    """Logs of a deployment's newest revisions, newest first; of one pod where it is named.

    Raises:
        UnavailableError: the platform could not be asked.
    """
    found: list[RevisionLog] = []
    for number in await _revisions(http, deployment):
        now = [one.name for one in deployment.pods or () if one.revision == number and one.name]
        names = list(dict.fromkeys((*now, *await _pods(http, deployment.id, number))))
        found += [RevisionLog(number, name) for name in names if pod in ("", name)]
    return tuple(found[:MOST_PODS])


async def _revisions(http: Http, deployment: Deployment) -> list[int]:
    numbers = {one.number for one in deployment.revisions if one.number is not None}
    try:
        told = await http.json(f"/deployments/revisions/{deployment.id}")
    except ApiError as error:
        if error.status != 404:
            raise
        told = None
    rows = told.get("results") if isinstance(told, dict) else None
    for one in rows if isinstance(rows, list) else []:
        number = one.get("revision_number") if isinstance(one, dict) else None
        if isinstance(number, int):
            numbers.add(number)
    return sorted(numbers, reverse=True)[:MOST_REVISIONS]


async def _pods(http: Http, id: int, revision: int) -> list[str]:
    """Names of pods that wrote something, those that are gone as well."""
    try:
        told = await http.json(f"/deployments/pods/{id}/{revision}")
    except ApiError as error:
        if error.status != 404:
            raise
        return []
    names = told.get("pods") if isinstance(told, dict) else None
    return [one for one in (names if isinstance(names, list) else []) if isinstance(one, str)]


def log_streams(logs: tuple[RevisionLog, ...]) -> tuple[LogStream, ...]:
    """What they are called."""
    return tuple(
        LogStream(sanitize(one.name, 300), sanitize(f"{one.pod}, revision {one.revision}", 100))
        for one in logs
    )


def log_named(logs: tuple[RevisionLog, ...], stream: str, id: int) -> RevisionLog:
    """The log of that name, the first where it is empty.

    Raises:
        NotFoundError: there is none.
    """
    for one in logs:
        if stream in ("", one.name):
            return one
    if stream:
        raise NotFoundError(f"Deployment {id} has no log {sanitize(stream, 80)!r}.")
    raise NotFoundError(f"No pod of deployment {id} has written a log yet.")


async def read(
    http: Http, id: int, log: RevisionLog, clock: Clock, since: float | None = None
) -> AsyncIterator[LogRecord]:
    """Its newest lines, or those since an instant, and then what comes.

    Raises:
        UnavailableError: the platform did not answer.
    """
    known: dict[str, int] = {}
    begun = None if since is None else max(int(since * 1000), 0)
    newest, first = None if begun is None else max(begun - 1, 0), (begun or 0, "")
    while True:
        page = await _page(http, id, log, clock, newest)
        # What is a little older than the newest comes again, from before our first line too.
        fresh = [one for one in page if one.id not in known and (one.at_ms, one.id) >= first]
        if newest is None and page:
            first = (page[0].at_ms, page[0].id)
        for one in fresh:
            known[one.id] = one.at_ms
            text = one.message.rstrip("\n")[:_LONGEST_LINE]
            yield LogRecord(text, one.at_ms / 1000, f"{log.name} {one.id}")
        newest = max((newest or 0, *(one.at_ms for one in fresh)))
        known = {key: at for key, at in known.items() if at >= newest - KNOWN_MS}
        if not fresh:
            await clock.sleep(NEXT_S)


async def _page(
    http: Http, id: int, log: RevisionLog, clock: Clock, newest: int | None
) -> list[LogEvent]:
    """The last lines, or those after `newest`; asked again while the store is busy."""
    query = [("pod", log.pod), ("fetch_newer", "false" if newest is None else "true")]
    if newest is not None:
        query.append(("timestamp", str(newest)))
    query.append(("max_lines", str(LINES)))
    for tried in range(_TRIES):
        try:
            return _events(await http.json(f"/logs/{id}/{log.revision}", tuple(query)))
        except ApiError as error:
            if error.status != _BUSY or tried == _TRIES - 1:
                raise
        # The limit is shared by everybody: those who wait alike would meet again.
        await clock.sleep(_BACKOFF_S * 2**tried * random.uniform(0.75, 1.25))  # noqa: S311
    raise AssertionError("the last try raises")


def _events(value: Any) -> list[LogEvent]:
    rows = value.get("events") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise UnavailableError("The platform answered with something else than a log.")
    found = []
    for one in rows:
        if not isinstance(one, dict):
            continue
        id, at, message = one.get("id"), one.get("timestamp"), one.get("message")
        if isinstance(id, str) and isinstance(at, int) and isinstance(message, str):
            found.append(LogEvent(id, at, message))
    return sorted(found, key=lambda one: (one.at_ms, one.id))
