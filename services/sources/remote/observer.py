"""Looks at a far side: rows as they were last told, the rest asked for. Nothing here acts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Direction,
    Gateway,
    GatewayId,
    LogStream,
    Observation,
    QueueSnapshot,
    SandboxId,
    Source,
    Unknown,
)
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.sources.remote.calls import whole_answer
from services.sources.remote.link import Link, skew_sentence
from services.sources.remote.mirror import FarSource
from services.text.format import duration
from services.text.redact import redact, redact_line
from services.text.sanitize import sanitize_block
from services.wire.frames import WireError
from services.wire.incoming import streams_of, verdict_of

T = TypeVar("T")
FIRST_S = 9.0
"""How long a command waits for the first whole picture."""
LISTENING_S = 3.0
"""How long a panel does: what is told later is new to it."""
ASK_S = 20.0
"""How long an answer to one question may take."""
RELINK_S = 6.0
"""How long a probe waits for a link that is being made anew."""
LONGEST_CONTENT = 1 << 20


class RemoteObserver:
    """One far side, through its link."""

    def __init__(self, info: Source, link: Link, clock: Clock, renew_s: float) -> None:
        self.info = info
        self._link = link
        self._clock = clock
        self._renew_s = renew_s
        self._listening = asyncio.Event()
        self._answered = False

    async def observe(self) -> Observation:
        """The rows there are. The far side's own words are the row of the link."""
        link, mirror = self._link, self._link.mirror
        link.start()
        if not self._answered:
            await self._first()
        now = self._clock.now()
        unknown = list(mirror.unknown())
        if not link.connected:
            unknown = [(None, Unknown(link.status.sentence))]
        return Observation(
            source=self.info.key,
            observed_at=now,
            gateways=(self._way(now), *mirror.gateways()),
            sandboxes=tuple(mirror.sandboxes(self._renew_s)),
            unknown=tuple(unknown),
            deleted=mirror.deleted,
            unknown_words=mirror.take_words(),
            events=mirror.take_events(),
            interval_s=mirror.interval_s,
        )

    async def news(self) -> None:
        """Return when something was told."""
        self._listening.set()
        self._link.start()
        self._link.changed.clear()
        await self._link.changed.wait()

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        far, args = self._target(sandbox)
        items = await self._ask("queue", args | {"window": window})
        return self._read(lambda: far.incoming.queue(sandbox, items, self._clock.now()))

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        _, args = self._target(sandbox)
        args |= {"direction": direction.value, "message": message}
        items = await self._ask("content", args)
        text = "".join(one for one in items if isinstance(one, str))
        return redact(sanitize_block(text, LONGEST_CONTENT))

    async def probe(self, sandbox: SandboxId) -> Verdict:
        """A link that is down is tried at once: nothing is known before it is there."""
        link = self._link
        link.start()
        if not link.connected:
            link.retry_now()
            await link.settled(RELINK_S)
        if not link.connected:
            status = link.status
            return Verdict(VerdictKind.UNKNOWN, status.sentence, advice=status.advice)
        try:
            _, args = self._target(sandbox)
            items = await self._ask("probe", args)
            return self._read(lambda: verdict_of(items[0] if items else None))
        except UnavailableError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        except NotFoundError as error:
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice=error.advice)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        _, args = self._target(sandbox)
        items = await self._ask("log_streams", args)
        return self._read(lambda: streams_of(items[0]) if items else ())

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncGenerator[LogRecord]:
        far, args = self._target(sandbox)
        there = None if since is None else since - self._link.mirror.offset_s
        call = self._link.call("logs", args | {"stream": stream, "since": there})
        async with aclosing(call.items()) as items:
            async for item in items:
                yield self._read(partial(far.incoming.record, item))

    async def close(self) -> None:
        await self._link.close()

    async def _first(self) -> None:
        """Wait for the first whole picture or a failure, not for long where news are heard."""
        settling = asyncio.ensure_future(self._link.settled(FIRST_S))
        try:
            await asyncio.wait((settling,), timeout=LISTENING_S)
            if not self._listening.is_set():
                await settling
        finally:
            settling.cancel()
        self._answered = True

    def _way(self, now: float) -> Gateway:
        link = self._link
        status, mirror = link.status, link.mirror
        evidence = [("reached by", redact_line(" ".join(link.command.argv), 300))]
        reason = f"{status.sentence} {status.advice}".strip()
        address = link.command.place
        if link.connected:
            address = f"{address} · {status.product}" if status.product else address
            skew = mirror.offset_s
            reason = skew_sentence(skew) if abs(skew) > 2.0 else ""
            evidence += [("answers", status.product), ("process there", str(status.pid))]
            evidence.append(("clock", f"{-skew:+.1f} s" if skew else "agrees"))
            for key, far in mirror.far.items():
                said = far.problem or f"{len(far.sandboxes)} sandboxes"
                evidence.append((f"source {key}", f"{far.info.kind}: {said}"[:200]))
        elif status.retry_at is not None:
            left = max(0.0, status.retry_at - now)
            evidence.append(("tried again in", duration(left)))
        return Gateway(
            id=GatewayId(self.info.key, self.info.key),
            name=self.info.label,
            state=status.state,
            reason=reason,
            observed_at=now,
            address=address,
            latency_s=link.latency_s,
            evidence=tuple(evidence),
            since=status.since,
        )

    def _target(self, sandbox: SandboxId) -> tuple[FarSource, dict[str, Any]]:
        self._link.start()
        found = self._link.mirror.split(sandbox)
        if found is None:
            if not self._link.connected:
                status = self._link.status
                raise UnavailableError(status.sentence, advice=status.advice)
            raise NotFoundError(f"{self.info.label} has no {sandbox.native_id!r}.")
        far, native = found
        return far, {"source": far.info.key, "sandbox": native}

    async def _ask(self, method: str, args: dict[str, Any]) -> list[object]:
        """One question with all of its answer."""
        return await whole_answer(self._link.call(method, args), ASK_S, self.info.label)

    def _read(self, read: Callable[[], T]) -> T:
        """What was answered, read; what cannot be is the far side's failure."""
        try:
            return read()
        except WireError as error:
            raise UnavailableError(f"{self.info.label}: {error}.") from error
