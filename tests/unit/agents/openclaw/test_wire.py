"""The wire of a gateway: what may be sent, and answers as recorded, foreign and hostile."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from services.agents.openclaw.connection import NO_SCOPE, explain_refusal
from services.agents.openclaw.device import DeviceIdentity
from services.agents.openclaw.evidence import ConnectionState
from services.agents.openclaw.told import GatewayHealth, SavedConfig, Told
from services.agents.openclaw.told_readers import take, take_session
from services.agents.openclaw.wire import (
    FOLLOWED,
    ON_KEY,
    RARE,
    READS,
    GatewayAnswer,
    GatewayCredential,
    GatewayPush,
    GatewayRefusal,
    decode_frame,
    encode_connect,
    encode_request,
    read_hello,
)
from tests.support.openclaw_peer import RECORDED

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def decoded(name: str) -> Any:
    answer = decode_frame(json.dumps(RECORDED[name]))
    assert isinstance(answer, GatewayAnswer)
    assert answer.refusal is None
    return answer.payload


def everything() -> Told:
    told = Told()
    for method in READS:
        if method in RECORDED:
            told = take(told, method, decoded(method), 1.0)
    return told


def test_connecting_asks_for_reading_alone() -> None:
    frame = json.loads(encode_connect("1", "1.0", GatewayCredential("token", "s3cret")))
    params = frame["params"]
    assert frame["method"] == "connect"
    assert set(params) == {
        *("minProtocol", "maxProtocol", "client", "role", "scopes", "caps", "auth"),
    }
    assert (params["scopes"], params["caps"], params["role"]) == (["operator.read"], [], "operator")
    assert (params["client"]["id"], params["client"]["mode"]) == ("cli", "cli")
    assert params["auth"] == {"token": "s3cret"}
    assert "auth" not in json.loads(encode_connect("1", "1.0", None))["params"]


def test_a_credential_is_in_no_text_of_its_own() -> None:
    assert "s3cret" not in repr(GatewayCredential("token", "s3cret", "its configuration"))


@given(st.text(max_size=30) | st.sampled_from(RECORDED["hello"]["payload"]["features"]["methods"]))
@example("sessions.send")
@example("connect")
def test_no_method_is_sent_that_does_not_only_read(method: str) -> None:
    if method in READS or method in ON_KEY:
        assert json.loads(encode_request("7", method))["method"] == method
    else:
        with pytest.raises(ValueError, match="does not only read"):
            encode_request("7", method)


def test_what_is_sent_by_itself_is_named_here() -> None:
    known = {"status", "channels.status", "agents.list", "sessions.list", "sessions.subscribe"}
    known |= {"usage.cost", "tasks.list", "diagnostics.lanes", "cron.list", "gateway.identity.get"}
    known |= {"health", "config.get"}
    assert set(READS) <= known
    assert RARE["config.get"] >= 60
    assert {"gateway.restart.preflight", "logs.tail"} == ON_KEY
    assert all(every == 0 or every >= 15 for every in READS.values())


def test_a_hello_as_it_was_recorded() -> None:
    hello = read_hello(decoded("hello"))
    assert (hello.version, hello.scopes, hello.tick_s) == ("2026.9.6", ("operator.read",), 30.0)
    assert hello.boot_id
    assert hello.methods == frozenset(READS)


@pytest.mark.parametrize(
    ("name", "code", "state", "says"),
    [
        ("wrong token", "AUTH_TOKEN_MISMATCH", ConnectionState.REFUSED, "token it is shown"),
        ("no token", "DEVICE_IDENTITY_REQUIRED", ConnectionState.REFUSED, "paired device"),
        (
            "not paired",
            "PAIRING_REQUIRED",
            ConnectionState.REFUSED,
            "openclaw devices approve 9339b29d-",
        ),
        ("protocol 5", "PROTOCOL_MISMATCH", ConnectionState.OTHER_PROTOCOL, "protocol 4"),
        ("unknown client", "INVALID_CONNECT_PARAMS", ConnectionState.OTHER_PROTOCOL, "way to"),
        ("exec.approval.list", "MISSING_SCOPE", ConnectionState.REFUSED, "MISSING_SCOPE"),
    ],
)
def test_refusals_as_they_were_recorded(
    name: str, code: str, state: ConnectionState, says: str
) -> None:
    answer = decode_frame(json.dumps(RECORDED[name]))
    assert isinstance(answer, GatewayAnswer)
    assert answer.refusal is not None
    assert answer.refusal.code == code
    found, why, _ = explain_refusal(answer.refusal)
    assert found is state
    assert says in why


@pytest.mark.parametrize(
    ("refusal", "state", "why", "advice"),
    [
        (NO_SCOPE, ConnectionState.REFUSED, "no right to read", "`r` asks it to pair"),
        (
            GatewayRefusal("PAIRING_REQUIRED", request_id="ab-12"),
            *(ConnectionState.REFUSED, "On its machine: `openclaw devices approve ab-12`.", "`r`"),
        ),
        (
            GatewayRefusal("PAIRING_REQUIRED", request_id="a; rm -rf /"),
            *(ConnectionState.REFUSED, "does not know this panel yet.", "`r` begins anew"),
        ),
        (
            GatewayRefusal("UNAVAILABLE", reason="startup-sidecars"),
            *(ConnectionState.LOST, "not ready", ""),
        ),
        (
            GatewayRefusal("PROTOCOL_MISMATCH", expected=5),
            *(ConnectionState.OTHER_PROTOCOL, "speaks protocol 5", "Update this panel."),
        ),
        (
            GatewayRefusal("PROTOCOL_MISMATCH", expected=3),
            *(ConnectionState.OTHER_PROTOCOL, "speaks protocol 3", "Update OpenClaw."),
        ),
        (GatewayRefusal("NEW_WORD"), ConnectionState.REFUSED, "NEW_WORD", ""),
    ],
)
def test_what_a_refusal_means(
    refusal: GatewayRefusal, state: ConnectionState, why: str, advice: str
) -> None:
    found, said, told = explain_refusal(refusal)
    assert found is state
    assert why in said
    assert advice in told
    assert bool(advice) == bool(told)
    assert "rm -rf" not in said + told


def test_what_was_recorded_is_read() -> None:
    told = everything()
    assert told.channels is not None
    assert [(one.name, one.down) for one in told.channels] == [("Telegram (default)", True)]
    assert (told.default_agent, [one.model for one in told.agents or ()]) == (
        *("main", ["openai/gpt-6-astra"]),
    )
    assert [one.status for one in told.tasks or ()] == ["failed"]
    (job,) = [one for one in told.jobs or () if not one.own]
    assert job.failed
    assert not job.undelivered
    assert len(told.lanes or ()) == 9
    assert told.cost is not None
    assert told.cost.total == 0
    main = next(one for one in told.sessions or () if one.kind == "main")
    assert (main.failed, main.working, main.cost) == (True, False, None)


def test_the_saved_configuration_as_it_was_recorded() -> None:
    def saved(name: str) -> SavedConfig | None:
        return take(Told(), "config.get", decoded(name), 1.0).saved

    assert saved("config.get") == SavedConfig(True)
    assert saved("config not in force") == SavedConfig(True, in_force=False)
    refused = saved("invalid config")
    assert refused is not None
    assert (refused.valid, refused.in_force) == (False, False)
    assert refused.issues[0].startswith("gateway.bind: Invalid input")
    assert refused.issues[1] == 'Unrecognized key: "bogus"'


def test_health_names_the_plugins_that_do_not_work() -> None:
    payload = decoded("health")
    assert take(Told(), "health", payload, 1.0).health == GatewayHealth((), "active")
    payload["plugins"]["errors"] = [{"id": "memory-core", "error": "token=abcdefghijkl"}, "canvas"]
    told = take(Told(), "health", payload, 1.0)
    assert told.health == GatewayHealth(("memory-core", "canvas"), "active")
    assert "abcdefghijkl" not in repr(told)


def test_a_run_is_told_by_its_run_and_not_by_its_status() -> None:
    row = {"key": "agent:a:b", "status": "running", "hasActiveRun": False, "totalTokens": 5}
    told = take(Told(), "sessions.list", {"sessions": [row]}, 1.0)
    assert told.sessions is not None
    assert not told.sessions[0].working
    assert told.sessions[0].tokens is None, "tokens that are not fresh are not told"
    fresh = take_session(told, {"session": row | {"activeRunIds": ["r"], "totalTokensFresh": True}})
    assert fresh is not None
    assert fresh.sessions is not None
    assert (fresh.sessions[0].working, fresh.sessions[0].tokens) == (True, 5)


def test_nothing_of_a_conversation_is_kept() -> None:
    told = everything()
    for frame in RECORDED["pushes"]:
        push = decode_frame(json.dumps(frame))
        assert isinstance(push, GatewayPush)
        assert push.fields == {} or push.event in FOLLOWED
        if push.event == "sessions.changed":
            told = take_session(told, push.fields) or told
    assert "PRIVATE" in json.dumps(RECORDED["pushes"])
    assert "PRIVATE" not in repr(told)


def test_an_older_row_does_not_replace_a_newer_one() -> None:
    row = {"key": "k", "snapshotAt": 2000, "hasActiveRun": True}
    told = take(Told(), "sessions.list", {"sessions": [row]}, 1.0)
    assert (
        take_session(told, {"session": {**row, "snapshotAt": 1000, "hasActiveRun": False}}) is told
    )


@pytest.mark.parametrize(
    "data",
    [
        *("", "null", "[]", "{", '{"type": 5}', '{"type": "res"}', '{"type": "req", "id": "1"}'),
        '{"type": "event", "event": "shutdown", "payload": ' + "[" * 200 + "]" * 200 + "}",
        '{"type": "res", "id": "1", "ok": true, "payload": "' + "x" * (1 << 20) + '"}',
        '{"type": "res", "id": "1", "ok": true, "payload": [' + "1," * 70_000 + "1]}",
        b"\xff\xfe",
    ],
    ids=range(11),
)
def test_what_is_no_frame_or_too_much_is_none(data: bytes | str) -> None:
    assert decode_frame(data) is None


@given(st.binary(max_size=200) | st.text(max_size=200) | VALUES.map(json.dumps))
def test_any_text_is_a_frame_or_none(data: bytes | str) -> None:
    decode_frame(data)


@pytest.mark.slow
@given(st.sampled_from(sorted(READS)), VALUES | st.dictionaries(st.text(max_size=8), VALUES))
def test_any_answer_is_read_or_left(method: str, payload: object) -> None:
    told = everything()
    after = take(told, method, payload, 2.0)
    assert after is told or after.at[method] == 2.0


@pytest.mark.slow
@given(st.data())
def test_an_answer_with_any_field_replaced_is_read_or_left(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from([one for one in READS if one in RECORDED]))
    payload = json.loads(json.dumps(RECORDED[method]["payload"]))
    places: list[tuple[Any, Any]] = []
    waiting = [payload]
    while waiting:
        one = waiting.pop()
        inside = one.items() if isinstance(one, dict) else enumerate(one)
        for key, value in inside:
            places.append((one, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    for _ in range(3):
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(VALUES)
    frame = decode_frame(json.dumps({"type": "res", "id": "1", "ok": True, "payload": payload}))
    if isinstance(frame, GatewayAnswer):
        take(Told(), method, frame.payload, 1.0)


def test_a_device_signs_what_a_gateway_verifies() -> None:
    key = Ed25519PrivateKey.generate()
    device = DeviceIdentity(key.public_key().public_bytes_raw(), key.sign)
    challenge = RECORDED["challenge"]["payload"]
    shown = GatewayCredential("token", "s3cret")
    params = json.loads(encode_connect("1", "1.0", shown, device, challenge))["params"]
    proof = params.pop("device")
    assert params == json.loads(encode_connect("1", "1.0", shown))["params"]
    raw = base64.urlsafe_b64decode(proof["publicKey"] + "=")
    assert proof["id"] == hashlib.sha256(raw).hexdigest() == device.id
    assert (proof["signedAt"], proof["nonce"]) == (challenge["ts"], challenge["nonce"])
    signed = (
        f"v3|{device.id}|cli|cli|operator|operator.read|{challenge['ts']}|s3cret"
        f"|{challenge['nonce']}|{params['client']['platform']}|"
    )
    signature = base64.urlsafe_b64decode(proof["signature"] + "==")
    key.public_key().verify(signature, signed.encode())
    assert "s3cret" not in json.dumps(proof)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(("nonce", "ts", "x")), VALUES))
def test_any_challenge_is_answered(challenge: dict[str, Any]) -> None:
    device = DeviceIdentity(b"k" * 32, lambda signed: signed[:64])
    frame = json.loads(encode_connect("1", "1.0", None, device, challenge))
    assert set(frame["params"]["device"]) == {"id", "publicKey", "signature", "signedAt", "nonce"}
