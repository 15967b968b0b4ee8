"""Serves the sources of this machine to one near side, until its pipe ends."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.pollers import Pollers
from services.clock import Clock
from services.errors import UnavailableError, WakedeckError
from services.journal.events import action_event
from services.journal.rows import EventQuery
from services.journal.store import Journal
from services.journal.transitions import is_transition
from services.models import Event, SandboxId
from services.process.identity import ProcessId
from services.repair.locks import RepairLocks
from services.source_server.calls import ELSEWHERE, ServedCall, choice_of
from services.source_server.connection import PipeConnection
from services.source_server.pictures import Pictures
from services.source_server.streams import ServedCommand, ServedShell
from services.source_server.verbs import Verbs
from services.sources.protocol.source import OpenSource
from services.wire.failures import failed
from services.wire.frames import WireError
from services.wire.messages import (
    DELTA_GAP_S,
    MOST_CALLS,
    PROTOCOL,
    Call,
    Cancel,
    Hello,
    Message,
    Ping,
    Pong,
    ShellClose,
    ShellData,
    ShellOpen,
    ShellResize,
    ShellWindow,
    SourceInfo,
)

LEAVE_S = 4.0
"""How long everything that was started is given to end once the near side is gone."""
HISTORY = 200
"""Events of before that are told at most."""
HISTORY_S = 5.0
"""Between two looks into the journal for what others did."""
_LOG = logging.getLogger(__name__)
Served = ServedCall | ServedShell


class SourceServer:
    """One near side's view of the sources here; `run` once."""

    def __init__(
        self,
        sources: Sequence[OpenSource],
        clock: Clock,
        connection: PipeConnection,
        *,
        intervals: Mapping[str, float],
        journal: Journal,
        locks: RepairLocks,
        read_only: bool,
    ) -> None:
        self._sources = {one.info.key: one for one in sources}
        self._clock = clock
        self._connection = connection
        self._intervals = intervals
        self._read_only = read_only
        self._journal = journal
        self._board = Board(clock, [one.info for one in sources], intervals=intervals)
        self._pictures = Pictures(self._board, clock, self._sources)
        self._pollers = Pollers(
            [one.observer for one in sources],
            intervals,
            self._board,
            clock,
            jitter=random.Random(),  # noqa: S311  no secret is made of it
            on_delta=self._delta,
            on_queue=lambda _: None,
        )
        self._verbs = Verbs(locks, clock)
        self._served: dict[int, tuple[Served, asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until the near side is gone, then end all that was started for it.

        Raises:
            WireError: the near side does not speak the protocol.
        """
        await self._connection.send(self._hello())
        await self._journal.open()
        looking = [
            asyncio.create_task(self._pollers.run()),
            asyncio.create_task(self._push()),
        ]
        try:
            async for message in self._connection.messages():
                if isinstance(message, Hello):
                    looking.append(asyncio.create_task(self._tell_history(message)))
                else:
                    await self._take(message)
        finally:
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
            await self._leave()

    def _hello(self) -> Hello:
        me = ProcessId.capture()
        return Hello(
            protocol=PROTOCOL,
            product="wakedeck",
            version=version("wakedeck"),
            pid=os.getpid(),
            boot_id="" if me is None else me.boot_id,
            now=self._clock.now(),
            sources=[self._info(one) for one in self._sources.values()],
            read_only=self._read_only,
        )

    def _info(self, source: OpenSource) -> SourceInfo:
        info = source.info
        return SourceInfo(
            key=info.key,
            kind=info.kind,
            label=info.label,
            address=info.address,
            interval_s=self._intervals.get(info.key, 1.0),
            capabilities=sorted(one.value for one in info.capabilities),
            unavailable={one.value: why for one, why in info.unavailable},
            verbs=[] if source.proposer is None else list(source.proposer.verbs),
            attachment=source.attachment,
        )

    async def _take(self, message: Message) -> None:
        match message:
            case Ping(t):
                await self._connection.send(Pong(t))
            case Call() | ShellOpen():
                await self._begin(message)
            case Cancel(id):
                self._end(id)
            case ShellData(id, data, _, end):
                stream = self._stream(id)
                if stream is not None and not stream.input.add(data, end):
                    _LOG.warning("more input than was allowed")
                    self._end(id)
            case ShellWindow(id, size):
                self._grant(id, size)
            case ShellResize(id, columns, lines):
                served = self._served.get(id)
                if served is not None and isinstance(served[0], ServedShell):
                    await served[0].resize(columns, lines)
            case ShellClose(id):
                stream = self._stream(id)
                if stream is not None:
                    stream.close()

    def _stream(self, id: int) -> ServedShell | ServedCommand | None:
        served = self._served.get(id)
        if served is None:
            return None
        return served[0].command if isinstance(served[0], ServedCall) else served[0]

    def _grant(self, id: int, size: int) -> None:
        served = self._served.get(id)
        if served is None:
            return
        stream = self._stream(id)
        if stream is not None:
            stream.output.credit.grant(size)
        elif isinstance(served[0], ServedCall):
            served[0].credit.grant(size)

    async def _begin(self, message: Call | ShellOpen) -> None:
        if message.id in self._served or len(self._served) >= MOST_CALLS:
            said = UnavailableError("Too much is asked at once.")
            await self._connection.send(failed(message.id, said))
            return
        if isinstance(message, Call):
            call = ServedCall(
                message,
                self._sources,
                self._verbs,
                self._connection.send,
                self._refresh,
                self._note,
            )
            self._keep(message.id, call, asyncio.create_task(call.run()))
            return
        try:
            shell = self._shell(message)
        except WakedeckError as error:
            await self._connection.send(failed(message.id, error))
            return
        except WireError as error:
            await self._connection.send(failed(message.id, UnavailableError(f"{error}.")))
            return
        self._keep(
            message.id, shell, asyncio.create_task(shell.run(message.columns, message.lines))
        )

    def _shell(self, message: ShellOpen) -> ServedShell:
        source = self._sources.get(message.source)
        if source is None:
            raise UnavailableError("There is no such source here.")
        sandbox = SandboxId(message.source, message.sandbox)
        transport = source.actor.shell(sandbox, choice_of(message.choice))
        return ServedShell(message.id, transport, self._clock, self._connection.send)

    def _keep(self, id: int, served: Served, task: asyncio.Task[None]) -> None:
        self._served[id] = served, task
        task.add_done_callback(lambda _: self._served.pop(id, None))

    def _end(self, id: int) -> None:
        served = self._served.get(id)
        if served is not None:
            leaving = asyncio.create_task(_end_one(*served))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _delta(self, delta: BoardDelta) -> None:
        if delta.events:
            self._journal.record(*delta.events)
        self._pictures.changed(delta)
        self._changed.set()

    def _refresh(self, source: str, full: bool) -> bool:
        """Look at everything now; `full`: tell the whole picture of a source once more."""
        known = not source or self._pictures.again(source) if full else True
        self._changed.set()
        if not full:
            self._pollers.refresh()
        return known

    async def _push(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for delta in self._pictures.due():
                await self._connection.send(delta)
            await self._clock.sleep(DELTA_GAP_S)

    def _note(self, sandbox: SandboxId, text: str) -> None:
        self._journal.record(action_event(sandbox, text, self._clock.now()))

    async def _tell_history(self, hello: Hello) -> None:
        """What happened before the near side was there, then what others do meanwhile."""
        now = self._clock.now()
        after = now if hello.events_after is None else max(hello.events_after, now - 86_400)
        past = await self._search(after)
        self._pictures.happened(past)
        self._changed.set()
        last = max((one.at for one in past), default=now)
        while True:
            await self._clock.sleep(HISTORY_S)
            new = [one for one in await self._search(last) if one.at > last]
            last = max((one.at for one in new), default=last)
            acts = [one for one in new if not is_transition(one)]
            if acts:
                self._pictures.happened(acts)
                self._changed.set()

    async def _search(self, since: float) -> list[Event]:
        found = await self._journal.search(EventQuery(HISTORY, since=since))
        told = [one for one in found.events if not one.text.endswith(ELSEWHERE)]
        return sorted(told, key=lambda one: one.at)

    async def _leave(self) -> None:
        """End what was started: within the limit, but for a step that must not be interrupted."""
        self._connection.close()
        for served, _ in list(self._served.values()):
            if isinstance(served, ServedShell):
                served.close()
        ending = [asyncio.create_task(_end_one(*one)) for one in list(self._served.values())]
        await asyncio.gather(*ending, *self._leaving, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                for source in self._sources.values():
                    await source.actor.close()
                    await source.observer.close()
                await self._journal.close()


async def _end_one(served: Served, task: asyncio.Task[None]) -> None:
    if isinstance(served, ServedCall):
        await served.leave()
    else:
        served.close()
        await asyncio.wait((task,), timeout=LEAVE_S / 2)
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
