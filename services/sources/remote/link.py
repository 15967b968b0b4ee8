"""The link to one far side: started when it is first asked for, made anew with pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from services.clock import Clock
from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.models import Event, GatewayState, Severity
from services.sources.remote.calls import FarStream
from services.sources.remote.command import FarCommand
from services.sources.remote.gate import ConnectGate
from services.sources.remote.mirror import Mirror
from services.sources.remote.session import FarSession, wait_for
from services.text.redact import redact_line
from services.wire.messages import Message, ShellOpen

SKEW_SAID_S = 2.0
"""A clock that differs by more is told of."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """How the link stands."""

    state: GatewayState
    sentence: str
    advice: str = ""
    since: float = 0.0
    product: str = ""
    """What answers there, with its version."""
    pid: int = 0
    retry_at: float | None = None
    asks: bool = False
    """ssh could ask for what is missing, in a terminal."""


class Link:
    """The link to one far side, kept by one task until `close`."""

    def __init__(
        self,
        key: str,
        label: str,
        command: FarCommand,
        clock: Clock,
        gate: ConnectGate,
        mirror: Mirror,
    ) -> None:
        self.label = label
        self.command = command
        self.mirror = mirror
        self.status = LinkStatus(GatewayState.SETTLING, "It is being connected.", since=clock.now())
        self.changed = asyncio.Event()
        """Set at every change; whoever waits clears it."""
        self.key = key
        self._clock = clock
        self._gate = gate
        self._task: asyncio.Task[None] | None = None
        self._session: FarSession | None = None
        self._greeted = False
        self._failures = 0
        self._hurry = asyncio.Event()
        self._news = asyncio.Event()
        self._heard_at: float | None = None
        self._skew_said = False
        self._closed = False

    def start(self) -> None:
        """Make the link, unless that is under way."""
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._keep(), name=f"link {self.key}")

    @property
    def connected(self) -> bool:
        """Whether the far side has said hello and is there."""
        session = self._session
        return session is not None and session.hello is not None and not session.over

    @property
    def latency_s(self) -> float | None:
        """How long the last ping took; None where there is no link."""
        return self._session.latency_s if self._session is not None and self.connected else None

    def retry_now(self) -> None:
        """Do not wait for the next try."""
        self._hurry.set()

    async def settled(self, seconds: float) -> bool:
        """Wait until it is connected and told whole, or a try failed; whether it is connected."""
        failures = self._failures
        try:
            async with asyncio.timeout(seconds):
                while not (self.connected and self.mirror.complete):
                    if self._failures > failures:
                        break
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        return self.connected

    async def close(self) -> None:
        """End it and its process; idempotent."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def call(self, method: str, args: Mapping[str, Any]) -> FarStream:
        """Begin a call.

        Raises:
            UnavailableError: there is no link now, with the reason.
        """
        return self._live().call(method, args)

    def open_shell(self, opening: ShellOpen) -> FarStream:
        """Begin a shell; `opening.id` is replaced.

        Raises:
            UnavailableError: there is no link now, with the reason.
        """
        return self._live().open_shell(opening)

    def send(self, message: Message) -> None:
        """Send a message; nothing where there is no link."""
        if self._session is not None and self.connected:
            self._session.send(message)

    def _live(self) -> FarSession:
        if self._session is None or not self.connected:
            said = self.status
            raise UnavailableError(f"{self.label}: {said.sentence}", advice=said.advice)
        return self._session

    async def _keep(self) -> None:
        while True:
            self._hurry.clear()
            self._greeted = False
            self._session = FarSession(
                self.label,
                self.command,
                self._clock,
                self.mirror,
                self._heard_news,
                self._heard_at,
            )
            failure = await self._session.run(self._gate)
            now = self._clock.now()
            if self._greeted:
                self.mirror.lost()
                self._heard_at, self._failures = now, 0
            self._failures += 1
            pause = self._gate.pause_s(self._failures, failure.lasting)
            same = self.status.state is failure.state
            self.status = LinkStatus(
                failure.state,
                failure.sentence,
                failure.advice,
                since=self.status.since if same else now,
                retry_at=now + pause,
                asks=failure.asks,
            )
            self._notify()
            await wait_for(self._hurry, pause, self._clock)

    def _heard_news(self) -> None:
        session = self._session
        if session is not None and session.hello is not None and not self._greeted:
            self._greeted = True
            hello = session.hello
            self.status = LinkStatus(
                GatewayState.READY,
                "",
                since=self._clock.now(),
                product=redact_line(f"{hello.product} {hello.version}".strip(), 60),
                pid=max(0, hello.pid),
            )
        self._note_skew()
        self._notify()

    def _note_skew(self) -> None:
        skew = self.mirror.offset_s
        if abs(skew) > SKEW_SAID_S and not self._skew_said:
            self._skew_said = True
            text = f"{self.label}: {skew_sentence(skew)}"
            now = self._clock.now()
            self.mirror.happened((Event(now, Severity.INFO, self.key, self.key, "panel", text),))

    def _notify(self) -> None:
        self.changed.set()
        self._news.set()


def skew_sentence(skew_s: float) -> str:
    """That its clock differs, for the operator."""
    way = "behind" if skew_s > 0 else "ahead"
    return f"Its clock is {abs(skew_s):.0f} s {way}; ages are right all the same."
