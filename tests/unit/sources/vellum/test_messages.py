"""The sentence of each row of the table, with what it holds and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.sources.vellum import messages as said
from services.sources.vellum.credential import Credential, CredentialState
from services.sources.vellum.evidence import ActionKind, ActionResult, AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome, HttpReply, origin
from services.sources.vellum.limits import WATCH_S
from services.sources.vellum.ownership import Holder, Listener
from services.sources.vellum.pid_files import PidFile, PidState

BARE = AssistantEvidence(1000.0, port=7830)


def of(**more: object) -> AssistantEvidence:
    return replace(BARE, **more)  # type: ignore[arg-type]


def did(kind: ActionKind, **more: object) -> AssistantEvidence:
    return of(action=ActionResult(kind, **more))  # type: ignore[arg-type]


def answered(status: int, body: dict[str, object] | None = None) -> HttpReply:
    return HttpReply(HttpOutcome.ANSWERED, status, body)


REFRESH, MINT, WAKE = ActionKind.REFRESH, ActionKind.MINT, ActionKind.WAKE
STRANGER = PidFile(PidState.STRANGER, 7, name="vim")
ALIVE, DEAD = PidFile(PidState.ALIVE, 7), PidFile(PidState.DEAD, 7)
OURS, OTHER = Listener(Holder.OURS), Listener(Holder.OTHER, name="nginx")
CASES: list[tuple[Callable[[AssistantEvidence], str], AssistantEvidence, str]] = [
    (said.elsewhere, BARE, "Look for it with `vellum ps`."),
    (
        said.elsewhere,
        of(elsewhere=("dev", "test")),
        "Environments with entries: dev, test. Configure a source for the right one.",
    ),
    (said.ended, BARE, "Its process has ended."),
    (said.ended, of(assistant=DEAD), "Its process has ended."),
    (
        said.ended,
        of(assistant=STRANGER),
        "Its process has ended; its pid 7 is another program's (vim).",
    ),
    (
        said.ended,
        of(assistant=PidFile(PidState.JUNK)),
        f"Nothing listens, and {PidState.JUNK.value}: whether it was put to sleep is not known.",
    ),
    (
        said.starting,
        of(gateway=ALIVE),
        "It is starting: its gateway process (pid 7) does not listen yet.",
    ),
    (
        said.starting,
        of(gateway=ALIVE, starter=8),
        "It is being started by a vellum command (pid 8).",
    ),
    (said.stopped, of(gateway=DEAD), "Its gateway has stopped; the assistant itself runs."),
    (
        said.stopped,
        of(gateway=STRANGER, last_line="Out of memory"),
        "Its gateway has stopped; the assistant itself runs. Its pid 7 is another program's (vim). "
        "It said last: Out of memory.",
    ),
    (
        said.foreign,
        of(listener=OURS),
        "Its gateway answers on port 7830, but not as a gateway does (no HTTP).",
    ),
    (
        said.foreign,
        of(listener=OURS, health=answered(418)),
        "Its gateway answers on port 7830, but not as a gateway does (status 418).",
    ),
    (
        said.foreign,
        of(listener=OTHER, health=answered(418)),
        "Port 7830 is used by another program, not by its gateway.",
    ),
    (said.foreign_advice, of(listener=OURS), said.ODD_ADVICE),
    (said.foreign_advice, of(listener=OTHER), said.FOREIGN_ADVICE),
    (said.unready, BARE, "It says that it is not ready yet."),
    (said.unready, of(ready=answered(503)), "It says that it is not ready yet."),
    (said.unready, of(ready=answered(503, {"dbMigrations": {}})), said.MIGRATING),
    (
        said.held,
        of(listener=Listener(Holder.HIDDEN), shared=("a",)),
        "Port 7830 is used by another user's program.",
    ),
    (
        said.held,
        of(listener=OTHER, shared=("a", "b", "c", "d")),
        f"Port 7830 is also that of a, b, c; {OTHER.label} has it.",
    ),
    (said.held, of(listener=OTHER), f"Port 7830 is used by {OTHER.label}, not by its gateway."),
    (
        said.held_advice,
        of(shared=("a",)),
        "Give one of the assistants another port; waking cannot help.",
    ),
    (said.held_advice, BARE, said.FOREIGN_ADVICE),
    (said.shared, BARE, ""),
    (said.shared, of(shared=("a",)), "Port 7830 is also that of a."),
    (
        said.moved,
        of(moved=(1, 2)),
        "Its gateway still serves on its old port 1, 2, not on 7830; a wake waits up to 60 s for "
        "it, then starts it anew.",
    ),
    (
        said.deaf,
        of(gateway=ALIVE),
        "Its gateway process (pid 7) runs and does not listen; a wake waits up to 60 s for it, "
        "then starts it anew.",
    ),
    (
        said.deaf,
        of(gateway=ALIVE, gateway_s=0.0),
        "Its gateway process (pid 7) runs for 0 s and does not listen; a wake waits up to 60 s for "
        "it, then starts it anew.",
    ),
    (
        said.crashing,
        of(early_deaths=3),
        "Its gateway is crash-looping: it ended soon after each of its last 3 starts.",
    ),
    (said.watched, BARE, f"It is answering and being watched for {WATCH_S:g} s."),
    (said.gone, of(gateway=DEAD), "The gateway that was started (pid 7) has ended."),
    (
        said.gone,
        of(gateway=PidFile(PidState.DEAD), last_line="Bye."),
        "The gateway that was started has ended. It said last: Bye.",
    ),
    (
        said.gone,
        of(gateway=ALIVE),
        "Nothing listens on port 7830 and no process of its gateway is left.",
    ),
    (
        said.bad_credential,
        of(credential=Credential(CredentialState.UNREADABLE, problem="Permission denied")),
        "It serves, and its credential file cannot be read: Permission denied.",
    ),
    (
        said.bad_credential,
        of(credential=Credential(CredentialState.BROKEN, problem="no JSON")),
        "It serves, and its credential file is broken: no JSON.",
    ),
    (
        said.unreachable,
        of(assistant=ALIVE),
        "Its assistant process is alive and cannot be reached by the gateway.",
    ),
    (said.unreachable, of(assistant=DEAD), "Its assistant process is down; the gateway runs."),
    (said.not_ready, BARE, "The assistant is not ready."),
    (said.not_ready, of(ready=answered(503)), "The assistant is not ready (503)."),
    (said.spent, BARE, said.SPENT),
    (said.spent, did(REFRESH, status=401), said.SPENT),
    (
        said.spent,
        did(REFRESH, status=403),
        "It serves, and its credential could not be renewed (status 403).",
    ),
    (
        said.spent,
        did(REFRESH, status=401, unnamed=True),
        "It serves, and its credential could not be renewed (this vellum command names no reason).",
    ),
    (
        said.refresh_down,
        BARE,
        "Its credential could not be renewed: the gateway did not serve that.",
    ),
    (
        said.refresh_down,
        did(REFRESH, status=502),
        "Its credential could not be renewed: the gateway did not serve that (502).",
    ),
    (
        said.refresh_down,
        did(REFRESH, status=502, unnamed=True),
        "Its credential could not be renewed: the gateway did not serve that.",
    ),
    (said.forbidden, BARE, "Refused: only a caller on the same machine may do this."),
    (
        said.forbidden,
        did(REFRESH),
        "Refused: only a caller on the same machine may do this.",
    ),
    (
        said.forbidden,
        did(MINT),
        "Refused: only a caller on the same machine may do this (we said we came from "
        f"{origin(7830)}).",
    ),
    (
        said.forbidden,
        replace(did(MINT), port=None),
        "Refused: only a caller on the same machine may do this.",
    ),
    (said.too_many, BARE, "Too many failed sign-ins."),
    (said.too_many, did(MINT, retry_after="soon"), "Too many failed sign-ins."),
    (
        said.too_many,
        did(MINT, retry_after="30"),
        "Too many failed sign-ins; it asks to wait 30 s.",
    ),
    (said.mint_down, BARE, "Its gateway could not check the credential (0)."),
    (said.mint_down, did(MINT, status=500), "Its gateway could not check the credential (500)."),
    (said.no_tool, BARE, "Could not run vellum: "),
    (said.no_tool, did(WAKE, problem="no bun", said="x"), "Could not run vellum: no bun"),
    (
        said.no_tool,
        did(WAKE, code=127, said="not found"),
        "Could not run vellum: it ended with status 127: not found",
    ),
    (said.no_tool, did(WAKE, code=3), "Could not run vellum: it ended with status 3"),
    (said.no_key, BARE, "Vellum refuses to start it: "),
    (
        said.no_key,
        did(WAKE, said="Error: Cannot resume authentication, no key"),
        "Vellum refuses to start it: Cannot resume authentication, no key",
    ),
    (said.wake_failed, BARE, "Wake failed ()"),
    (said.wake_failed, did(WAKE, code=1), "Wake failed (status 1)"),
    (said.wake_failed, did(WAKE, code=1, said="boom"), "Wake failed (status 1): boom"),
    (
        said.wake_failed,
        did(WAKE, code=1, said="Unknown command: wake"),
        "No repair could be tried: this vellum is too old to wake anything (Unknown command: wake)",
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][0].__name__}-{n}")
def test_a_sentence(number: int) -> None:
    sentence, evidence, expected = CASES[number]
    assert sentence(evidence) == expected


def test_a_refusal_over_the_key_is_known_by_its_words() -> None:
    assert said.lacks_key("Error: Cannot resume authentication: no key")
    assert not said.lacks_key("Error: Cannot resume")
    verb = said.no_verb(of(key_refusal="It refuses."))
    assert verb.startswith("It refuses. Neither waking again")
