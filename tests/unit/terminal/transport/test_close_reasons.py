"""The failure table: every condition has its sentence, and none leaks a secret."""

from __future__ import annotations

import errno
import json
import socket
import ssl

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    SecurityError,
)
from websockets.frames import Close
from websockets.http11 import Response

from services.models import Retry, ShellState
from services.terminal.transport.close_reasons import (
    classify_close,
    classify_open_error,
    redact_line,
)

ADDRESS = "pods.example:443"
SECRET = "s3cr3t-t0ken-value"


def answered(status: int, body: bytes = b"", **headers: str) -> InvalidStatus:
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return InvalidStatus(Response(status, "", fields, body))


def certificate(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_message = message
    return error


def unanswered() -> InvalidMessage:
    error = InvalidMessage("did not receive a valid HTTP response")
    error.__cause__ = EOFError("nothing")
    return error


@pytest.mark.parametrize(
    ("error", "words", "retry"),
    [
        (socket.gaierror(-2, "Name or service not known"), "cannot resolve pods.example", "auto"),
        (ConnectionRefusedError(111, "x"), "pods.example:443 refused the connection", "auto"),
        (OSError(errno.EHOSTUNREACH, "x"), "cannot be reached (EHOSTUNREACH)", "auto"),
        (TimeoutError("opening handshake"), "no answer from pods.example:443 in 10 s", "auto"),
        (certificate("certificate has expired"), "was not accepted: certificate has", "no"),
        (
            certificate("Hostname mismatch, certificate is not valid for 'x'"),
            "the name on the certificate is not pods.example",
            "no",
        ),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "does not speak TLS", "no"),
        (ConnectionResetError(), "cut the connection before it answered", "auto"),
        (InvalidMessage("x"), "is not a WebSocket endpoint", "no"),
        (unanswered(), "closed the connection before it answered", "auto"),
        (InvalidUpgrade("Upgrade", "h2c"), "is not a WebSocket endpoint", "no"),
        (InvalidURI(f"https://x/?t={SECRET}", "scheme"), "a page that is no terminal", "no"),
        (NegotiationError("x"), "not a server this panel can talk to", "no"),
        (SecurityError("more than 10 redirects"), "answered outside the rules", "no"),
        (
            InvalidProxyStatus(Response(407, "", Headers())),
            "the proxy refused to connect to pods.example:443 (407)",
            "no",
        ),
        (answered(200), "a web server answered at pods.example:443, not a terminal (200)", "no"),
        (answered(400, b"pod p does not have a host"), "(400): pod p does not have", "no"),
        (answered(401), "does not accept the credential (401)", "ask"),
        (
            answered(403, json.dumps({"kind": "Status", "message": "no exec"}).encode()),
            "refused access (403): no exec",
            "no",
        ),
        (answered(403), "refused access (403) and gave no reason", "no"),
        (answered(404, b"<html>gone</html>"), "knows no such terminal (404)", "no"),
        (answered(429, b"", Retry_After="7"), "(429); try again in 7 s", "auto"),
        (answered(502, b"{"), "is busy or failing (502)", "auto"),
        (answered(418), "refused the terminal (418)", "no"),
        (answered(400, b'{"error": "\\u001b[2J' + SECRET.encode() + b'"}'), "(400): •••", "no"),
        (ValueError("x"), "could not be opened (ValueError)", "ask"),
    ],
)
def test_what_stops_an_opening(error: BaseException, words: str, retry: str) -> None:
    failure = classify_open_error(error, ADDRESS, secrets=(SECRET,))
    assert words in failure.sentence
    assert failure.retry is Retry(retry)
    assert SECRET not in failure.sentence + failure.advice
    assert "\x1b" not in failure.sentence


@pytest.mark.parametrize("header", ["soon", "9" * 50, "-1", ""])
def test_an_odd_retry_after_is_not_shown(header: str) -> None:
    failure = classify_open_error(answered(503, b"", Retry_After=header), ADDRESS)
    assert "try again" not in failure.sentence


def received(code: int, reason: str = "") -> ConnectionClosed:
    frame = Close(code, reason)
    kind = ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError
    return kind(frame, frame, True)


def dropped(
    cause: BaseException | None, sent: int | None = None, why: str = ""
) -> ConnectionClosed:
    error = ConnectionClosedError(None, Close(sent, why) if sent else None)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "state", "words", "retry"),
    [
        (received(1000), "ended", "exit code unknown", "ask"),
        (received(1000, "bye\x1b[2J"), "ended", "exit code unknown: bye", "ask"),
        (received(1005), "ended", "exit code unknown", "ask"),
        (received(1001), "ended", "going away", "auto"),
        (received(1012), "lost", "restarting or busy", "auto"),
        (received(1013), "lost", "restarting or busy", "auto"),
        (received(1002), "lost", "protocol error (1002)", "no"),
        (received(1003), "lost", "unsupported data (1003)", "no"),
        (received(1007), "lost", "invalid text (1007)", "no"),
        (received(1008, f"bad {SECRET}"), "lost", "refused by policy: bad •••", "no"),
        (received(1009), "lost", "we sent too much at once", "ask"),
        (received(1011, "boom"), "lost", "the server failed: boom", "auto"),
        (received(4001, "mine"), "lost", "closed with 4001: mine", "ask"),
        (dropped(ConnectionResetError()), "lost", "reset, outcome unknown", "auto"),
        (dropped(EOFError()), "lost", "without saying why, outcome unknown", "ask"),
        (dropped(None), "lost", "without saying why, outcome unknown", "ask"),
        (dropped(OSError(110, "x")), "lost", "lost, outcome unknown", "auto"),
        (dropped(PayloadTooBig(2, 1), 1009), "lost", "a message above 1 MiB", "ask"),
        (dropped(None, 1002, "invalid status code"), "ended", "exit code unknown", "ask"),
        (dropped(None, 1002, "invalid opcode"), "lost", "protocol error (1002)", "no"),
        (dropped(None, 1007), "lost", "the server sent invalid text (1007)", "no"),
    ],
)
def test_what_ends_a_session(error: ConnectionClosed, state: str, words: str, retry: str) -> None:
    ending = classify_close(error, secrets=(SECRET,))
    assert ending.state is ShellState(state)
    assert words in ending.reason
    assert ending.retry is Retry(retry)
    assert ending.code is None
    assert SECRET not in ending.reason and "\x1b" not in ending.reason


def test_a_drop_after_a_long_silence_names_it() -> None:
    ending = classify_close(dropped(EOFError()), idle_s=60.4)
    assert "after 60 s of silence" in ending.reason
    assert ending.retry is Retry.AUTO


def test_a_family_that_ends_by_dropping_has_ended() -> None:
    assert classify_close(dropped(EOFError()), silent_end=True).state is ShellState.ENDED
    assert classify_close(dropped(ConnectionResetError()), silent_end=True).state is ShellState.LOST


def test_secrets_and_query_strings_are_masked() -> None:
    said = redact_line(f"GET https://h/p?token={SECRET}&x=1 failed: {SECRET}", (SECRET, ""))
    assert said == "GET https://h/p failed: •••"
