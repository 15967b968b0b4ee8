"""The channels of Kubernetes, byte by byte: vectors and whatever else comes.

See upstream/pods: Channels.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import ShellError
from services.models import Retry, ShellState
from services.terminal.session.cut_points import unfinished_character
from services.terminal.transport.framing import Finished, Malformed, Output
from services.terminal.transport.k8s_channels import (
    PIECE_BYTES,
    V4,
    V5,
    ChannelFraming,
    ExecStatus,
    ExecStatusKind,
    encode_resize,
    encode_stdin,
    parse_status,
)

EXITED, UNKNOWN = ExecStatusKind.EXITED, ExecStatusKind.UNKNOWN


def status(**fields: object) -> bytes:
    return json.dumps({"metadata": {}, **fields}).encode()


def failed(reason: str, *causes: dict[str, str], **fields: object) -> bytes:
    return status(status="Failure", reason=reason, details={"causes": list(causes)}, **fields)


def test_the_resize_is_the_vector() -> None:
    vector = "04 7b 22 57 69 64 74 68 22 3a 38 30 2c 22 48 65 69 67 68 74 22 3a 32 34 7d"
    assert encode_resize(80, 24) == bytes.fromhex(vector)


@pytest.mark.parametrize(
    ("asked", "told"),
    [((0, 0), (2, 1)), ((-5, 10), (2, 10)), ((70_000, 1 << 40), (65_535, 65_535))],
)
def test_no_size_leaves_that_wedges_a_session(
    asked: tuple[int, int], told: tuple[int, int]
) -> None:
    size = json.loads(encode_resize(*asked)[1:])
    assert (size["Width"], size["Height"]) == told


def test_input_is_the_vector() -> None:
    assert encode_stdin(b"exit 7\r") == (bytes.fromhex("00 65 78 69 74 20 37 0d"),)
    assert encode_stdin(b"") == ()


@settings(deadline=None)
@given(st.binary(max_size=3 * PIECE_BYTES))
def test_input_leaves_in_whole_small_messages_that_add_up(data: bytes) -> None:
    frames = encode_stdin(data)
    assert b"".join(frame[1:] for frame in frames) == data
    assert all(frame[0] == 0 and 0 < len(frame) - 1 <= PIECE_BYTES for frame in frames)


def test_only_v5_and_a_terminal_can_end_their_input() -> None:
    framing = ChannelFraming(terminal=False)
    framing.on_subprotocol(V5)
    assert framing.encode_end_of_input() == b"\xff\x00"
    framing.on_subprotocol(V4)
    with pytest.raises(ShellError) as caught:
        framing.encode_end_of_input()
    assert caught.value.retry is Retry.NO
    assert ChannelFraming().encode_end_of_input() == b"\x00\x04"


def test_a_command_without_a_terminal_is_told_no_size() -> None:
    assert ChannelFraming(terminal=False).encode_resize(80, 24) == b""


@pytest.mark.parametrize(
    ("payload", "kind", "code"),
    [
        (status(status="Success"), EXITED, 0),
        (failed("NonZeroExitCode", {"reason": "ExitCode", "message": "7"}), EXITED, 7),
        (
            failed("NonZeroExitCode", {"message": "9"}, {"reason": "ExitCode", "message": "137"}),
            EXITED,
            137,
        ),
        (failed("NonZeroExitCode", {"reason": "ExitCode", "message": "x"}), UNKNOWN, None),
        (failed("NonZeroExitCode", {"reason": "ExitCode", "message": "-1"}), UNKNOWN, None),
        (failed("NonZeroExitCode", {"reason": "ExitCode", "message": "0"}), UNKNOWN, None),
        (failed("NonZeroExitCode", {"reason": "ExitCode", "message": "9" * 400}), UNKNOWN, None),
        (failed("NonZeroExitCode"), UNKNOWN, None),
        (status(status="Failure", reason="NonZeroExitCode"), UNKNOWN, None),
        (status(status="Failure", reason="NonZeroExitCode", details=[]), UNKNOWN, None),
        (status(status="Failure", reason="NonZeroExitCode", details={"causes": 3}), UNKNOWN, None),
        (status(status="Pending"), UNKNOWN, None),
        (b"{", UNKNOWN, None),
        (b"", UNKNOWN, None),
        (b"null", UNKNOWN, None),
        (b"[" * 100_000, UNKNOWN, None),
        (b"\xff\xfe", UNKNOWN, None),
        (
            failed(
                "InternalError",
                {"message": 'exec: "zsh": executable file not found in $PATH: unknown'},
                code=500,
            ),
            ExecStatusKind.NO_PROGRAM,
            None,
        ),
        (
            failed("InternalError", message="exec failed: permission denied: unknown", code=500),
            ExecStatusKind.NO_PROGRAM,
            None,
        ),
        (
            failed(
                "InternalError",
                message='unable to upgrade connection: container not found ("main")',
                code=500,
            ),
            ExecStatusKind.NO_CONTAINER,
            None,
        ),
        (
            failed("InternalError", {"message": "the runtime is on fire"}, code=500),
            ExecStatusKind.NOT_STARTED,
            None,
        ),
        (status(status="Failure"), ExecStatusKind.NOT_STARTED, None),
    ],
)
def test_what_a_status_proves(payload: bytes, kind: ExecStatusKind, code: int | None) -> None:
    outcome = parse_status(payload)
    assert (outcome.kind, outcome.code) == (kind, code)
    assert outcome.ending.code == code
    (event,) = ChannelFraming().decode(b"\x03" + payload)
    assert event == Finished(outcome.ending)


def test_a_status_says_nothing_that_could_act_on_a_terminal() -> None:
    server_message = parse_status(failed("Forbidden", message="no\x1b[2J\nway")).server_message
    assert server_message == "no way"


def test_the_end_of_a_session_says_whether_trying_again_can_help() -> None:
    ending = ExecStatus(ExecStatusKind.NO_CONTAINER, server_message="x").ending
    assert (ending.state, ending.retry, ending.tries) == (ShellState.FAILED, Retry.AUTO, 3)
    assert (
        ExecStatus(ExecStatusKind.EXITED, 137).ending.reason
        == "exited (137: killed or out of memory)"
    )


def test_output_is_bytes_cut_anywhere() -> None:
    framing = ChannelFraming()
    events = [
        *framing.decode(b"\x01"),
        *framing.decode(b"\x01\xe4\xb8"),
        *framing.decode(b"\x01\xad\n"),
    ]
    assert events == [Output(b"\xe4\xb8"), Output(b"\xad\n")]
    assert unfinished_character(b"\xe4\xb8") == 2


@settings(deadline=None)
@given(st.binary(max_size=200), st.data())
def test_output_survives_every_way_to_cut_it(data: bytes, draw: st.DataObject) -> None:
    framing = ChannelFraming()
    out = b""
    while data:
        cut = draw.draw(st.integers(0, len(data)))
        for event in framing.decode(b"\x01" + data[:cut]):
            assert isinstance(event, Output)
            out += event.data
        if cut == 0:
            break
        data = data[cut:]
    assert framing.decode(b"\x01" + data) == ((Output(data),) if data else ())


def test_the_error_stream_can_be_kept_apart() -> None:
    assert ChannelFraming().decode(b"\x02oops") == (Output(b"oops"),)
    apart = ChannelFraming(terminal=False)
    assert apart.decode(b"\x02oops") == (Output(b"oops", stderr=True),)
    assert apart.decode(b"\x01fine") == (Output(b"fine"),)


@pytest.mark.parametrize("frame", [b"\x00x", b"\x04{}", b"\x07x", b"\xff\x01", b"\xff", b"\x80abc"])
def test_other_channels_say_nothing(frame: bytes) -> None:
    assert ChannelFraming().decode(frame) == ()


def test_the_third_message_that_is_none_ends_the_session() -> None:
    framing = ChannelFraming()
    assert framing.decode("text") == (Malformed("not binary"),)
    assert framing.decode(b"") == (Malformed("no channel"),)
    framing.decode(b"\x01fine")
    framing.decode("text")
    framing.decode("text")
    last = framing.decode("text")[-1]
    assert isinstance(last, Finished) and last.ending.state is ShellState.FAILED


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.binary(max_size=64)), max_size=30))
def test_nothing_that_comes_raises_or_is_kept(frames: list[str | bytes]) -> None:
    framing = ChannelFraming()
    statuses = 0
    for frame in frames:
        for event in framing.decode(frame):
            statuses += isinstance(event, Finished) and framing.outcome is not None
            if isinstance(event, Output):
                assert isinstance(frame, bytes) and event.data == frame[1:]
    sizes = [len(value) for value in vars(framing).values() if isinstance(value, bytes | str)]
    assert sum(sizes) <= 64


@settings(deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["status", "reason", "message", "details", "causes", "code"]), inner,
        max_size=4,
    ),
    max_leaves=12,
))  # fmt: skip
def test_no_status_is_taken_for_success_by_mistake(value: object) -> None:
    outcome = parse_status(json.dumps(value).encode())
    if outcome.code == 0:
        assert isinstance(value, dict) and value["status"] == "Success"
