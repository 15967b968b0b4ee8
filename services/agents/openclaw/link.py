"""Keeps one connection to a gateway, and what it tells up to date; it only ever reads.

Pushes say what changed; the lists behind them are asked anew, none more often than every 15 s, and
all of them now and then where nothing was pushed. See upstream/openclaw: Following.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any, Protocol

from services.agents.openclaw.connection import (
    CALL_S,
    NO_SCOPE,
    PAIRING,
    ChannelLostError,
    GatewayChannel,
    GatewayConnection,
    GatewayRefusedError,
    explain_refusal,
)
from services.agents.openclaw.device import DeviceIdentity
from services.agents.openclaw.evidence import ConnectionState, Heard
from services.agents.openclaw.fields import number
from services.agents.openclaw.told import Told
from services.agents.openclaw.told_readers import forget_order, take, take_session
from services.agents.openclaw.wire import (
    LEAST_S,
    RARE,
    READ_SCOPE,
    READS,
    GatewayCredential,
    GatewayHello,
    GatewayPush,
    GatewayRefusal,
)
from services.clock import Clock
from services.errors import UnavailableError, WakedeckError
from services.text.sanitize import sanitize

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
CHECK_S = 2.0
"""A refused credential is looked at again so often, to see whether it is another one."""
_ROUND_S = 1.0
_MAY_TAKE_LONG = "usage.cost"
"""What is asked before it is enough to be shown."""
PAIRING_S, PAIRING_LIMIT_S = 10.0, 600.0
"""How often, and for how long, it is tried again while somebody has to approve this panel."""
_FOR_DEVICES = PAIRING | {NO_SCOPE.code, "DEVICE_IDENTITY_REQUIRED"}
_MAY_BE_HUGE, _MOST_CUT_SHORT = "config.get", 2
"""What may be larger than a frame may be, and how often that may end the connection."""
_DRAIN_S, _AWAY_S = 330.0, 60.0
"""A gateway that said it goes down and is still there, or away, for so long does something else."""
_TOUCHES: Mapping[str, tuple[str, ...]] = {
    "task": ("tasks.list", "diagnostics.lanes"),
    "cron": ("cron.list", "tasks.list"),
    "config.changed": ("agents.list", "channels.status", "status", "config.get"),
    "plugins.changed": ("channels.status", "status", "health"),
}
"""What a push makes worth asking."""


class Door(Protocol):
    """The way to one gateway, and what may be shown to it."""

    async def open(self) -> GatewayChannel:
        """A new channel.

        Raises:
            UnavailableError: there is none, with the reason.
        """

    async def credential(self) -> GatewayCredential | None:
        """What to show; None for nothing. Only for a listener that is proven to be the gateway.

        Raises:
            UnavailableError: it cannot be read, or may not be shown.
        """

    async def device(self) -> DeviceIdentity | None:
        """What we are known by there; None where nothing is to be proven.

        Raises:
            UnavailableError: it cannot be used.
        """

    async def fingerprint(self) -> str:
        """Another one when `credential` would give another one; holds nothing of it."""


class GatewayLink:
    """The connection to one gateway, made anew when it ends, from `start` to `stop`."""

    def __init__(
        self, door: Door, clock: Clock, version: str, changed: asyncio.Event, jitter: random.Random
    ) -> None:
        """`changed` is set whenever something else is known."""
        self._door = door
        self._clock = clock
        self._version = version
        self._changed = changed
        self._jitter = jitter
        self._task: asyncio.Task[None] | None = None
        self._retry = asyncio.Event()
        self._cleared = asyncio.Event()
        """Set once its probes were good after the last connection."""
        self._settled = asyncio.Event()
        self._connection: GatewayConnection | None = None
        self._state = ConnectionState.OFF
        self._problem = self._advice = self._draining = self._refusal = ""
        self._draining_at = self._back_by = 0.0
        self._was_told = False
        self._pairing_since: float | None = None
        self._cut_short = 0
        self._hello = GatewayHello()
        self._told = Told()
        self._asked: dict[str, float] = {}
        self._touched: set[str] = set()
        self._refused: set[str] = set()
        self._down: dict[str, float] = {}

    def start(self) -> None:
        """Connect, unless that is under way: its probes say that it has started. Idempotent."""
        self._cleared.set()
        if self._task is None or self._task.done():
            self._set(ConnectionState.CONNECTING)
            self._settled.clear()
            self._task = asyncio.ensure_future(self._keep())

    async def stop(self) -> None:
        """Let go of the connection; what was told is kept. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._draining = ""
        self._set(ConnectionState.OFF)

    def touch(self, method: str) -> None:
        """What a method tells may be another thing now: ask it as soon as it may be."""
        self._touched.add(method)

    def retry(self) -> None:
        """Try again at once where it waits; nothing where it reads."""
        if self._state is not ConnectionState.READING:
            self._settled.clear()
            self._retry.set()

    @property
    def asks_for_device(self) -> bool:
        """Whether it was refused because it lets paired devices alone read."""
        return self._refusal in _FOR_DEVICES

    async def settled(self, limit_s: float) -> None:
        """Return when it reads or has failed, `limit_s` at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._settled.wait()

    async def call(self, method: str, params: Mapping[str, object] | None = None) -> Any:
        """Ask for the operator.

        Raises:
            UnavailableError: it is not connected, refused or did not answer.
        """
        if self._connection is None:
            raise UnavailableError(self._problem or "There is no connection to the gateway.")
        return await self._connection.call(method, params)

    def heard(self) -> Heard:
        """How it stands and what was told."""
        now = self._clock.monotonic()
        since = now - self._asked.get("channels.status", now)
        return Heard(
            self._state,
            self._problem,
            self._advice,
            self._hello.version,
            self._hello.boot_id,
            self._told,
            tuple(
                (one, max(now - self._down.get(one.name, now), (one.starting_s or 0.0) + since))
                for one in self._told.channels or ()
                if one.down
            ),
            self._draining if now - self._draining_at < _DRAIN_S else "",
            max(0.0, self._back_by - now),
        )

    async def _keep(self) -> None:
        wait = FIRST_WAIT_S
        while True:
            self._was_told = self._retry.is_set()
            self._retry.clear()
            seen = await self._fingerprint()
            try:
                await self._live()
            except GatewayRefusedError as error:
                self._refusal = error.refusal.code
                state, self._problem, self._advice = explain_refusal(error.refusal)
                self._set(state)
                if self._waits_for_approval(error.refusal):
                    await self._pause(PAIRING_S)
                    continue
                if state is not ConnectionState.LOST:
                    await self._until_another(seen)
                    wait = FIRST_WAIT_S
                    continue
                wait = max(wait, min(error.refusal.retry_after_s or 0.0, LONGEST_WAIT_S))
            except WakedeckError as error:
                if self._state is ConnectionState.READING:
                    wait = FIRST_WAIT_S
                self._problem, self._advice = error.sentence, error.advice
                self._set(ConnectionState.LOST)
            except Exception as error:
                self._problem = f"Its connection failed ({sanitize(type(error).__name__, 60)})."
                self._set(ConnectionState.LOST)
            await self._pause(wait * self._jitter.uniform(0.8, 1.2))
            wait = min(wait * 2, LONGEST_WAIT_S)

    async def _pause(self, seconds: float) -> None:
        """Wait, also until its probes are good again, unless the operator wants it now."""
        self._cleared.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._retry.wait()
        waits = [asyncio.ensure_future(one.wait()) for one in (self._retry, self._cleared)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def _waits_for_approval(self, refusal: GatewayRefusal) -> bool:
        """Whether somebody may yet approve this panel; begun anew by the operator's key."""
        if refusal.code not in PAIRING:
            self._pairing_since = None
            return False
        now = self._clock.monotonic()
        if self._pairing_since is None or self._was_told:
            self._pairing_since = now
        return now - self._pairing_since < PAIRING_LIMIT_S

    async def _live(self) -> None:
        """One connection, to its end.

        Raises:
            WakedeckError: always, with the reason.
        """
        channel = await self._door.open()
        try:
            connection = GatewayConnection(channel, self._clock, self._on_push)
            device = await self._door.device()
            self._hello = await connection.enter(self._version, self._door.credential, device)
            if READ_SCOPE not in self._hello.scopes:
                raise GatewayRefusedError(NO_SCOPE)
            self._told = forget_order(self._told)
            self._asked.clear()
            self._touched.clear()
            self._refused = set(READS) - self._hello.methods
            if self._cut_short >= _MOST_CUT_SHORT:
                self._refused.add(_MAY_BE_HUGE)
            self._draining = self._problem = self._advice = self._refusal = ""
            self._back_by, self._pairing_since = 0.0, None
            self._connection = connection
            parts = [
                asyncio.ensure_future(connection.run()),
                asyncio.ensure_future(self._ask(connection)),
            ]
            try:
                await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._connection = None
                for part in parts:
                    part.cancel()
                ends = await asyncio.gather(*parts, return_exceptions=True)
            raise next(
                (end for end in ends if isinstance(end, Exception)),
                ChannelLostError("Its connection ended."),
            )
        finally:
            await channel.close()

    async def _ask(self, connection: GatewayConnection) -> None:
        while True:
            for method, every in READS.items():
                if method == _MAY_TAKE_LONG:
                    self._note_reading()
                if self._is_due(method, every):
                    await self._ask_one(connection, method)
            silent = self._clock.monotonic() - connection.heard_at
            if silent > 2 * self._hello.tick_s:
                raise ChannelLostError(f"Its connection has been silent for {silent:.0f} s.")
            await self._clock.sleep(_ROUND_S)

    async def _ask_one(self, connection: GatewayConnection, method: str) -> None:
        self._touched.discard(method)
        self._asked[method] = self._clock.monotonic()
        if method == "sessions.subscribe":
            self._asked["sessions.list"] = self._asked[method]
        try:
            payload = await connection.call(method, limit_s=CALL_S)
        except GatewayRefusedError:
            self._refused.add(method)
            return
        except ChannelLostError:
            self._cut_short += method == _MAY_BE_HUGE
            raise
        except UnavailableError:
            self._touched.add(method)
            return
        told = take(self._told, method, payload, self._clock.now())
        if told is self._told:
            self._touched.add(method)
            return
        self._told = told
        if method == "channels.status":
            self._note_down()
        if self._state is ConnectionState.READING:
            self._changed.set()

    def _note_reading(self) -> None:
        if self._state is not ConnectionState.READING:
            self._set(ConnectionState.READING)

    def _is_due(self, method: str, every: float) -> bool:
        if method in self._refused:
            return False
        asked = self._asked.get(method)
        if asked is None:
            return True
        passed = self._clock.monotonic() - asked
        if method in self._touched:
            return passed >= RARE.get(method, LEAST_S)
        return bool(every) and passed >= every

    def _note_down(self) -> None:
        now, down = self._clock.monotonic(), {}
        for one in self._told.channels or ():
            if one.down:
                down[one.name] = self._down.get(one.name, now)
        self._down = down

    def _on_push(self, push: GatewayPush, missed: bool) -> None:
        if missed:
            self._touched |= {"sessions.list", "tasks.list", "cron.list", "channels.status"}
        self._touched.update(_TOUCHES.get(push.event, ()))
        if push.event == "shutdown":
            self._draining_at = self._clock.monotonic()
            self._draining = sanitize(str(push.fields.get("reason") or "it restarts"), 80)
            if number(push.fields.get("restartExpectedMs")) is not None:
                self._back_by = self._draining_at + _AWAY_S
            self._changed.set()
        elif push.event == "sessions.changed":
            told = take_session(self._told, push.fields)
            if told is None:
                self._touched.add("sessions.list")
            elif told is not self._told:
                self._told = told
                self._changed.set()

    async def _until_another(self, before: str) -> None:
        """Return when the credential is another one, or on the operator's word."""
        while not self._retry.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._retry.wait()
            if await self._fingerprint() != before:
                return

    async def _fingerprint(self) -> str:
        try:
            return await self._door.fingerprint()
        except WakedeckError:
            return ""

    def _set(self, state: ConnectionState) -> None:
        self._state = state
        if state is not ConnectionState.CONNECTING:
            self._settled.set()
        self._changed.set()
