"""One shell, from opening to its one end: transport, emulator, backlog and what is sent.

States and rules: upstream/terminal: Session states.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from services.clock import Clock
from services.errors import ShellError
from services.models import Retry, SandboxId, Shell, ShellState
from services.terminal.session.detach import Departure
from services.terminal.session.input_queue import INTERRUPT, Outbox
from services.terminal.session.output_buffer import KEPT_BYTES, Backlog
from services.terminal.session.recording import Transcript
from services.terminal.session.scheduler import CHUNK_BYTES, Pump
from services.terminal.session.status import Standing
from services.terminal.transport.base import Ending, Transport
from services.terminal.transport.keepalive import watch_life
from services.text.sanitize import plain

RESIZE_GAP_S = 0.05
STALE_AFTER_INTERRUPT_S = 0.5
_READS_IN_A_ROW = 32
_READING_S = 0.001

log = logging.getLogger("wakedeck.terminal")


class Emulated(Protocol):
    """What a session needs of an emulator."""

    reply: Callable[[bytes], None] | None
    """Called with what the emulator answers to the program; set by the session."""

    def feed(self, data: bytes) -> None:
        """Take output in, cut anywhere."""

    def resize(self, columns: int, lines: int) -> None:
        """Change the size."""


class Session:
    """One shell; `run` once."""

    def __init__(
        self,
        id: str,
        sandbox: SandboxId,
        transport: Transport,
        emulator: Emulated,
        *,
        clock: Clock,
        pump: Pump,
        on_change: Callable[[Shell], None],
        on_paint: Callable[[], None],
        transcript: Transcript | None = None,
        detach_keys: bytes = b"",
    ) -> None:
        """`detach_keys`: the process is not ours to end, and these keys leave it running."""
        self.screen = emulator
        self._transport = transport
        self._clock = clock
        self._pump = pump
        self._on_paint = on_paint
        self._transcript = transcript
        self._standing = Standing(
            Shell(id, sandbox, ShellState.RESOLVING, clock.now(), notice=self._notice()),
            on_change,
        )
        self._backlog = Backlog()
        self._outbox = Outbox(transport, clock, self._note_blocked)
        self._departure = Departure(self._outbox, detach_keys)
        self._size = (80, 24)
        self._told_size = self._size
        self._resized = asyncio.Event()
        self._over: asyncio.Future[Ending] | None = None
        self._heard_at = 0.0
        self._interrupted_at: float | None = None
        self._undrawable = False
        emulator.reply = self._outbox.reply

    @property
    def shell(self) -> Shell:
        """How it stands."""
        return self._standing.shell

    @property
    def pasting(self) -> int:
        """Bytes of pastes not sent yet."""
        return self._outbox.pasting

    def type(self, data: bytes) -> None:
        """Send keys ahead of any paste; Ctrl-C drops the un-sent rest of one at once."""
        if self.shell.state.over or self._departure.asked.is_set():
            return
        if INTERRUPT in data:
            self._interrupted_at = self._clock.monotonic()
        self._outbox.type(data)

    def paste(self, data: bytes) -> None:
        """Send a lot, in pieces, no faster than the remote reads."""
        if not self.shell.state.over and not self._departure.asked.is_set():
            self._outbox.paste(data)

    def cancel_paste(self) -> None:
        """Forget what of a paste is not sent yet."""
        self._outbox.drop_paste()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size here at once and there soon; of many, the last one counts."""
        self._take_size(columns, lines)
        self._resized.set()

    def detach(self) -> None:
        """Leave: an idle shell is asked to end, a busy one is left to its server; idempotent."""
        self._departure.asked.set()
        self._outbox.drop_paste()

    async def run(self, columns: int, lines: int) -> Shell:
        """Open, serve until the end, close; a failure is in the shell that is returned."""
        self._take_size(columns, lines)
        self._told_size = self._size
        self._standing.update(state=ShellState.CONNECTING)
        ending = Ending(ShellState.DETACHED, "the panel let go of it")
        try:
            ending = await self._open() or await self._serve()
        except Exception:
            log.exception("the session of %s failed", self.shell.sandbox)
            ending = Ending(ShellState.FAILED, "this panel failed to serve the shell; see its log")
        finally:
            self._standing.update(title=self._title(), notice=self._notice())
            if self._transcript is not None:
                self._transcript.close()
            self._standing.finish(ending, self._backlog.skipped)
            self._show()
            await self._transport.close()
        return self._standing.shell

    async def _open(self) -> Ending | None:
        """Connect; an ending if that did not work or was called off."""
        opening = asyncio.ensure_future(self._transport.open(*self._size))
        leaving = asyncio.ensure_future(self._departure.asked.wait())
        try:
            await asyncio.wait((opening, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return Ending(ShellState.DETACHED, "called off before it was open")
            await opening
        except ShellError as error:
            said = f"{error.sentence}; {error.advice}" if error.advice else error.sentence
            return Ending(ShellState.FAILED, said, retry=error.retry)
        finally:
            for task in (opening, leaving):
                task.cancel()
            await asyncio.gather(opening, leaving, return_exceptions=True)
        return None

    async def _serve(self) -> Ending:
        self._heard_at = self._clock.monotonic()
        self._over = asyncio.get_running_loop().create_future()
        self._pump.add(self)
        try:
            async with asyncio.TaskGroup() as group:
                parts = [
                    group.create_task(part)
                    for part in (
                        self._read(),
                        self._leave(),
                        self._live(),
                        self._tell_size(),
                        self._outbox.send_keys(),
                        self._outbox.send_pastes(),
                    )
                ]
                ending = await self._over
                for part in parts:
                    part.cancel()
        finally:
            self._over.cancel()
            await self._pump.remove(self)
        await self._parse_rest()
        return ending

    def _end(self, ending: Ending) -> None:
        """The first reason given is the one."""
        if self._over is not None and not self._over.done():
            self._over.set_result(ending)

    async def _read(self) -> None:
        """Read at the rate of the line, whatever the emulator does."""
        loop = asyncio.get_running_loop()
        reads, began = 0, loop.time()
        while not isinstance(output := await self._transport.read(), Ending):
            self._heard_at = self._clock.monotonic()
            self._departure.note(output)
            if self._transcript is not None:
                self._transcript.output(output)
            self._backlog.append(output)
            if self.shell.state is ShellState.CONNECTING:
                self._standing.update(state=ShellState.OPEN)
            self._pump.wake()
            reads += 1
            if reads >= _READS_IN_A_ROW or loop.time() - began > _READING_S:
                # Neither a queue of frames nor a pseudo terminal suspends while there is more.
                await asyncio.sleep(0)
                reads, began = 0, loop.time()
        if self._departure.asked.is_set():
            output = replace(output, state=ShellState.DETACHED, retry=Retry.ASK)
        self._end(output)

    async def _live(self) -> None:
        self._end(
            await watch_life(
                self._transport,
                self._clock,
                lambda: self._heard_at,
                lambda: self._outbox.outstanding,
            )
        )

    async def _leave(self) -> None:
        self._end(await self._departure.leave())

    async def _tell_size(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            if self._size != self._told_size:
                self._told_size = self._size
                await self._transport.resize(*self._size)
                await self._clock.sleep(RESIZE_GAP_S)

    @property
    def waiting(self) -> int:
        """Bytes read and not parsed."""
        return len(self._backlog)

    @property
    def skipping(self) -> bool:
        """Whether the middle of a flood is being dropped."""
        return self._backlog.skipping

    def catch_up(self) -> None:
        """For the pump: in a flood, go on with what came last."""
        self._backlog.catch_up()

    def parse(self, limit: int) -> None:
        """For the pump: feed the emulator."""
        self._drop_stale()
        output = self._backlog.take(limit)
        if self._undrawable:
            return
        try:
            self.screen.feed(output)
        except Exception:
            self._undrawable = True
            log.exception("the emulator of %s failed", self.shell.sandbox)
            self._end(
                Ending(ShellState.FAILED, "this panel could not draw the output; see its log")
            )

    def paint(self) -> None:
        """For the pump: show what was parsed."""
        self._backlog.settle()
        self._standing.update(
            skipping=self._backlog.skipping,
            skipped_bytes=self._backlog.skipped,
            title=self._title(),
            notice=self._notice(),
        )
        self._show()

    def _drop_stale(self) -> None:
        """What is still waiting half a second after a Ctrl-C is not what the operator wants."""
        if self._interrupted_at is None:
            return
        if len(self._backlog) <= KEPT_BYTES:
            self._interrupted_at = None
        elif self._clock.monotonic() - self._interrupted_at > STALE_AFTER_INTERRUPT_S:
            self._interrupted_at = None
            self._backlog.skip()

    async def _parse_rest(self) -> None:
        """The last words of the shell, without holding up the loop."""
        self._backlog.skip()
        while self._backlog:
            self.parse(CHUNK_BYTES // 4)
            await asyncio.sleep(0)

    def _note_blocked(self, blocked: bool) -> None:
        self._standing.update(input_blocked=blocked)

    def _take_size(self, columns: int, lines: int) -> None:
        self._size = (max(columns, 2), max(lines, 1))
        self.screen.resize(*self._size)
        if self._transcript is not None:
            self._transcript.resized(*self._size)

    def _notice(self) -> str:
        own = self._transcript.notice if self._transcript is not None else ""
        return " · ".join(part for part in (self._transport.notice, own) if part)

    def _title(self) -> str:
        return plain(str(getattr(self.screen, "title", "")), 200)

    def _show(self) -> None:
        """Ask for a painting; a view that fails must not stop the other shells."""
        try:
            self._on_paint()
        except Exception:
            log.exception("the view of %s failed", self.shell.sandbox)
