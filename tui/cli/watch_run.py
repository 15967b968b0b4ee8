"""The life of `wakedeck watch`: sources opened, watched, the history followed, all of it let go."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from services.board.deltas import BoardDelta
from services.clock import SystemClock
from services.config import paths
from services.config.notify import urls_of
from services.config.settings import Settings
from services.errors import UnavailableError
from services.journal.tail import JournalTail, Position, keyed
from services.models import Event
from services.process.identity import ProcessId
from services.sources.registry import open_sources
from services.text.sanitize import printable, sanitize
from services.watch.aggregates import Aggregates
from services.watch.metrics import Metrics, MetricsPage, address
from services.watch.notifier import Notifier, advice_of
from services.watch.outbox import Outbox
from services.watch.sender import Sender
from services.watch.watcher import UNKEPT, Watcher
from tui import gc_control
from tui.cli import tables
from tui.cli.event_loop import run_command
from tui.cli.event_report import line
from tui.cli.exit import Exit, print_stderr
from tui.cli.pipes import write_all
from tui.cli.until_signal import run_until_signal

FOLLOW_S = 0.5
"""Between two looks at the history."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    as_json: bool = False
    since: float | None = None
    after: Position | None = None
    metrics: str = ""
    """HOST:PORT to serve them on; empty: nowhere."""
    label_sandboxes: bool = False


def run(settings: Settings, request: Request) -> int:
    """Watch until a signal; 0.

    Raises:
        ConfigError, UnavailableError: somebody is to be called and cannot be.
        OSError: it cannot be printed.
    """
    return run_command(_watched(settings, request))


async def _watched(settings: Settings, request: Request) -> int:
    senders = {name: Sender(name, urls_of(name, table)) for name, table in settings.notify.items()}
    where = address(request.metrics) if request.metrics else None
    tail = JournalTail(paths.journal_file())
    aggregates = Aggregates(SystemClock())
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(_watcher(settings, aggregates.on_delta))
        if where is not None:
            collector = Metrics(watcher.board, aggregates, label_sandboxes=request.label_sandboxes)
            page = MetricsPage(collector, *where)
            stack.callback(page.close)
            print_stderr(f"wakedeck: metrics on http://{where[0]}:{page.port}/metrics")
        for notice in await watcher.journal.open():
            print_stderr(f"wakedeck: {notice.text}")
        try:
            position = request.after or await tail.start(request.since)
        except (sqlite3.Error, OSError):
            # What it lacks is said by the printer, for as long as that lasts.
            position = Position.of_instant(request.since or watcher.clock.now())
        stack.push_async_callback(tail.close)
        printer = Printer(watcher, tail, request.as_json, aggregates.on_events)
        await run_until_signal(
            watcher.run(),
            printer.run(position),
            _greeted(watcher),
            *(one.run() for one in _notifiers(settings, watcher, senders)),
        )
    return Exit.DONE


@asynccontextmanager
async def _watcher(
    settings: Settings, on_delta: Callable[[BoardDelta], None]
) -> AsyncIterator[Watcher]:
    """A watcher of the configured sources, of which nothing is started."""
    clock = SystemClock()
    sources = open_sources(settings, clock)
    watcher = Watcher(
        [one.observer for one in sources],
        clock,
        intervals={one.key: one.table.interval_s for one in settings.sources},
        journal=paths.journal_file(),
        jitter=random.Random(),  # noqa: S311
        on_delta=on_delta,
    )
    try:
        yield watcher
    finally:
        for one in sources:
            await one.actor.close()
            await one.observer.close()
        await watcher.close()


def _notifiers(settings: Settings, watcher: Watcher, senders: dict[str, Sender]) -> list[Notifier]:
    process = ProcessId.capture()
    if senders and process is None:
        raise UnavailableError("This process cannot be told from others, so no notice is claimed.")
    assert process is not None or not senders
    label = "" if settings.profile == "default" else settings.profile
    advice = advice_of(watcher.board, watcher.sources)
    return [
        Notifier(
            Outbox(name, settings.notify[name], process, label=label, advice=advice),  # type: ignore[arg-type]
            sender,
            paths.journal_file(),
            watcher.clock,
        )
        for name, sender in senders.items()
    ]


async def _greeted(watcher: Watcher) -> None:
    """Say once that every source has been looked at; changes are told from then on.

    Each look makes every row anew: Python's usual collections would go through all of them.
    """
    await watcher.looked.wait()
    gc_control.freeze_startup_objects()
    found = len(watcher.board.sandboxes)
    failed = sum(1 for link in watcher.board.links.values() if link.failures)
    said = f"watching {found} sandbox{'' if found == 1 else 'es'}"
    lost = f"; {failed} source{'' if failed == 1 else 's'} not answering" if failed else ""
    print_stderr(f"wakedeck: {said}{lost}")
    await asyncio.Event().wait()


class Printer:
    """Prints the history as it grows; while it cannot be written, what is seen without a key."""

    def __init__(
        self,
        watcher: Watcher,
        tail: JournalTail,
        as_json: bool,
        on_events: Callable[[Sequence[Event]], None],
    ) -> None:
        """`on_events` hears what was recorded from now on."""
        self._on_events = on_events
        self._started_at = watcher.clock.now()
        self._watcher = watcher
        self._tail = tail
        self._as_json = as_json
        self._printed: dict[Event, object] = {}
        self._problem = ""

    async def run(self, position: Position) -> None:
        """Print until cancelled.

        Raises:
            OSError: it cannot be printed.
        """
        while True:
            position, more = await self._step(position)
            if not more:
                await self._watcher.clock.sleep(FOLLOW_S)

    async def _step(self, position: Position) -> tuple[Position, bool]:
        problem = self._watcher.journal.problem
        try:
            records = await self._tail.after(position)
        except (sqlite3.Error, OSError) as error:
            self._say(problem or f"The history cannot be read: {sanitize(str(error), 200)}.")
            await self._print_unkept()
            return position, False
        if records.moved:
            print_stderr("wakedeck: the history was begun anew; going on by its instants")
        self._on_events([one for _, one in records.events if one.at >= self._started_at])
        lines = []
        for key, event in keyed(records):
            self._watcher.kept(event)
            if self._printed.pop(event, self) is self:
                lines.append(self._text(key, event))
        if lines:
            await self._write("".join(lines))
        self._say(problem)
        await self._print_unkept()
        return records.position, bool(records.events)

    async def _print_unkept(self) -> None:
        for event in self._watcher.take_unkept():
            if len(self._printed) >= UNKEPT:
                self._printed.pop(next(iter(self._printed)))
            self._printed[event] = None
            await self._write(self._text(None, event))

    def _text(self, key: str | None, event: Event) -> str:
        if self._as_json:
            return json.dumps({**tables.event_json(event), "key": key}) + "\n"
        return line(event) + "\n"

    async def _write(self, text: str) -> None:
        encoding = getattr(sys.stdout, "encoding", "utf-8")
        await write_all(sys.stdout.fileno(), printable(text).encode(encoding, "backslashreplace"))

    def _say(self, problem: str) -> None:
        """A trouble of the history, once for as long as it lasts."""
        if problem and problem != self._problem:
            print_stderr(f"wakedeck: {problem}")
        self._problem = problem
