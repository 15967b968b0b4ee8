"""One connection to a gateway: its handshake, its requests, what it pushes and why it refuses."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from services.agents.openclaw.device import DeviceIdentity
from services.agents.openclaw.evidence import ConnectionState
from services.agents.openclaw.wire import (
    CHALLENGE,
    NO_SCHEMA,
    PROTOCOL,
    READ_SCOPE,
    GatewayAnswer,
    GatewayCredential,
    GatewayHello,
    GatewayPush,
    GatewayRefusal,
    decode_frame,
    encode_connect,
    encode_request,
    read_hello,
)
from services.clock import Clock
from services.errors import DeadlineError, UnavailableError
from services.text.sanitize import sanitize

HANDSHAKE_S = 15.0
CALL_S = 10.0
_MOST_MALFORMED = 8
_MOST_WAITING = 32
NO_SCOPE = GatewayRefusal("NO_SCOPE")
"""It let us in and gave no right to read."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_PAIR = "It is tried again every 10 s for 10 min; `r` begins anew."
_REFUSED_FOR: dict[str, tuple[str, str]] = {
    "AUTH_TOKEN_MISMATCH": ("the token it is shown is another one than its own", ""),
    "AUTH_PASSWORD_MISMATCH": ("the password it is shown is another one than its own", ""),
    "AUTH_TOKEN_MISSING": ("it asks for a token", "Name one in the table of this source."),
    "AUTH_PASSWORD_MISSING": ("it asks for a password", "Name one in the table of this source."),
    "AUTH_RATE_LIMITED": ("it was shown wrong credentials too often", "Reconnect in 5 min."),
    "DEVICE_IDENTITY_REQUIRED": (
        "it asks for a paired device",
        "From another machine `r` asks it to pair this panel; from its own one, or over a tunnel, "
        "it can be read with `gateway.auth.mode` `token`.",
    ),
    "AUTH_SCOPE_MISMATCH": ("the credential gives no right to read", ""),
    "NO_SCOPE": (
        f"it gives no right to read ({READ_SCOPE})",
        "It lets paired devices alone read: `r` asks it to pair this panel; or use a tunnel.",
    ),
}
PAIRING = frozenset({"NOT_PAIRED", "PAIRING_REQUIRED"})
_PASSING = ("UNAVAILABLE", "startup-sidecars")


class GatewayChannel(Protocol):
    """Carries whole frames to and from one gateway."""

    async def send(self, text: str) -> None:
        """Send one frame; nothing once the channel is gone."""

    async def receive(self) -> bytes:
        """The next frame.

        Raises:
            ChannelLostError: there is none; the sentence says why.
        """

    async def close(self) -> None:
        """Let go; idempotent."""


class ChannelLostError(UnavailableError):
    """The connection to a gateway ended."""


class GatewayRefusedError(UnavailableError):
    """The gateway refused a request."""

    def __init__(self, refusal: GatewayRefusal) -> None:
        super().__init__(f"The gateway refused it ({refusal.code}).")
        self.refusal = refusal


class GatewayConnection:
    """Speaks over one channel; used by one task that runs `run`, and any that `call`."""

    def __init__(
        self, channel: GatewayChannel, clock: Clock, on_push: Callable[[GatewayPush, bool], None]
    ) -> None:
        """`on_push` is given what was told, and whether something before it was missed."""
        self._channel = channel
        self._clock = clock
        self._on_push = on_push
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._seq: int | None = None
        self._malformed = 0
        self.heard_at = clock.monotonic()
        """When the last frame came, of the monotonic clock."""

    async def enter(
        self,
        version: str,
        credential: Callable[[], Awaitable[GatewayCredential | None]],
        device: DeviceIdentity | None = None,
    ) -> GatewayHello:
        """The handshake; the credential is asked for when the challenge is there.

        Raises:
            GatewayRefusedError: it does not let us in.
            ChannelLostError: it ended, or did not speak as a gateway does in time.
            UnavailableError: there is no credential that may be shown.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                while True:
                    first = await self._next()
                    if isinstance(first, GatewayPush) and first.event == CHALLENGE:
                        break
                number = str(next(self._numbers))
                shown = await credential()
                await self._channel.send(
                    encode_connect(number, version, shown, device, first.fields)
                )
                while True:
                    answer = await self._next()
                    if isinstance(answer, GatewayAnswer) and answer.id == number:
                        break
        except TimeoutError:
            raise ChannelLostError(
                f"It did not finish its handshake within {HANDSHAKE_S:g} s."
            ) from None
        if answer.refusal is not None:
            raise GatewayRefusedError(answer.refusal)
        return read_hello(answer.payload)

    async def run(self) -> None:
        """Read until it ends.

        Raises:
            ChannelLostError: always, with the reason.
        """
        try:
            while True:
                frame = await self._next()
                if isinstance(frame, GatewayAnswer):
                    self._settle(frame)
                elif isinstance(frame, GatewayPush):
                    self._on_push(frame, self._has_gap(frame.seq))
        finally:
            for future in self._waiting.values():
                future.cancel()

    async def call(
        self, method: str, params: Mapping[str, object] | None = None, limit_s: float = CALL_S
    ) -> Any:
        """What it answers; answers come in any order.

        Raises:
            GatewayRefusedError: it refused.
            DeadlineError: no answer in time.
            UnavailableError: the connection ended, or too much waits already.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise UnavailableError("Too many requests wait for an answer already.")
        number = str(next(self._numbers))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(limit_s):
                await self._channel.send(encode_request(number, method, params))
                return await future
        except TimeoutError:
            raise DeadlineError(f"It did not answer {method} within {limit_s:g} s.") from None
        except asyncio.CancelledError:
            if not future.cancelled() or _cancelled_from_outside():
                raise
            raise ChannelLostError("The connection ended before it answered.") from None
        finally:
            self._waiting.pop(number, None)

    async def _next(self) -> GatewayAnswer | GatewayPush:
        while True:
            frame = decode_frame(await self._channel.receive())
            self.heard_at = self._clock.monotonic()
            if frame is not None:
                return frame
            self._malformed += 1
            if self._malformed >= _MOST_MALFORMED:
                raise ChannelLostError("It sends what is no message of a gateway.")

    def _settle(self, answer: GatewayAnswer) -> None:
        future = self._waiting.get(answer.id)
        if future is None or future.done():
            return
        if answer.refusal is not None:
            future.set_exception(GatewayRefusedError(answer.refusal))
        else:
            future.set_result(answer.payload)

    def _has_gap(self, seq: int | None) -> bool:
        if seq is None:
            return False
        before, self._seq = self._seq, seq
        return before is not None and seq != before + 1


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def explain_refusal(refusal: GatewayRefusal) -> tuple[ConnectionState, str, str]:
    """How the connection stands after it, why in a sentence, and what to do; by its codes alone."""
    if refusal.code in _PASSING or refusal.reason in _PASSING:
        return ConnectionState.LOST, "It is not ready for a connection yet.", ""
    if refusal.code == "PROTOCOL_MISMATCH":
        speaks = f"protocol {refusal.expected}" if refusal.expected else "another protocol"
        older = "OpenClaw" if 0 < refusal.expected < PROTOCOL else "this panel"
        why = f"It speaks {speaks}, this panel {PROTOCOL}: only its probes are shown."
        return ConnectionState.OTHER_PROTOCOL, why, f"Update {older}."
    if refusal.code == NO_SCHEMA:
        why = "It does not take this panel's way to connect: only its probes are shown."
        return ConnectionState.OTHER_PROTOCOL, why, "Its release and this panel's do not fit."
    if refusal.code in PAIRING:
        # It stands in a command to paste.
        request = refusal.request_id if _ID.fullmatch(refusal.request_id) else ""
        how = f"On its machine: `openclaw devices approve {request}`." if request else ""
        why = f"This gateway does not know this panel yet. {how}".strip()
        return ConnectionState.REFUSED, why, _PAIR
    said, advice = _REFUSED_FOR.get(refusal.code, (f"{sanitize(refusal.code, 60)}", ""))
    return ConnectionState.REFUSED, f"It runs, but refuses this panel: {said}.", advice
