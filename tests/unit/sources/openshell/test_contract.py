"""Row by row: every generation, nothing configured or the port refused.

See upstream/openshell: Offline outputs.
"""

from __future__ import annotations

import pytest

from services.sources.openshell.cli_text import normalised
from services.sources.openshell.error_kinds import Trouble
from tests.support.openshell_recorded import NONE, REFUSED, VERSIONS, recorded

A, FIRST_JSON, WORKSPACES, AUGUST = VERSIONS
LATER = (FIRST_JSON, WORKSPACES, AUGUST)
NEWER = (WORKSPACES, AUGUST)
UNKNOWN_COMMAND = (2, "unrecognized subcommand", Trouble.USAGE)
REFUSAL = "Connection refused (os error 111)"
NO_METADATA = "No gateway metadata found for 'nemoclaw'."
NO_OPTION = (2, "unexpected argument '-o'", Trouble.USAGE)

# Situation, versions, command, exit code, words, and the kind of trouble that is made of them.
ROWS: list[tuple[str, tuple[str, ...], str, int, str, Trouble]] = [
    (NONE, VERSIONS, "status", 0, "No gateway configured.", Trouble.NO_GATEWAY),
    (NONE, NEWER, "status -o json", 0, '"status": "not_configured"', Trouble.UNKNOWN),
    (NONE, (A,), "gateway list", *UNKNOWN_COMMAND),
    (NONE, LATER, "gateway list", 0, "No gateways found.", Trouble.UNKNOWN),
    (NONE, (A,), "gateway list -o json", *UNKNOWN_COMMAND),
    (NONE, (FIRST_JSON,), "gateway list -o json", *NO_OPTION),
    (NONE, NEWER, "gateway list -o json", 0, "[]", Trouble.UNKNOWN),
    (NONE, VERSIONS, "gateway select", 0, "No gateways found.", Trouble.UNKNOWN),
    (NONE, VERSIONS, "gateway select nemoclaw", 1, NO_METADATA, Trouble.UNKNOWN_NAME),
    (NONE, (A, FIRST_JSON), "gateway info -g nemoclaw", 1, NO_METADATA, Trouble.UNKNOWN_NAME),
    (NONE, NEWER, "gateway info -g nemoclaw", 1, "No gateway configured.", Trouble.NO_GATEWAY),
    (
        *(NONE, (A,), "gateway start --name nemoclaw", 1),
        *("Failed to create Docker client.", Trouble.UNKNOWN),
    ),
    (NONE, LATER, "gateway start --name nemoclaw", *UNKNOWN_COMMAND),
    (
        *(NONE, (A,), "gateway stop --name nemoclaw", 1),
        *("Socket not found: /var/run/docker.sock", Trouble.UNKNOWN),
    ),
    (NONE, LATER, "gateway stop --name nemoclaw", *UNKNOWN_COMMAND),
    (NONE, VERSIONS, "sandbox list", 1, "No active gateway.", Trouble.NO_GATEWAY),
    (NONE, VERSIONS, "sandbox get x", 1, "No active gateway.", Trouble.NO_GATEWAY),
    (
        *(NONE, VERSIONS, "-g nemoclaw sandbox list", 1),
        *("Unknown gateway 'nemoclaw'.", Trouble.UNKNOWN_NAME),
    ),
    (NONE, VERSIONS, "-g nemoclaw status", 0, "No gateway configured.", Trouble.NO_GATEWAY),
    (NONE, VERSIONS, "forward list", 0, "No active forwards.", Trouble.UNKNOWN),
    (NONE, VERSIONS, "logs x --follow", 2, "unexpected argument '--follow'", Trouble.USAGE),
    (REFUSED, (A,), "gateway list -o json", *UNKNOWN_COMMAND),
    (REFUSED, (FIRST_JSON,), "gateway list -o json", *NO_OPTION),
    (REFUSED, NEWER, "gateway list -o json", 0, '"auth": "plaintext"', Trouble.UNKNOWN),
    (
        *(REFUSED, VERSIONS, "gateway select nemoclaw", 0),
        *("Active gateway set to 'nemoclaw'", Trouble.UNKNOWN),
    ),
    (REFUSED, VERSIONS, "gateway select", 0, "nemoclaw http", Trouble.UNKNOWN),
    (
        *(REFUSED, (A, FIRST_JSON), "-g nemoclaw status", 1),
        *("Server Status Gateway: nemoclaw Server: http", Trouble.UNREACHABLE),
    ),
    (REFUSED, VERSIONS, "-g nemoclaw status", 1, REFUSAL, Trouble.UNREACHABLE),
    (REFUSED, NEWER, "-g nemoclaw status -o json", 1, REFUSAL, Trouble.UNREACHABLE),
    (
        *(REFUSED, (A, FIRST_JSON), "gateway info -g nemoclaw", 0),
        *("Gateway: nemoclaw Gateway endpoint:", Trouble.UNKNOWN),
    ),
    (REFUSED, NEWER, "gateway info -g nemoclaw", 1, "transport error", Trouble.UNREACHABLE),
    *(
        (REFUSED, (A,), f"-g nemoclaw sandbox {verb}", 1, "failed to read TLS", Trouble.IDENTITY)
        for verb in ("list", "get x")
    ),
    *(
        (REFUSED, LATER, f"-g nemoclaw sandbox {verb}", 1, "transport error", Trouble.UNREACHABLE)
        for verb in ("list", "get x")
    ),
]
CASES = [(version, *row[:1], *row[2:]) for row in ROWS for version in row[1]]


@pytest.mark.parametrize(("version", "situation", "command", "code", "words", "kind"), CASES)
def test_a_recorded_row_is_what_was_heard_and_how_it_is_understood(
    version: str, situation: str, command: str, code: int, words: str, kind: Trouble
) -> None:
    answer = recorded(version, situation, command)
    assert answer.code == code
    assert words in normalised(answer.text)
    assert answer.trouble is kind


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_which_it_is(version: str) -> None:
    answer = recorded(version, NONE, "--version")
    assert (answer.code, answer.stdout) == (0, f"openshell {version}\n")
