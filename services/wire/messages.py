"""The messages of the source protocol, and their way to bytes and back.

Fields and messages nobody here knows are ignored, so that protocol 1 stays readable for later
versions. Enums travel as words. `docs/source-protocol.md` describes each for other languages.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import msgspec

from services.wire.frames import WireError, frame

PROTOCOL = 1
WINDOW = 256 << 10
"""Bytes of one stream that may be under way without a word of the receiver."""
PING_S = 5.0
PINGS_MISSED = 3
"""So many unanswered pings in a row are a lost link."""
MOST_ALIASES = 8
MOST_CALLS = 64
"""Calls and shells that one side may have open at once."""
DELTA_GAP_S = 1.0
"""The least time between two pushed deltas of one source."""

Pairs: TypeAlias = list[tuple[str, str]]
Counted: TypeAlias = list[tuple[str, int]]


class _Message(msgspec.Struct, tag_field="type", omit_defaults=True, frozen=True):
    """What all messages are: a map whose `type` names it."""


class SourceInfo(msgspec.Struct, omit_defaults=True, frozen=True):
    """One source of the far side."""

    key: str
    kind: str = ""
    label: str = ""
    address: str = ""
    interval_s: float = 5.0
    """The longest it takes from one look to the next."""
    capabilities: list[str] = []
    unavailable: dict[str, str] = {}
    """Capability to why it is missing."""
    verbs: Pairs = []
    """What can be proposed: the verb, and what it is called."""
    attachment: str = ""


class WireLimits(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a side can take."""

    frame: int = 1 << 20
    window: int = WINDOW
    calls: int = MOST_CALLS


class Hello(_Message, tag="hello", frozen=True):
    """The first frame of both sides."""

    protocol: int
    product: str = ""
    version: str = ""
    pid: int = 0
    boot_id: str = ""
    now: float = 0.0
    sources: list[SourceInfo] = []
    read_only: bool = False
    limits: WireLimits = WireLimits()
    events_after: float | None = None
    """Near side: from when on it wants to hear what happened; none: nothing of before."""


class Call(_Message, tag="call", frozen=True):
    id: int
    method: str
    args: dict[str, Any] = {}


class Item(_Message, tag="item", frozen=True):
    id: int
    value: Any = None


class Done(_Message, tag="done", frozen=True):
    id: int


class Failed(_Message, tag="failed", frozen=True):
    """A call or the opening of a shell that came to nothing."""

    id: int
    kind: str = "unavailable"
    sentence: str = ""
    advice: str = ""
    retry: str = ""
    """For shells: `auto`, `ask` or `no`."""
    choices: list[str] = []
    code: int | None = None


class Cancel(_Message, tag="cancel", frozen=True):
    id: int


class WireGateway(msgspec.Struct, omit_defaults=True, frozen=True):
    """A gateway as its source says it is; times are those of the far side's clock."""

    id: str
    state: str
    name: str = ""
    reason: str = ""
    observed_at: float | None = None
    """None: as of the delta's `at`."""
    address: str = ""
    latency_s: float | None = None
    evidence: Pairs = []
    stale: bool = False
    since: float | None = None
    until: float | None = None


class WireSandbox(msgspec.Struct, omit_defaults=True, frozen=True):
    """A sandbox as its source says it is, its way in not joined."""

    id: str
    state: str
    name: str = ""
    reason: str = ""
    observed_at: float | None = None
    gateway: str = ""
    activity: str = ""
    tool: str = ""
    evidence: Pairs = []
    inbound: Counted = []
    outbound: Counted = []
    asleep_by_design: bool = False
    unavailable: dict[str, str] = {}
    stale: bool = False
    needs: list[str] = []
    since: float | None = None
    until: float | None = None
    needs_me: str = ""
    cost_usd: float | None = None
    """What it has cost so far, as its provider reports it; None: it is not reported."""
    aliases: list[str] = []
    stock: bool = False
    """Kept in a pool for whoever comes."""


class EventRow(msgspec.Struct, omit_defaults=True, frozen=True):
    """Something of the far side's history."""

    at: float
    text: str
    severity: str = "info"
    subject: str = ""
    kind: str = ""
    before: str = ""
    after: str = ""


class Removed(msgspec.Struct, omit_defaults=True, frozen=True):
    """Ids that are gone for certain."""

    gateways: list[str] = []
    sandboxes: list[str] = []


class SourceProblem(msgspec.Struct, omit_defaults=True, frozen=True):
    """How the far side stands with the source; an empty problem: it answers."""

    problem: str = ""


class Delta(_Message, tag="delta", frozen=True):
    """What changed in one source."""

    source: str
    seq: int
    now: float
    at: float | None = None
    """When what is listed and not stale was last confirmed; None: nothing was since."""
    full: bool = False
    """The first part of a whole picture: what is not in its parts is not there."""
    more: bool = False
    """Another part of the same picture follows."""
    gateways: list[WireGateway] = []
    sandboxes: list[WireSandbox] = []
    removed: Removed = Removed()
    link: SourceProblem | None = None
    """None: as before."""
    unknown: Pairs | None = None
    """Lists that could not be had: the gateway's id, or nothing, and why; None: as before."""
    words: Pairs = []
    """Words of the system that nobody knows: where it stood, and the word."""
    events: list[EventRow] = []


class ShellOpen(_Message, tag="shell.open", frozen=True):
    """Near: open one. Far: it is open."""

    id: int
    source: str = ""
    sandbox: str = ""
    columns: int = 80
    lines: int = 24
    choice: dict[str, Any] = {}
    notice: str = ""


class ShellData(_Message, tag="shell.data", frozen=True):
    """Bytes of a shell, or of a command's input and output."""

    id: int
    data: bytes = b""
    stream: str = ""
    """`stderr`, or nothing."""
    end: bool = False
    """No more follows: the end of a command's input."""


class ShellResize(_Message, tag="shell.resize", frozen=True):
    id: int
    columns: int
    lines: int


class ShellWindow(_Message, tag="shell.window", frozen=True):
    """So many more bytes may be sent on this stream."""

    id: int
    bytes: int


class ShellClose(_Message, tag="shell.close", frozen=True):
    """Leave the shell; ask the command to stop."""

    id: int


class ShellEnded(_Message, tag="shell.ended", frozen=True):
    id: int
    state: str = "lost"
    reason: str = ""
    code: int | None = None
    retry: str = "ask"
    tries: int | None = None
    resumes: bool = False


class Ping(_Message, tag="ping", frozen=True):
    t: float


class Pong(_Message, tag="pong", frozen=True):
    t: float


Message: TypeAlias = (
    Hello
    | Call
    | Item
    | Done
    | Failed
    | Cancel
    | Delta
    | ShellOpen
    | ShellData
    | ShellResize
    | ShellWindow
    | ShellClose
    | ShellEnded
    | Ping
    | Pong
)


class _MessageKind(msgspec.Struct, frozen=True):
    type: str


S = TypeVar("S")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_kind = msgspec.msgpack.Decoder(_MessageKind)
_TYPES = frozenset(str(one.__struct_config__.tag) for one in Message.__args__)


def encode(message: Message) -> bytes:
    """The whole frame of a message.

    Raises:
        WireError: it is too large.
    """
    return frame(_encoder.encode(message))


def encoded_size(value: object) -> int:
    """Bytes of a value as it travels."""
    return len(_encoder.encode(value))


def decode(payload: bytes) -> Message | str:
    """The message of a frame, or the type nobody here knows.

    Raises:
        WireError: it is no message of the protocol.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        try:
            kind = _kind.decode(payload).type
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise WireError(f"a message cannot be read: {_reason(error)}") from error
        if kind not in _TYPES:
            return kind
        raise WireError(f"a {kind} message cannot be read: {_reason(error)}") from error


def convert(value: object, kind: type[S], what: str) -> S:
    """What an argument or an item holds, as a struct.

    Raises:
        WireError: it is not of that shape; the sentence says `what`.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise WireError(f"{what} cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    said = str(error) or type(error).__name__
    return said[:1].lower() + said[1:]
