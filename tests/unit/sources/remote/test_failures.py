"""Every way a link fails, as its sentence: those a real ssh cannot be brought to are here alone."""

from __future__ import annotations

import pytest

from services.models import GatewayState
from services.sources.remote import failures
from services.sources.remote.command import FarCommand
from services.sources.remote.failures import Ending

SSH = FarCommand(("ssh", "--", "box", "wakedeck"), "box", "box")
MINE = FarCommand(("my-source",), "my-source")
DOWN, WRONG, HUNG = GatewayState.DOWN, GatewayState.WRONG, GatewayState.HUNG
CHANGED = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed."


@pytest.mark.parametrize(
    ("code", "stderr", "state", "sentence"),
    [
        (255, "ssh: Could not resolve hostname box: x", DOWN, "There is no host box."),
        (255, "ssh: connect to host box: Connection refused", DOWN, "box refuses the connection."),
        (255, "ssh: connect to host box: Connection timed out", DOWN, "box did not answer in time"),
        (255, "ssh: connect to host box: No route to host", DOWN, "There is no way to box."),
        (255, "ssh: connect to host box: Network is unreachable", DOWN, "There is no way to box."),
        (255, "Host key verification failed.", WRONG, "The host key of box is not known yet."),
        (255, CHANGED, WRONG, "The host key of box is not the one that is known"),
        (255, "box: Permission denied (publickey).", WRONG, "box accepts none of your keys."),
        (255, "Too many authentication failures", WRONG, "box accepts none of your keys."),
        (255, "kex_exchange: reset", DOWN, "ssh could not reach box: kex_exchange: reset."),
        (127, "sh: 1: wakedeck: not found", WRONG, "There is no wakedeck on box."),
        (2, "Error: No such command 'source'.", WRONG, "The wakedeck on box is too old"),
        (3, "out of order", DOWN, "box ended before it said hello (status 3): out of order."),
        (-9, "", DOWN, "box ended before it said hello (killed by SIGKILL)."),
    ],
)
def test_no_link_over_ssh(code: int, stderr: str, state: GatewayState, sentence: str) -> None:
    failure = failures.ended(SSH, Ending(code, stderr, "", greeted=False))
    assert failure.state is state and failure.sentence.startswith(sentence), failure
    assert failure.lasting is (state is WRONG)


@pytest.mark.parametrize(
    ("command", "code", "unfinished", "sentence"),
    [
        (SSH, 255, False, "The link to box was lost: gone."),
        (SSH, 1, False, "Wakedeck on box ended (status 1): gone."),
        (MINE, 255, False, "my-source ended (status 255): gone."),
        (MINE, 0, True, "my-source ended in the middle of a message (status 0): gone."),
    ],
)
def test_a_link_that_was_there(
    command: FarCommand, code: int, unfinished: bool, sentence: str
) -> None:
    failure = failures.ended(command, Ending(code, "gone", "", True, unfinished))
    assert (failure.state, failure.sentence) == (DOWN, sentence)


def test_what_is_there_and_is_not_understood() -> None:
    silent = failures.no_hello(SSH, 20.0, Ending(None, "", "", False))
    assert (silent.state, silent.sentence) == (HUNG, "box did not answer within 20 s.")
    other = failures.no_hello(SSH, 20.0, Ending(None, "", "Welcome\nClosed until six\n", False))
    assert other.state is WRONG and other.sentence.endswith("it said: Closed until six")
    assert failures.stalled("box", 15.0).sentence.endswith("no sign of life for 15 s.")
    assert failures.takes_nothing("box").sentence == "box takes nothing of what it is sent."
    assert "cannot read: a frame." in failures.not_understood("box", "a frame").sentence
    older, newer = (failures.other_version("box", "w 9", n, "w 1", 2) for n in (1, 3))
    assert older.advice.startswith("Update that") and newer.advice.startswith("Update this")
