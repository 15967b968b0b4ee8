"""Row by row: every generation, nothing configured or the port refused.

See upstream/openshell: Offline outputs.
"""

from __future__ import annotations

import pytest

from services.sources.openshell.cli_text import ErrorKind, normalize_text
from tests.support.openshell_recorded import NONE, REFUSED, VERSIONS, recorded

A, FIRST_JSON, WORKSPACES, AUGUST = VERSIONS
LATER = (FIRST_JSON, WORKSPACES, AUGUST)
NEWER = (WORKSPACES, AUGUST)
UNKNOWN_COMMAND = (2, "unrecognized subcommand", ErrorKind.USAGE)
REFUSAL = "Connection refused (os error 111)"
NO_METADATA = "No gateway metadata found for 'nemoclaw'."
NO_OPTION = (2, "unexpected argument '-o'", ErrorKind.USAGE)

# Situation, versions, command, exit code, words, and the kind of trouble that is made of them.
ROWS: list[tuple[str, tuple[str, ...], str, int, str, ErrorKind]] = [
    (NONE, VERSIONS, "status", 0, "No gateway configured.", ErrorKind.NO_GATEWAY),
    (NONE, NEWER, "status -o json", 0, '"status": "not_configured"', ErrorKind.UNKNOWN),
    (NONE, (A,), "gateway list", *UNKNOWN_COMMAND),
    (NONE, LATER, "gateway list", 0, "No gateways found.", ErrorKind.UNKNOWN),
    (NONE, (A,), "gateway list -o json", *UNKNOWN_COMMAND),
    (NONE, (FIRST_JSON,), "gateway list -o json", *NO_OPTION),
    (NONE, NEWER, "gateway list -o json", 0, "[]", ErrorKind.UNKNOWN),
    (NONE, VERSIONS, "gateway select", 0, "No gateways found.", ErrorKind.UNKNOWN),
    (NONE, VERSIONS, "gateway select nemoclaw", 1, NO_METADATA, ErrorKind.UNKNOWN_NAME),
    (NONE, (A, FIRST_JSON), "gateway info -g nemoclaw", 1, NO_METADATA, ErrorKind.UNKNOWN_NAME),
    (NONE, NEWER, "gateway info -g nemoclaw", 1, "No gateway configured.", ErrorKind.NO_GATEWAY),
    (
        *(NONE, (A,), "gateway start --name nemoclaw", 1),
        *("Failed to create Docker client.", ErrorKind.UNKNOWN),
    ),
    (NONE, LATER, "gateway start --name nemoclaw", *UNKNOWN_COMMAND),
    (
        *(NONE, (A,), "gateway stop --name nemoclaw", 1),
        *("Socket not found: /var/run/docker.sock", ErrorKind.UNKNOWN),
    ),
    (NONE, LATER, "gateway stop --name nemoclaw", *UNKNOWN_COMMAND),
    (NONE, VERSIONS, "sandbox list", 1, "No active gateway.", ErrorKind.NO_GATEWAY),
    (NONE, VERSIONS, "sandbox get x", 1, "No active gateway.", ErrorKind.NO_GATEWAY),
    (
        *(NONE, VERSIONS, "-g nemoclaw sandbox list", 1),
        *("Unknown gateway 'nemoclaw'.", ErrorKind.UNKNOWN_NAME),
    ),
    (NONE, VERSIONS, "-g nemoclaw status", 0, "No gateway configured.", ErrorKind.NO_GATEWAY),
    (NONE, VERSIONS, "forward list", 0, "No active forwards.", ErrorKind.UNKNOWN),
    (NONE, VERSIONS, "logs x --follow", 2, "unexpected argument '--follow'", ErrorKind.USAGE),
    (REFUSED, (A,), "gateway list -o json", *UNKNOWN_COMMAND),
    (REFUSED, (FIRST_JSON,), "gateway list -o json", *NO_OPTION),
    (REFUSED, NEWER, "gateway list -o json", 0, '"auth": "plaintext"', ErrorKind.UNKNOWN),
    (
        *(REFUSED, VERSIONS, "gateway select nemoclaw", 0),
        *("Active gateway set to 'nemoclaw'", ErrorKind.UNKNOWN),
    ),
    (REFUSED, VERSIONS, "gateway select", 0, "nemoclaw http", ErrorKind.UNKNOWN),
    (
        *(REFUSED, (A, FIRST_JSON), "-g nemoclaw status", 1),
        *("Server Status Gateway: nemoclaw Server: http", ErrorKind.UNREACHABLE),
    ),
    (REFUSED, VERSIONS, "-g nemoclaw status", 1, REFUSAL, ErrorKind.UNREACHABLE),
    (REFUSED, NEWER, "-g nemoclaw status -o json", 1, REFUSAL, ErrorKind.UNREACHABLE),
    (
        *(REFUSED, (A, FIRST_JSON), "gateway info -g nemoclaw", 0),
        *("Gateway: nemoclaw Gateway endpoint:", ErrorKind.UNKNOWN),
    ),
    (REFUSED, NEWER, "gateway info -g nemoclaw", 1, "transport error", ErrorKind.UNREACHABLE),
    *(
        (REFUSED, (A,), f"-g nemoclaw sandbox {verb}", 1, "failed to read TLS", ErrorKind.TLS_FILE)
        for verb in ("list", "get x")
    ),
    *(
        (REFUSED, LATER, f"-g nemoclaw sandbox {verb}", 1, "transport error", ErrorKind.UNREACHABLE)
        for verb in ("list", "get x")
    ),
]
CASES = [(version, *row[:1], *row[2:]) for row in ROWS for version in row[1]]


@pytest.mark.parametrize(("version", "situation", "command", "code", "words", "kind"), CASES)
def test_a_recorded_row_is_what_was_heard_and_how_it_is_understood(
    version: str, situation: str, command: str, code: int, words: str, kind: ErrorKind
) -> None:
    answer = recorded(version, situation, command)
    assert answer.code == code
    assert words in normalize_text(answer.text)
    assert answer.error_kind is kind


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_which_it_is(version: str) -> None:
    answer = recorded(version, NONE, "--version")
    assert (answer.code, answer.stdout) == (0, f"openshell {version}\n")
