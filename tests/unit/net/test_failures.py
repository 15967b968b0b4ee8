"""What a connection that could not be made means, with no protocol on top."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from services.models import Retry
from services.net.failures import classify_network_error, is_loopback

ADDRESS = "pods.example:443"


def certificate(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, message)
    error.verify_message = message
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
        (
            certificate("IP address mismatch"),
            "the name on the certificate is not pods.example",
            "no",
        ),
        (
            certificate("the certificate is not valid for this"),
            "the name on the certificate is not pods.example",
            "no",
        ),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "does not speak TLS", "no"),
        (ConnectionResetError(), "cut the connection before it answered", "auto"),
        (ValueError("x"), "could not be opened (ValueError)", "ask"),
    ],
)
def test_what_stops_a_connection(error: BaseException, words: str, retry: str) -> None:
    failure = classify_network_error(error, ADDRESS)
    assert words in failure.sentence
    assert failure.retry is Retry(retry)


def test_a_reset_of_a_connection_in_tls_is_a_port_without_it() -> None:
    failure = classify_network_error(ConnectionResetError(), ADDRESS, secure=True)
    assert "does not speak TLS" in failure.sentence
    assert failure.retry is Retry.NO


def test_a_certificate_cannot_write_on_the_screen() -> None:
    failure = classify_network_error(certificate("\x1b[2Jgone"), ADDRESS)
    assert "gone" in failure.sentence
    assert "\x1b" not in failure.sentence


@pytest.mark.parametrize(
    "host, here",
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here
