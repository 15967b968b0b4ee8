"""Whatever a far side says: nothing raises, grows, acts, or steers the screen.

Messages are random, of every type, with hostile values in every field, cut anywhere.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from services.errors import WakedeckError
from services.models import GatewayId, SandboxId
from services.sources.remote.calls import FarStream
from services.sources.remote.command import FarCommand
from services.sources.remote.mirror import MOST_EVENTS, Mirror
from services.sources.remote.session import FarSession
from services.wire import messages
from services.wire.frames import LARGEST_FRAME, frame
from services.wire.messages import Call, Hello, Message, Ping, Pong, ShellWindow, SourceInfo
from tests.support.clock import FakeClock

NOW = 1_800_000_000.0
TEXTS = st.one_of(
    st.sampled_from(
        [
            *("home", "alpha", "ready", "down", "cut off", "", " ", "/", "..", "home/alpha"),
            *("\x1b]52;c;cm0gLXJmIH4=\x07", "\x9b31m", "a\u202egnp.exe", "x\x00y", "\ud7ff\ue000"),
            *("Bearer abcdefghijklmnopqrstuvwxyz0123456789", "N" * 5000, "\n\r\n"),
        ]
    ),
    st.text(max_size=30),
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([0, 1, -1, NOW, float("inf"), float("nan"), 1e300, 2**31]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.binary(max_size=40)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)


def _of(info: Any) -> st.SearchStrategy[Any]:
    i = msgspec.inspect
    match info:
        case i.IntType():
            return st.one_of(st.integers(0, 5), st.integers(-(2**63), 2**63 - 1))
        case i.FloatType():
            return NUMBERS
        case i.BoolType():
            return st.booleans()
        case i.StrType():
            return TEXTS
        case i.BytesType():
            return st.binary(max_size=50)
        case i.ListType():
            return st.lists(_of(info.item_type), max_size=4)
        case i.TupleType():
            return st.tuples(*map(_of, info.item_types))
        case i.DictType():
            return st.dictionaries(TEXTS, _of(info.value_type), max_size=3)
        case i.UnionType():
            return st.one_of(*map(_of, info.types))
        case i.NoneType():
            return st.none()
        case i.StructType():
            fields = {one.encode_name: _of(one.type) for one in info.fields}
            return st.fixed_dictionaries({}, optional=fields)
    return VALUES


def _message(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = {one.encode_name: _of(one.type) for one in info.fields}
    whole = st.fixed_dictionaries(fields).map(lambda body: {"type": info.tag, **body})
    partial = st.fixed_dictionaries({}, optional=fields).map(
        lambda body: {"type": info.tag, **body}
    )
    return st.one_of(whole, partial)


MESSAGES = st.one_of(*(_message(one) for one in Message.__args__), VALUES)
SAFE_IDS = st.sampled_from(["a", "b", "ns/pod", "c d", "x" * 500, "ü"])


def _row(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A row that is taken in, with hostile values wherever they are allowed."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = {one.encode_name: _of(one.type) for one in info.fields}
    return st.fixed_dictionaries(fields | {"id": st.one_of(SAFE_IDS, SAFE_IDS, TEXTS)})


DELTAS = st.fixed_dictionaries(
    {
        "type": st.just("delta"),
        "source": st.just("home"),
        "seq": st.integers(0, 9),
        "now": st.one_of(st.just(NOW), NUMBERS),
        "at": st.one_of(st.none(), NUMBERS),
        "full": st.just(True),
        "more": st.booleans(),
        "gateways": st.lists(_row(messages.WireGateway), max_size=2),
        "sandboxes": st.lists(_row(messages.WireSandbox), max_size=3),
        "link": st.fixed_dictionaries({"problem": TEXTS}),
        "unknown": st.lists(st.tuples(TEXTS, TEXTS), max_size=2),
        "words": st.lists(st.tuples(TEXTS, TEXTS), max_size=2),
        "events": st.lists(
            st.fixed_dictionaries(
                {
                    "at": st.just(NOW),
                    "text": TEXTS,
                    "kind": TEXTS,
                    "subject": st.one_of(SAFE_IDS, TEXTS.filter(lambda text: "Bearer" not in text)),
                    "before": TEXTS,
                }
            ),
            max_size=2,
        ),
    }
)
HELLO = messages.encode(
    Hello(1, "mine", "1", now=NOW, sources=[SourceInfo("home", capabilities=["wake"])])
)


class _Recorder(FarSession):
    """A session without a process: what it would send is kept."""

    def __init__(self, mirror: Mirror, clock: FakeClock) -> None:
        super().__init__("box", FarCommand(("far",), "box"), clock, mirror, lambda: None, None)
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)


def texts(value: object) -> Iterator[str]:
    """Every text in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Enum | GatewayId | SandboxId):
        return  # ids come back as they are: their own test holds them to what can be shown
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from texts(getattr(value, one.name))
    elif isinstance(value, tuple | list | frozenset):
        for item in value:
            yield from texts(item)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    st.lists(DELTAS, max_size=3),
    st.lists(MESSAGES, max_size=8),
    st.integers(1, 4000),
    st.binary(max_size=30),
)
def test_no_message_raises_grows_or_acts(
    deltas: list[Any], others: list[Any], cut: int, garbage: bytes
) -> None:
    async def run() -> None:
        clock = FakeClock(NOW)
        mirror = Mirror("box", GatewayId("box", "box"), clock)
        session = _Recorder(mirror, clock)
        session._received(1, HELLO)
        stream = session.call("logs", {})
        shell = session.open_shell(messages.ShellOpen(0))
        asked = len(session.sent)
        data = b"".join(_framed(one) for one in [*deltas, *others]) + garbage
        for place in range(0, len(data), cut):
            session._received(1, data[place : place + cut])
        session._received(2, garbage * 10_000)
        await asyncio.wait_for(_drained(stream), 60)
        await asyncio.wait_for(_drained(shell), 60)
        allowed = (Pong, ShellWindow)
        for message in session.sent[asked:]:
            if isinstance(message, Call):
                assert message.method == "refresh", "a far side made this side act"
            else:
                assert isinstance(message, allowed), message
        rows = (*mirror.gateways(), *mirror.sandboxes(0))
        events = mirror.take_events()
        assert len(events) <= MOST_EVENTS
        for text in texts((rows, events, mirror.take_words(), tuple(mirror.unknown()))):
            assert text.isprintable(), text
            assert "abcdefghijklmnopqrstuvwxyz0123456789" not in text, text
            assert len(text) <= 2000
        assert sys.getsizeof(session._frames._rest) < 2 * LARGEST_FRAME
        assert sum(map(len, session._stderr)) < 1 << 20

    asyncio.run(run())


def _framed(value: Any) -> bytes:
    try:
        return frame(msgspec.msgpack.encode(value))
    except (OverflowError, msgspec.MsgspecError, TypeError, UnicodeEncodeError):
        return b""


async def _drained(stream: FarStream) -> None:
    """Read what arrived, whatever it is."""
    while stream._arrived:
        try:
            await stream.next()
        except WakedeckError:
            return


@pytest.mark.slow
def test_a_flood_of_deltas_is_bounded_in_rows() -> None:
    clock = FakeClock(NOW)
    mirror = Mirror("box", GatewayId("box", "box"), clock)
    mirror.begin(Hello(1, "mine", "1", now=NOW, sources=[SourceInfo("home")]))
    for part in range(30):
        rows = [messages.WireSandbox(f"{part}-{n}", "ready") for n in range(1000)]
        mirror.take(
            messages.Delta("home", part + 1, NOW, NOW, full=not part, more=True, sandboxes=rows)
        )
    assert len(list(mirror.sandboxes(0))) == 20_000
    assert "10000 rows cannot be shown" in next(mirror.unknown())[1].reason + next(
        one.reason for _, one in list(mirror.unknown())[1:]
    )


def test_what_is_sent_beyond_the_window_ends_the_link() -> None:
    async def run() -> None:
        clock = FakeClock(NOW)
        session = _Recorder(Mirror("box", GatewayId("box", "box"), clock), clock)
        session._received(1, HELLO)
        shell = session.open_shell(messages.ShellOpen(0))
        for _ in range(20):
            session._received(1, messages.encode(messages.ShellData(shell.id, b"x" * 60_000)))
        assert session._failure is not None
        assert "more than it was allowed" in session._failure.sentence
        held = sum(len(one.data) for one in shell._arrived if isinstance(one, messages.ShellData))
        assert held <= messages.WINDOW + 60_000

    asyncio.run(run())


def test_what_counts_nothing_does_not_pile_up() -> None:
    """A shell opened over and over, and data without a byte, cost no window: they are not kept."""

    async def run() -> None:
        clock = FakeClock(NOW)
        mirror = Mirror("box", GatewayId("box", "box"), clock)
        session = _Recorder(mirror, clock)
        session._received(1, HELLO)
        shell = session.open_shell(messages.ShellOpen(0))
        words = [("state", f"w{number}") for number in range(100)]
        for number in range(200):
            session._received(1, messages.encode(messages.ShellOpen(shell.id, notice="again")))
            session._received(1, messages.encode(messages.ShellData(shell.id)))
            delta = messages.Delta("home", number + 1, NOW, full=not number, words=words)
            session._received(1, messages.encode(delta))
        assert session._failure is None and len(shell._arrived) == 1
        assert len(mirror.take_words()) <= 64

    asyncio.run(run())


@pytest.mark.parametrize(("piece", "lost"), [(4096, False), (1, True)])
async def test_a_slow_message_is_a_sign_of_life_and_a_drip_is_none(piece: int, lost: bool) -> None:
    """A picture over a slow line may take longer than three pings; a byte now and then may not."""
    clock = FakeClock(NOW)
    session = _Recorder(Mirror("box", GatewayId("box", "box"), clock), clock)
    session._received(1, HELLO)
    listening = asyncio.create_task(session._listen())
    session._received(1, (1 << 20).to_bytes(4, "big") + b"\x82")
    for _ in range(8):
        session._received(1, b"x" * piece)
        await clock.advance(messages.PING_S)
    assert listening.done() is lost
    listening.cancel()


def test_a_ping_from_there_is_answered() -> None:
    async def run() -> None:
        clock = FakeClock(NOW)
        session = _Recorder(Mirror("box", GatewayId("box", "box"), clock), clock)
        session._received(1, HELLO)
        session._received(1, messages.encode(Ping(4.5)))
        assert Pong(4.5) in session.sent

    asyncio.run(run())
