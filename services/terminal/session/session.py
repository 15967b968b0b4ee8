"""One shell session: transport, output buffer, emulator and input queue.

States and rules: upstream/terminal: Session states.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from services.clock import Clock
from services.errors import ShellError
from services.models import Retry, SandboxId, Shell, ShellState
from services.terminal.session.detach import Detacher
from services.terminal.session.input_queue import INTERRUPT, InputQueue
from services.terminal.session.output_buffer import KEPT_BYTES, OutputBuffer
from services.terminal.session.recording import SessionRecorder
from services.terminal.session.scheduler import CHUNK_BYTES, ParseScheduler, give_way
from services.terminal.transport.base import CloseReason, Transport
from services.terminal.transport.keepalive import watch_keepalive
from services.text.sanitize import sanitize

RESIZE_GAP_S = 0.05
STALE_AFTER_INTERRUPT_S = 0.5
ANSWER_S = 0.1
"""A key is echoed within this long, or it has no echo."""
_READS_IN_A_ROW = 32
_READ_SLICE_S = 0.001

log = logging.getLogger("wakedeck.terminal")


class SessionEmulator(Protocol):
    """The emulator interface a session uses."""

    reply: Callable[[bytes], None] | None
    """Called with what the emulator answers to the program; set by the session."""

    @property
    def unparsed(self) -> int:
        """Characters that were taken and wait to be parsed."""

    @property
    def unreflowed(self) -> int:
        """Lines of the scrollback that wait for the width of the screen."""

    def feed(self, data: bytes, cells: int | None = None) -> None:
        """Take output in, cut anywhere; stop after that much work and keep the rest."""

    def resize(self, columns: int, lines: int, *, sliced: bool = False) -> None:
        """Change the size; with `sliced` the scrollback follows in calls of `feed`."""


class ShellStatus:
    """The one record of a session; after its end nothing changes it."""

    def __init__(self, shell: Shell, on_change: Callable[[Shell], None]) -> None:
        self.shell = shell
        self._on_change = on_change

    def update(self, **changes: Any) -> None:
        """Tell what changed, if anything did."""
        if self.shell.state.over:
            return
        changed = replace(self.shell, **changes)
        if changed == self.shell:
            return
        self.shell = changed
        try:
            self._on_change(changed)
        except Exception:
            log.exception("who watches %s failed", changed.sandbox)

    def finish(self, ending: CloseReason, skipped_bytes: int) -> None:
        """Reach the one terminal state."""
        self.update(
            state=ending.state,
            code=ending.code,
            reason=ending.reason,
            retry=ending.retry,
            resumes=ending.resumes,
            skipping=False,
            skipped_bytes=skipped_bytes,
            input_blocked=False,
        )


class ShellSession:
    """One shell; `run` once."""

    def __init__(
        self,
        id: str,
        sandbox: SandboxId,
        transport: Transport,
        emulator: SessionEmulator,
        *,
        clock: Clock,
        scheduler: ParseScheduler,
        on_change: Callable[[Shell], None],
        on_paint: Callable[[], None],
        recorder: SessionRecorder | None = None,
        detach_keys: bytes = b"",
    ) -> None:
        """`detach_keys`: the process is not ours to end, and these keys leave it running."""
        self.screen = emulator
        self._transport = transport
        self._clock = clock
        self._scheduler = scheduler
        self._on_paint = on_paint
        self._recorder = recorder
        self._status = ShellStatus(
            Shell(id, sandbox, ShellState.RESOLVING, clock.now(), notice=self._notice()),
            on_change,
        )
        self._output_buffer = OutputBuffer(clock.monotonic)
        self._input_queue = InputQueue(transport, clock, self._on_input_blocked)
        self._detacher = Detacher(self._input_queue, detach_keys)
        self._size = (80, 24)
        self._sent_size = self._size
        self._resized = asyncio.Event()
        self._end_reason: asyncio.Future[CloseReason] | None = None
        self._last_received_at = 0.0
        self._interrupted_at: float | None = None
        self._typed_at = -ANSWER_S
        self._emulator_failed = False
        self._scheduled = False
        """Whether the scheduler calls `parse`, in which a reflow goes on."""
        emulator.reply = self._input_queue.reply

    @property
    def shell(self) -> Shell:
        """The current state of the shell."""
        return self._status.shell

    @property
    def idle(self) -> bool:
        """Whether it stands at a prompt, as far as its output shows (`PromptDetector`)."""
        return self._detacher.prompt.idle

    @property
    def unsent_paste_bytes(self) -> int:
        """Bytes of pastes not sent yet."""
        return self._input_queue.unsent_paste_bytes

    def type(self, data: bytes) -> None:
        """Send keys ahead of any paste; Ctrl-C drops the un-sent rest of one at once."""
        if self.shell.state.over or self._detacher.requested.is_set():
            return
        self._typed_at = self._clock.monotonic()
        if INTERRUPT in data:
            self._interrupted_at = self._typed_at
        self._input_queue.type(data)

    def paste(self, data: bytes) -> None:
        """Send a lot, in pieces, no faster than the remote reads."""
        if not self.shell.state.over and not self._detacher.requested.is_set():
            self._input_queue.paste(data)

    def cancel_paste(self) -> None:
        """Forget what of a paste is not sent yet."""
        self._input_queue.drop_paste()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size here at once and there soon; of many, the last one counts."""
        self._apply_size(columns, lines)
        self._resized.set()

    def detach(self) -> None:
        """Leave: an idle shell is asked to end, a busy one is left to its server; idempotent."""
        self._detacher.requested.set()
        self._input_queue.drop_paste()

    async def run(self, columns: int, lines: int) -> Shell:
        """Open, serve until the end, close; a failure is in the shell that is returned."""
        self._apply_size(columns, lines)
        self._sent_size = self._size
        self._status.update(state=ShellState.CONNECTING)
        ending = CloseReason(ShellState.DETACHED, "the panel let go of it")
        try:
            ending = await self._open() or await self._serve()
        except Exception:
            log.exception("the session of %s failed", self.shell.sandbox)
            ending = CloseReason(
                ShellState.FAILED, "this panel failed to serve the shell; see its log"
            )
        finally:
            self._status.update(
                title=self._said("title"), folder=self._said("folder"), notice=self._notice()
            )
            if self._recorder is not None:
                self._recorder.close()
            self._status.finish(ending, self._output_buffer.skipped)
            self._request_paint()
            await self._transport.close()
        return self._status.shell

    async def _open(self) -> CloseReason | None:
        """Connect; an ending if that did not work or was called off."""
        opening = asyncio.ensure_future(self._transport.open(*self._size))
        leaving = asyncio.ensure_future(self._detacher.requested.wait())
        try:
            await asyncio.wait((opening, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                return CloseReason(ShellState.DETACHED, "called off before it was open")
            await opening
        except ShellError as error:
            said = f"{error.sentence}; {error.advice}" if error.advice else error.sentence
            return CloseReason(ShellState.FAILED, said, retry=error.retry)
        finally:
            for task in (opening, leaving):
                task.cancel()
            await asyncio.gather(opening, leaving, return_exceptions=True)
        return None

    async def _serve(self) -> CloseReason:
        self._last_received_at = self._clock.monotonic()
        self._end_reason = asyncio.get_running_loop().create_future()
        self._scheduler.add(self)
        self._scheduled = True
        try:
            async with asyncio.TaskGroup() as group:
                parts = [
                    group.create_task(part)
                    for part in (
                        self._read(),
                        self._detach_when_requested(),
                        self._watch_connection(),
                        self._send_size(),
                        self._input_queue.send_keys(),
                        self._input_queue.send_pastes(),
                    )
                ]
                ending = await self._end_reason
                for part in parts:
                    part.cancel()
        finally:
            self._end_reason.cancel()
            self._scheduled = False
            await self._scheduler.remove(self)
        await self._parse_rest()
        return ending

    def _end(self, ending: CloseReason) -> None:
        """Set the close reason; the first call wins."""
        if self._end_reason is not None and not self._end_reason.done():
            self._end_reason.set_result(ending)

    async def _read(self) -> None:
        """Read at the rate of the line, whatever the emulator does."""
        loop = asyncio.get_running_loop()
        reads, began = 0, loop.time()
        while True:
            asked = loop.time()
            output = await self._transport.read()
            if loop.time() - asked > _READ_SLICE_S:
                began = loop.time()  # It was waited for: others had their turns.
            if isinstance(output, CloseReason):
                break
            self._last_received_at = self._clock.monotonic()
            self._detacher.feed(output)
            if self._recorder is not None:
                self._recorder.output(output)
            self._output_buffer.append(output)
            if self.shell.state is ShellState.CONNECTING:
                self._status.update(state=ShellState.OPEN)
            self._scheduler.wake()
            reads += 1
            if reads >= _READS_IN_A_ROW or loop.time() - began > _READ_SLICE_S:
                # Neither a queue of frames nor a pseudo terminal suspends while there is more.
                await give_way()
                reads, began = 0, loop.time()
        if self._detacher.requested.is_set():
            output = replace(output, state=ShellState.DETACHED, retry=Retry.ASK)
        self._end(output)

    async def _watch_connection(self) -> None:
        self._end(
            await watch_keepalive(
                self._transport,
                self._clock,
                lambda: self._last_received_at,
                lambda: self._input_queue.outstanding,
            )
        )

    async def _detach_when_requested(self) -> None:
        self._end(await self._detacher.run())

    async def _send_size(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            if self._size != self._sent_size:
                self._sent_size = self._size
                await self._transport.resize(*self._size)
                await self._clock.sleep(RESIZE_GAP_S)

    @property
    def waiting(self) -> int:
        """Bytes read and not parsed, and lines not reflowed."""
        return len(self._output_buffer) + self.screen.unparsed + self.screen.unreflowed

    @property
    def skipping(self) -> bool:
        """Whether the middle of a flood is being dropped."""
        return self._output_buffer.skipping

    @property
    def answering(self) -> bool:
        """Whether a key was typed so lately that its echo is being waited for."""
        return self._clock.monotonic() - self._typed_at < ANSWER_S

    def catch_up(self) -> None:
        """For the scheduler: in a flood, go on with what came last."""
        self._output_buffer.catch_up()

    def parse(self, limit: int) -> None:
        """For the scheduler: feed the emulator as many bytes, or as much work, at most."""
        self._drop_after_interrupt()
        output = b"" if self.screen.unparsed else self._output_buffer.take(limit)
        if self._emulator_failed:
            return
        try:
            self.screen.feed(output, limit)
        except Exception:
            self._emulator_failed = True
            log.exception("the emulator of %s failed", self.shell.sandbox)
            self._end(
                CloseReason(ShellState.FAILED, "this panel could not draw the output; see its log")
            )

    def paint(self) -> None:
        """For the scheduler: show what was parsed."""
        self._output_buffer.after_frame()
        self._status.update(
            skipping=self._output_buffer.skipping,
            skipped_bytes=self._output_buffer.skipped,
            title=self._said("title"),
            folder=self._said("folder"),
            notice=self._notice(),
        )
        self._request_paint()

    def _drop_after_interrupt(self) -> None:
        """Skip output still buffered 0.5 s after a Ctrl-C."""
        if self._interrupted_at is None:
            return
        if len(self._output_buffer) <= KEPT_BYTES:
            self._interrupted_at = None
        elif self._clock.monotonic() - self._interrupted_at > STALE_AFTER_INTERRUPT_S:
            self._interrupted_at = None
            self._output_buffer.skip()

    async def _parse_rest(self) -> None:
        """Parse what is left in the buffer, yielding to the event loop."""
        self._output_buffer.skip()
        while self.waiting and not self._emulator_failed:
            self.parse(CHUNK_BYTES // 4)
            await asyncio.sleep(0)

    def _on_input_blocked(self, blocked: bool) -> None:
        self._status.update(input_blocked=blocked)

    def _apply_size(self, columns: int, lines: int) -> None:
        self._size = (max(columns, 2), max(lines, 1))
        self.screen.resize(*self._size, sliced=self._scheduled)
        self._scheduler.wake()
        if self._recorder is not None:
            self._recorder.resized(*self._size)

    def _notice(self) -> str:
        own = self._recorder.notice if self._recorder is not None else ""
        return " · ".join(part for part in (self._transport.notice, own) if part)

    def _said(self, what: str) -> str:
        """What the program told of itself; an emulator may not know of such a thing."""
        return sanitize(str(getattr(self.screen, what, "")), 200)

    def _request_paint(self) -> None:
        """Ask for a painting; a view that fails must not stop the other shells."""
        try:
            self._on_paint()
        except Exception:
            log.exception("the view of %s failed", self.shell.sandbox)
