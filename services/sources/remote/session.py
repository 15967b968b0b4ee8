"""One link to a far side from its start to its end: greeted, listened to, ended.

What arrives is taken in as it comes: rows go to the mirror, the rest to the stream it belongs to.
Nothing the far side says makes this side do anything but show it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec

from services.clock import Clock
from services.errors import ProcessError, UnavailableError
from services.process.child import ChildProcess, run_to_completion, start
from services.process.identity import ProcessId
from services.sources.remote import failures
from services.sources.remote.calls import FarStream
from services.sources.remote.command import FarCommand
from services.sources.remote.failures import Ending, LinkFailure
from services.sources.remote.gate import ConnectGate
from services.sources.remote.mirror import Mirror
from services.text.redact import redact_line
from services.text.sanitize import sanitize_block
from services.wire.frames import FrameReader, WireError
from services.wire.messages import (
    MOST_CALLS,
    PING_S,
    PINGS_MISSED,
    PROTOCOL,
    WINDOW,
    Call,
    Delta,
    Done,
    Failed,
    Hello,
    Item,
    Message,
    Ping,
    Pong,
    ShellData,
    ShellEnded,
    ShellOpen,
    ShellWindow,
    decode,
    encode,
)

HELLO_S = 20.0
"""How long a far side has to say hello, its connection included."""
LATE_S = 0.25
"""Of each second, how long what is no byte of a shell may keep this process busy."""
LEAST_HEARD = 2048
"""So many bytes of a message that is not whole yet, between two pings, are a sign of life."""
PAST_S = 86_400.0
"""How far back a panel that has just begun wants to hear what happened there."""
MOST_UNSENT = 2 * MOST_CALLS * WINDOW
"""Bytes that wait to be taken there; who keeps to its windows never has half of it waiting."""
_STDERR_BYTES = 8 << 10
_LOG = logging.getLogger(__name__)


class FarSession:
    """One started command and what is said over it; `run` once."""

    def __init__(
        self,
        label: str,
        command: FarCommand,
        clock: Clock,
        mirror: Mirror,
        on_news: Callable[[], None],
        events_after: float | None,
    ) -> None:
        """`on_news` hears that something changed; `events_after` is by this machine's clock."""
        self.hello: Hello | None = None
        """What the far side said of itself; None before."""
        self.latency_s: float | None = None
        self.over = False
        self._label = label
        self._command = command
        self._clock = clock
        self._mirror = mirror
        self._on_news = on_news
        self._events_after = events_after
        self._child: ChildProcess | None = None
        self._frames = FrameReader()
        self._stderr: deque[bytes] = deque(maxlen=16)
        self._failure: LinkFailure | None = None
        self._ended = asyncio.Event()
        self._greeted = asyncio.Event()
        self._streams: dict[int, FarStream] = {}
        self._ids = itertools.count(1)
        self._unanswered = 0
        self._heard = 0
        self._asked_again: set[str] = set()
        self._busy_s = 0.0
        self._busy_since = 0.0

    async def run(self, gate: ConnectGate) -> LinkFailure:
        """Make the link and keep it to its end: why it ended."""
        try:
            async with gate.turn():
                failure = await self._greet()
            return failure or await self._listen()
        except ProcessError as error:
            return failures.not_started(error.sentence, error.advice)
        finally:
            self.over = True
            lost = UnavailableError(f"The link to {self._label} was lost; the outcome is unknown.")
            for stream in list(self._streams.values()):
                stream.lose(lost)
            self._streams.clear()
            if self._child is not None:
                await run_to_completion(_end(self._child))

    def call(self, method: str, args: Mapping[str, Any]) -> FarStream:
        """Begin a call.

        Raises:
            UnavailableError: there are too many.
        """
        stream = self._stream()
        self.send(Call(stream.id, method, dict(args)))
        return stream

    def open_shell(self, opening: ShellOpen) -> FarStream:
        """Begin a shell; `opening.id` is replaced.

        Raises:
            UnavailableError: there are too many.
        """
        stream = self._stream()
        self.send(msgspec.structs.replace(opening, id=stream.id))
        return stream

    def send(self, message: Message) -> None:
        """Send a message; nothing where the link is gone."""
        pipe = None if self._child is None else self._child.pipe(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            if pipe.get_write_buffer_size() > MOST_UNSENT:
                self._fail(failures.takes_nothing(self._command.place))
                return
            pipe.write(encode(message))

    def _stream(self) -> FarStream:
        if len(self._streams) >= MOST_CALLS:
            raise UnavailableError(f"Too much is asked of {self._label} at once.")
        id = next(self._ids)
        stream = FarStream(id, self.send, self._forget, self._label)
        self._streams[id] = stream
        return stream

    def _forget(self, id: int) -> None:
        self._streams.pop(id, None)

    async def _greet(self) -> LinkFailure | None:
        """Start the command and wait for its hello; why there was none."""
        self._child = await start(
            self._command.argv,
            self._received,
            cwd=None,
            env=None,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        child = self._child.child
        child.notify = self._check_ended
        self._check_ended()
        waits = [asyncio.ensure_future(one.wait()) for one in (self._greeted, self._ended)]
        limit = asyncio.ensure_future(self._clock.sleep(HELLO_S))
        try:
            await asyncio.wait((*waits, limit), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*waits, limit):
                task.cancel()
        if self._failure is not None:
            return self._failure
        if self.hello is not None:
            return None
        if self._ended.is_set():
            return failures.ended(self._command, self._ending())
        return failures.no_hello(self._command, HELLO_S, self._ending())

    async def _listen(self) -> LinkFailure:
        """Ping until the link is lost; why it was."""
        while not await wait_for(self._ended, PING_S, self._clock):
            if self._heard >= LEAST_HEARD:
                self._unanswered = 0
            self._heard = 0
            if self._unanswered >= PINGS_MISSED:
                return failures.stalled(self._command.place, PING_S * PINGS_MISSED)
            self._unanswered += 1
            self.send(Ping(self._clock.monotonic()))
        return self._failure or failures.ended(self._command, self._ending())

    def _ending(self) -> Ending:
        child = self._child
        text = b"".join(self._stderr)[-_STDERR_BYTES:].decode("utf-8", "replace")
        noise = bytes(self._frames.noise[-_STDERR_BYTES:]).decode("utf-8", "replace")
        return Ending(
            None if child is None or not child.child.exited.is_set() else child.code,
            sanitize_block(text),
            sanitize_block(noise),
            self.hello is not None,
            self._frames.unfinished,
        )

    def _check_ended(self) -> None:
        child = self._child
        if child is not None and child.child.exited.is_set() and child.child.drained.is_set():
            self._ended.set()

    def _received(self, fd: int, data: bytes) -> None:
        """Take in what the far side wrote; called as it comes."""
        if fd != 1:
            self._stderr.append(data[-_STDERR_BYTES:])
            return
        if self._failure is not None:
            return
        self._heard += len(data)
        try:
            for payload in self._frames.feed(data):
                self._take(payload)
        except WireError as error:
            self._fail(failures.not_understood(self._command.place, str(error)))
        except Exception as error:
            _LOG.exception("%s: what came could not be taken in", self._label)
            self._fail(failures.not_understood(self._command.place, type(error).__name__))

    def _fail(self, failure: LinkFailure) -> None:
        self._failure = failure
        self._ended.set()

    def _take(self, payload: bytes) -> None:
        began = self._clock.monotonic()
        message = decode(payload)
        if isinstance(message, str):
            return
        self._unanswered = 0
        if self.hello is None:
            if isinstance(message, Hello):
                self._greet_back(message)
                return
            raise WireError("its first message is no hello")
        if isinstance(message, ShellData):
            self._hand_over(message.id, message)
            return
        if isinstance(message, Delta):
            self._take_delta(message)
        else:
            self._take_answer(message)
        self._throttle(began)

    def _take_delta(self, delta: Delta) -> None:
        if delta.full:
            self._asked_again.discard(delta.source)
        if not self._mirror.take(delta) and delta.source not in self._asked_again:
            self._asked_again.add(delta.source)
            self.call("refresh", {"source": delta.source, "full": True})
        self._on_news()

    def _take_answer(self, message: Message) -> None:
        match message:
            case Item(id) | Done(id) | Failed(id) | ShellOpen(id) | ShellEnded(id):
                self._hand_over(id, message)
            case ShellWindow(id, size):
                if id in self._streams:
                    self._streams[id].credit.grant(size)
            case Ping(t):
                self.send(Pong(t))
            case Pong(t):
                latency = self._clock.monotonic() - t
                if 0 <= latency < 3600:
                    self.latency_s = latency
                    self._on_news()
            case _:
                pass  # Nothing else is for this side: it is never asked to do anything.

    def _hand_over(self, id: int, message: Message) -> None:
        stream = self._streams.get(id)
        if stream is not None and not stream.arrived(message):
            raise WireError("it sent more than it was allowed")

    def _greet_back(self, hello: Hello) -> None:
        place = self._command.place
        if hello.protocol != PROTOCOL:
            theirs = redact_line(f"{hello.product or 'something'} {hello.version}".strip(), 60)
            ours = f"wakedeck {version('wakedeck')}"
            self._fail(failures.other_version(place, theirs, hello.protocol, ours, PROTOCOL))
            return
        self._mirror.begin(hello)
        self.hello = hello
        me = ProcessId.capture()
        after = self._events_after
        if after is None:
            after = self._clock.now() - PAST_S
        self.send(
            Hello(
                protocol=PROTOCOL,
                product="wakedeck",
                version=version("wakedeck"),
                pid=os.getpid(),
                boot_id="" if me is None else me.boot_id,
                now=self._clock.now(),
                events_after=after - self._mirror.offset_s,
            )
        )
        self._greeted.set()
        self._on_news()
        self.send(Ping(self._clock.monotonic()))

    def _throttle(self, began: float) -> None:
        """A far side that says more than can be taken in is read more slowly."""
        now = self._clock.monotonic()
        if now - self._busy_since > 1.0:
            self._busy_since, self._busy_s = now, 0.0
        self._busy_s += now - began
        pipe = None if self._child is None else self._child.pipe(1)
        if self._busy_s > LATE_S and isinstance(pipe, asyncio.ReadTransport):
            pipe.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_later(self._busy_since + 1.0 - now, _resume, pipe)


async def wait_for(event: asyncio.Event, seconds: float, clock: Clock) -> bool:
    """Wait for an event, at most so long; whether it is set."""
    waiting = asyncio.ensure_future(event.wait())
    limit = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((waiting, limit), return_when=asyncio.FIRST_COMPLETED)
        return event.is_set()
    finally:
        waiting.cancel()
        limit.cancel()


def _resume(pipe: asyncio.ReadTransport) -> None:
    if not pipe.is_closing():
        pipe.resume_reading()


async def _end(child: ChildProcess) -> None:
    """Let the far side end by the end of its input, then end what is left of the command."""
    pipe = child.pipe(0)
    if pipe is not None:
        pipe.close()
    if not child.child.exited.is_set():
        await child.end()
    await child.release()
