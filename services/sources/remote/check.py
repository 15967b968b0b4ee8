"""The conformance suite for programs that speak the source protocol.

It looks; it wakes, opens a shell and runs a command only in the sandbox that is named for it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.models import Capability, GatewayState, SandboxState
from services.process.child import wait_for_event
from services.sources.protocol.verdict import VerdictKind
from services.sources.remote.check_program import CheckedProgram, UnmetError, started
from services.text.redact import redact_line
from services.wire.frames import WireError, frame
from services.wire.incoming import Incoming, is_id
from services.wire.messages import (
    DELTA_GAP_S,
    PROTOCOL,
    WINDOW,
    Cancel,
    Delta,
    Failed,
    Hello,
    Item,
    Ping,
    Pong,
    ShellClose,
    ShellData,
    ShellEnded,
    ShellOpen,
    SourceInfo,
    encode,
)

REST_S = 4.0
"""How long it is watched while nothing is asked of it."""
LEAVE_S = 5.0
_STATES = {one.value for one in SandboxState} - {SandboxState.CUT_OFF.value}
_GATEWAY_STATES = {one.value for one in GatewayState}
_CAPABILITIES = {one.value for one in Capability}
_KINDS = {one.value for one in VerdictKind}


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One requirement and what came of it."""

    name: str
    ok: bool
    said: str = ""
    """What was wrong, or why it was not tried."""
    skipped: bool = False


class SourceCheck:
    """Runs the requirements in order; `act_on` is the sandbox that may be acted upon."""

    def __init__(self, argv: Sequence[str], act_on: str = "") -> None:
        self._argv = tuple(argv)
        self._act_on = act_on

    async def run(self) -> list[CheckFinding]:
        """Every requirement with its outcome.

        Raises:
            ProcessError: the program cannot be started.
        """
        found: list[CheckFinding] = []
        async with started(self._argv) as peer:
            for name, requirement in _REQUIREMENTS:
                found.append(await self._one(name, requirement(self, peer)))
                if not found[-1].ok and name in _NEEDED:
                    break
            found.append(await self._one("its input's end ends it within 5 s", _leaves(peer)))
        return found

    async def _one(self, name: str, requirement: Awaitable[str | None]) -> CheckFinding:
        try:
            said = await requirement
        except UnmetError as error:
            return CheckFinding(name, False, redact_line(str(error)))
        return CheckFinding(name, True, said or "", skipped=bool(said))

    async def _says_hello(self, peer: CheckedProgram) -> None:
        hello = await peer.until(lambda: peer.hello, "no hello")
        if peer.frames.noise:
            raise UnmetError(f"{len(peer.frames.noise)} bytes came before the hello")
        if hello.protocol != PROTOCOL:
            raise UnmetError(f"protocol is {hello.protocol}, not {PROTOCOL}")
        if not hello.product or not hello.version:
            raise UnmetError("product or version is empty")
        if abs(time.time() - hello.now) > 5:
            raise UnmetError("now is not this machine's time in seconds since 1970")
        peer.say(encode(Hello(PROTOCOL, "wakedeck-check", "1", now=time.time())))

    async def _names_its_sources(self, peer: CheckedProgram) -> None:
        sources = _sources(peer)
        if not sources:
            raise UnmetError("sources is empty")
        keys = [one.key for one in sources]
        if len(set(keys)) != len(keys):
            raise UnmetError("two sources have the same key")
        for one in sources:
            if not is_id(one.key) or "/" in one.key:
                raise UnmetError(f"the key {one.key!r} is empty, too long or has a slash")
            unknown = (set(one.capabilities) | set(one.unavailable)) - _CAPABILITIES
            if unknown:
                raise UnmetError(f"{one.key}: no capability is called {sorted(unknown)}")
            silent = _CAPABILITIES - set(one.capabilities) - set(one.unavailable)
            if silent:
                raise UnmetError(f"{one.key}: no reason why it lacks {sorted(silent)}")

    async def _tells_the_whole_picture(self, peer: CheckedProgram) -> None:
        for one in _sources(peer):
            await self._whole(peer, one.key, 0)

    async def _whole(self, peer: CheckedProgram, key: str, after: int) -> None:
        """Wait for a whole picture of a source, and judge its rows."""

        def parts() -> list[Delta]:
            told = [delta for _, delta in peer.times[after:] if delta.source == key]
            first = next((n for n, one in enumerate(told) if one.full), None)
            if first is None:
                return []
            last = next((n for n in range(first, len(told)) if not told[n].more), None)
            return [] if last is None else told[first : last + 1]

        picture = await peer.until(parts, f"{key}: no delta with full")
        _judge_picture(key, picture)

    async def _rests(self, peer: CheckedProgram) -> None:
        began = len(peer.times)
        await asyncio.sleep(REST_S)
        if peer.error:
            raise UnmetError(peer.error)
        for one in _sources(peer):
            told = [delta for _, delta in peer.times if delta.source == one.key]
            for before, after in itertools.pairwise(told):
                if after.seq != before.seq + 1:
                    raise UnmetError(f"{one.key}: seq went from {before.seq} to {after.seq}")
            pushed = [d for _, d in peer.times[began:] if d.source == one.key and not d.more]
            if len(pushed) > REST_S / DELTA_GAP_S + 1:
                raise UnmetError(f"{one.key}: {len(pushed)} deltas in {REST_S:g} s")
            links = [delta.link for delta in told if delta.link is not None]
            fails = bool(links and links[-1].problem)
            renews = fails or any(delta.at is not None for delta in pushed)
            if one.interval_s < REST_S / 2 and not renews:
                raise UnmetError(f"{one.key}: at was not renewed within {REST_S:g} s")

    async def _answers_pings(self, peer: CheckedProgram) -> None:
        t = time.monotonic()
        peer.say(encode(Ping(t)))
        pongs = [one for one in peer.heard if isinstance(one, Pong)]
        await peer.until(
            lambda: [one for one in peer.heard if isinstance(one, Pong) and one.t == t],
            f"no pong with the same t (it said {[one.t for one in pongs]})",
        )

    async def _bears_the_unknown(self, peer: CheckedProgram) -> None:
        packed = msgspec.msgpack.encode
        peer.say(frame(packed({"type": "of_a_later_version", "id": 9, "more": [1, None]})))
        id, peer.next_id = peer.next_id, peer.next_id + 1
        call = {"type": "call", "id": id, "method": "of_a_later_version", "args": {"x": 1}, "y": 2}
        peer.say(frame(packed(call)))
        last = (await peer.answer(id, "an unknown method"))[-1]
        if not isinstance(last, Failed) or not last.sentence:
            raise UnmetError("an unknown method is not answered by failed with a sentence")
        await self._answers_pings(peer)

    async def _tells_it_again(self, peer: CheckedProgram) -> None:
        for one in _sources(peer):
            after = len(peer.times)
            id = peer.call("refresh", source=one.key, full=True)
            last = (await peer.answer(id, "refresh"))[-1]
            if isinstance(last, Failed):
                raise UnmetError(f"refresh failed: {last.sentence}")
            await self._whole(peer, one.key, after)

    async def _refuses_the_absent(self, peer: CheckedProgram) -> None:
        key = _sources(peer)[0].key
        id = peer.call("probe", source=key, sandbox="no such sandbox")
        told = await peer.answer(id, "probe")
        if isinstance(told[-1], Failed) and told[-1].sentence:
            return
        kinds = [_verdict(one) for one in told if isinstance(one, Item)]
        if kinds and all(kind not in (None, "ready", "repairable") for kind in kinds):
            return
        raise UnmetError("a probe of a sandbox that is not there is no failure")

    async def _probes(self, peer: CheckedProgram) -> str | None:
        chosen = _first(peer)
        if chosen is None:
            return "there is no sandbox"
        key, sandbox = chosen
        told = await peer.answer(peer.call("probe", source=key, sandbox=sandbox), "probe")
        kinds = [_verdict(one) for one in told if isinstance(one, Item)]
        if len(kinds) != 1 or kinds[0] not in _KINDS:
            raise UnmetError(f"a probe is one item with a verdict of {sorted(_KINDS)}")
        return None

    async def _reads(self, peer: CheckedProgram) -> str | None:
        """Queue and logs where it says it has them."""
        tried = False
        for one in _sources(peer):
            sandbox = _first_of(peer, one.key)
            if sandbox is None:
                continue
            if "queue" in one.capabilities:
                tried = True
                id = peer.call("queue", source=one.key, sandbox=sandbox, window=10)
                await self._readable_queue(peer, one, id, sandbox)
            if "logs" in one.capabilities:
                tried = True
                await self._readable_logs(peer, one, sandbox)
        return None if tried else "it has no queues and no logs"

    async def _readable_queue(
        self, peer: CheckedProgram, one: SourceInfo, id: int, sandbox: str
    ) -> None:
        told = await peer.answer(id, "queue")
        if isinstance(told[-1], Failed):
            raise UnmetError(f"queue failed: {told[-1].sentence}")
        incoming = Incoming("check", one.key)
        values = [item.value for item in told if isinstance(item, Item)]
        try:
            incoming.queue(incoming.sandbox_id(sandbox), values, time.time())
        except WireError as error:
            raise UnmetError(str(error)) from None
        if incoming.words:
            raise UnmetError(f"no message label is called {incoming.words[0].word!r}")

    async def _readable_logs(self, peer: CheckedProgram, one: SourceInfo, sandbox: str) -> None:
        streams = await peer.answer(
            peer.call("log_streams", source=one.key, sandbox=sandbox), "log_streams"
        )
        if isinstance(streams[-1], Failed):
            raise UnmetError(f"log_streams failed: {streams[-1].sentence}")
        id = peer.call("logs", source=one.key, sandbox=sandbox, stream="", since=None)
        await asyncio.sleep(0.5)
        peer.say(encode(Cancel(id)))
        try:
            for item in peer.of(id):
                if isinstance(item, Item):
                    Incoming("check", one.key).record(item.value)
        except WireError as error:
            raise UnmetError(str(error)) from None
        await self._answers_pings(peer)

    async def _wakes(self, peer: CheckedProgram) -> str | None:
        key, sandbox = self._acted(peer)
        if not sandbox:
            return "name a sandbox with --act-on to have it woken"
        told = await peer.answer(peer.call("wake", source=key, sandbox=sandbox), "wake")
        if isinstance(told[-1], Failed):
            raise UnmetError(f"wake failed: {told[-1].sentence}")
        incoming = Incoming("check", key)
        try:
            steps = [incoming.step(one.value) for one in told if isinstance(one, Item)]
        except WireError as error:
            raise UnmetError(str(error)) from None
        if not steps:
            raise UnmetError("a wake without a step")
        return None

    async def _opens_shells(self, peer: CheckedProgram) -> str | None:
        key, sandbox = self._acted(peer)
        info = next((one for one in _sources(peer) if one.key == key), None)
        if not sandbox or info is None or "shell" not in info.capabilities:
            return "no --act-on, or no shells"
        id, peer.next_id = peer.next_id, peer.next_id + 1
        peer.say(encode(ShellOpen(id, key, sandbox, 80, 24)))
        await peer.until(lambda: peer.of(id), "no shell.open")
        opened = peer.of(id)[0]
        if not isinstance(opened, ShellOpen):
            raise UnmetError("a shell is not answered by shell.open")
        peer.say(encode(ShellData(id, b"exit\n")))
        await asyncio.sleep(1.0)
        size = sum(len(one.data) for one in peer.of(id) if isinstance(one, ShellData))
        if size > WINDOW + (1 << 20):
            raise UnmetError("it sent more than its window allowed")
        peer.say(encode(ShellClose(id)))
        await peer.until(
            lambda: [one for one in peer.of(id) if isinstance(one, ShellEnded)], "no shell.ended"
        )
        return None

    def _acted(self, peer: CheckedProgram) -> tuple[str, str]:
        for one in _sources(peer) if self._act_on else ():
            for row in _rows(peer, one.key):
                if self._act_on in (row.id, row.name, f"{one.key}/{row.id}"):
                    return one.key, row.id
        return "", ""


def _sources(peer: CheckedProgram) -> list[SourceInfo]:
    return [] if peer.hello is None else peer.hello.sources


def _rows(peer: CheckedProgram, key: str) -> list[Any]:
    return [row for _, d in peer.times if d.source == key for row in d.sandboxes]


def _first_of(peer: CheckedProgram, key: str) -> str | None:
    return next((row.id for row in _rows(peer, key)), None)


def _first(peer: CheckedProgram) -> tuple[str, str] | None:
    for one in _sources(peer):
        sandbox = _first_of(peer, one.key)
        if sandbox is not None:
            return one.key, sandbox
    return None


def _verdict(item: Item) -> object:
    value = item.value
    verdict = value.get("verdict") if isinstance(value, dict) else None
    return verdict.get("kind") if isinstance(verdict, dict) else None


def _judge_picture(key: str, picture: list[Delta]) -> None:
    gateways = [row for one in picture for row in one.gateways]
    sandboxes = [row for one in picture for row in one.sandboxes]
    if picture[0].link is None and not sandboxes and not gateways and picture[0].at is None:
        raise UnmetError(f"{key}: neither rows, nor at, nor a link that says why")
    known = {one.id for one in gateways}
    for rows, states, what in (
        (gateways, _GATEWAY_STATES, "gateway"),
        (sandboxes, _STATES, "sandbox"),
    ):
        ids = [row.id for row in rows]
        if len(set(ids)) != len(ids):
            raise UnmetError(f"{key}: a {what} is listed twice")
        for row in rows:
            name = redact_line(row.id, 60)
            if not is_id(row.id):
                raise UnmetError(f"{key}: the id {name!r} is empty, long or not printable")
            if row.state not in states:
                raise UnmetError(f"{key}/{name}: no {what} state is called {row.state!r}")
            if row.state != "ready" and not row.reason:
                raise UnmetError(f"{key}/{name}: {row.state} without a reason")
    for sandbox in sandboxes:
        missing = {one for one in (*sandbox.needs, sandbox.gateway) if one} - known
        if missing:
            raise UnmetError(f"{key}/{sandbox.id}: no gateway is called {sorted(missing)}")


async def _leaves(peer: CheckedProgram) -> str | None:
    pipe = peer.child.pipe(0)
    if pipe is not None:
        pipe.close()
    if not await wait_for_event(peer.child.child.exited, LEAVE_S):
        raise UnmetError("it is still there")
    return None


_Requirement = Callable[[SourceCheck, CheckedProgram], Awaitable[str | None]]
_REQUIREMENTS: tuple[tuple[str, _Requirement], ...] = (
    ("its first bytes are a hello", SourceCheck._says_hello),
    ("its sources are named, with what they can do", SourceCheck._names_its_sources),
    ("every source is told whole", SourceCheck._tells_the_whole_picture),
    ("deltas come in order, one a second at most, and renew ages", SourceCheck._rests),
    ("a ping is answered", SourceCheck._answers_pings),
    ("unknown messages, fields and methods are borne", SourceCheck._bears_the_unknown),
    ("a refresh tells the whole picture again", SourceCheck._tells_it_again),
    ("a sandbox can be probed", SourceCheck._probes),
    ("a sandbox that is not there is refused", SourceCheck._refuses_the_absent),
    ("queues and logs can be read, and left", SourceCheck._reads),
    ("a wake tells its steps", SourceCheck._wakes),
    ("a shell opens and is left", SourceCheck._opens_shells),
)
_NEEDED = (_REQUIREMENTS[0][0], _REQUIREMENTS[1][0], _REQUIREMENTS[2][0])
"""Without these nothing else can be tried."""
