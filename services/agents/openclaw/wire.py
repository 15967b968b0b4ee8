"""The frames between this panel and a gateway: what may be sent, and what is read of the answers.

The schema of both sides is closed here. A method that is not named below is never sent, and of a
push that is not followed nothing but its name is decoded: conversation stays unread. See
upstream/openclaw: Frames.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from services.agents.openclaw.device import DeviceIdentity, prove_device
from services.agents.openclaw.fields import count, names, number, seconds, table, text, words
from services.files.bounded import DocumentLimits, UnfitError, json_reader, parse_json
from services.lazy_dataclass import dataclass

PROTOCOL = 4
READ_SCOPE = "operator.read"
CHALLENGE = "connect.challenge"
LEAST_S = 15.0
"""No method is asked more often."""
RARE = MappingProxyType({"config.get": 60.0})
"""The same for what takes a gateway long."""
READS: Mapping[str, float] = MappingProxyType(
    {
        "sessions.subscribe": 0.0,
        "channels.status": 30.0,
        "health": 60.0,
        "agents.list": 300.0,
        "status": 60.0,
        "tasks.list": 60.0,
        "cron.list": 120.0,
        "diagnostics.lanes": 60.0,
        "sessions.list": 120.0,
        "usage.cost": 600.0,
        "gateway.identity.get": 0.0,
        "config.get": 300.0,
    }
)
"""What is asked by itself, in this order, and how often where nothing is pushed; 0: once."""
ON_KEY = frozenset({"gateway.restart.preflight", "logs.tail"})
"""What is asked for the operator alone."""
FOLLOWED = frozenset({CHALLENGE, "sessions.changed", "shutdown"})
"""Pushes whose content is read; of others the name is enough."""
SESSIONS = 60
"""Of a list of sessions."""
TASKS = 100
_LIMITS = DocumentLimits(depth=32, size=1 << 20, values=60_000)
_PARAMS: Mapping[str, dict[str, object]] = MappingProxyType(
    {
        "sessions.subscribe": {"limit": SESSIONS},
        "sessions.list": {"limit": SESSIONS},
        "tasks.list": {"limit": TASKS},
    }
)
_MOST_METHODS = 4000
NO_SCHEMA = "INVALID_CONNECT_PARAMS"
"""Stands for the one refusal that has no code of its own."""


@dataclass(frozen=True, slots=True)
class GatewayRefusal:
    """Why a request was refused."""

    code: str
    said: str = ""
    reason: str = ""
    expected: int = 0
    """The protocol it speaks, where it told."""
    request_id: str = ""
    """Of a pairing that waits for approval."""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """The answer to one request."""

    id: str
    payload: Any = None
    refusal: GatewayRefusal | None = None


@dataclass(frozen=True, slots=True)
class GatewayPush:
    """Something told unasked; `fields` are empty where it is not followed."""

    event: str
    fields: Mapping[str, Any]
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class GatewayHello:
    """What the gateway said of itself and of us when it let us in."""

    version: str = ""
    boot_id: str = ""
    scopes: tuple[str, ...] = ()
    tick_s: float = 30.0
    methods: frozenset[str] = frozenset(READS)
    """Of those that are asked by themselves, the ones it has."""


@dataclass(frozen=True, slots=True)
class GatewayCredential:
    """What is shown to a gateway; its text is in no `repr`."""

    kind: str = "token"
    """`token` or `password`."""
    secret: str = field(default="", repr=False)
    origin: str = ""
    """Where it came from, for people."""


GatewayFrame: TypeAlias = GatewayAnswer | GatewayPush | None
"""None for what is no frame."""


class _Frame(msgspec.Struct):
    type: str
    id: str = ""
    ok: bool = False
    event: str = ""
    seq: int | float | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


_read_frame = json_reader(_Frame, _LIMITS)


def encode_connect(
    number_: str,
    version: str,
    credential: GatewayCredential | None,
    device: DeviceIdentity | None = None,
    challenge: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The first frame: who asks, for reading alone; a `device` proves itself by the challenge."""
    client = {"id": "cli", "displayName": "Wakedeck", "version": version}
    client |= {"platform": sys.platform, "mode": "cli"}
    role, scopes = "operator", [READ_SCOPE]
    params: dict[str, object] = {
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": client,
        "role": role,
        "scopes": scopes,
        "caps": [],
    }
    if credential is not None:
        params["auth"] = {credential.kind: credential.secret}
    if device is not None:
        shown = credential is not None and credential.kind == "token"
        token = credential.secret if shown and credential is not None else ""
        params["device"] = prove_device(device, challenge, client, role, scopes, token)
    return json.dumps({"type": "req", "id": number_, "method": "connect", "params": params})


def encode_request(number_: str, method: str, params: Mapping[str, object] | None = None) -> str:
    """One request.

    Raises:
        ValueError: the method is not among those that only read.
    """
    if method not in READS and method not in ON_KEY:
        raise ValueError("a method that does not only read")
    given = dict(params or {}) or _PARAMS.get(method, {})
    return json.dumps({"type": "req", "id": number_, "method": method, "params": given})


def decode_frame(data: bytes | str) -> GatewayFrame:
    """What one frame says; None where it is none, too large or too deep."""
    try:
        frame = _read_frame(data)
        if frame.type == "event":
            seq = frame.seq if isinstance(frame.seq, int) else None
            if frame.event not in FOLLOWED:
                return GatewayPush(text(frame.event, 60), {}, seq)
            return GatewayPush(frame.event, table(_parse(frame.payload)), seq)
        if frame.type != "res" or not frame.id:
            return None
        if frame.ok:
            return GatewayAnswer(frame.id, _parse(frame.payload))
        return GatewayAnswer(frame.id, refusal=_refusal(table(_parse(frame.error))))
    except UnfitError:
        return None


def _parse(raw: msgspec.Raw) -> Any:
    return parse_json(bytes(raw), _LIMITS, unfit_numbers=True)


def _refusal(error: dict[str, Any]) -> GatewayRefusal:
    details = table(error.get("details"))
    said = words(error.get("message"))
    code = text(details.get("code"), 60) or text(error.get("code"), 60)
    if not details and said.startswith("invalid connect params"):
        code = NO_SCHEMA
    return GatewayRefusal(
        code or "no code",
        said,
        text(details.get("reason"), 60),
        count(details.get("expectedProtocol")),
        text(details.get("requestId"), 80),
        seconds(error.get("retryAfterMs")) or seconds(details.get("retryAfterMs")),
    )


def read_hello(payload: object) -> GatewayHello:
    """What the answer to `connect` says."""
    fields = table(payload)
    server, auth = table(fields.get("server")), table(fields.get("auth"))
    tick = number(table(fields.get("policy")).get("tickIntervalMs"))
    listed = table(fields.get("features")).get("methods")
    has = READS.keys() & set(names(listed, _MOST_METHODS)) if isinstance(listed, list) else READS
    return GatewayHello(
        text(server.get("version"), 30),
        text(server.get("bootId"), 60),
        names(auth.get("scopes"), 40),
        min(max((tick or 30_000) / 1000, 5.0), 120.0),
        frozenset(has),
    )
