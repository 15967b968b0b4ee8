"""Every row, first match wins (upstream/vellum: Classification)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.models import GatewayState as G
from services.models import SandboxState as S
from services.process.identity import ProcessId
from services.sources.protocol.verdict import VerdictKind
from services.sources.vellum import verdicts
from services.sources.vellum.credential import Credential, CredentialState
from services.sources.vellum.evidence import ActionKind, ActionResult, AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.judge import REISSUE, RESTART, TABLE, Remedy, classify
from services.sources.vellum.ownership import Holder, Listener
from services.sources.vellum.pid_files import PidFile, PidState
from services.sources.vellum.registry import AssistantEntry, AssistantRegistry
from services.sources.vellum.rows import to_rows

NOW = 1_000_000.0
OLD, YOUNG = NOW - 3600, NOW - 10
OK = HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok"})
REFUSED = HttpReply(HttpOutcome.REFUSED)
LIVE = PidFile(PidState.ALIVE, 7, OLD)
READY = HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok", "ready": True})
VALID = Credential(CredentialState.VALID, NOW + 9e5, NOW + 9e6)
GOOD = AssistantEvidence(
    NOW, port=7830, health=OK, ready=READY, gateway=LIVE, assistant=LIVE, credential=VALID
)


def ready(status: int, /, **body: object) -> AssistantEvidence:
    return replace(GOOD, ready=HttpReply(HttpOutcome.ANSWERED, status, body))


def minted(status: int, /, **more: object) -> AssistantEvidence:
    return replace(GOOD, action=ActionResult(ActionKind.MINT, status, **more))  # type: ignore[arg-type]


def woken(**more: object) -> AssistantEvidence:
    return replace(GOOD, action=ActionResult(ActionKind.WAKE, **more))  # type: ignore[arg-type]


def holding(state: CredentialState) -> AssistantEvidence:
    return replace(GOOD, credential=Credential(state))


R, W, C, T = Remedy.REPAIRABLE, Remedy.SETTLING, Remedy.CONFIRM, Remedy.TERMINAL
GONE = PidFile(PidState.DEAD, 6, OLD)
DOWN = replace(GOOD, health=REFUSED, ready=None, gateway=GONE)
ZOMBIE = PidFile(PidState.ZOMBIE, 7, OLD)
CASES = [
    (
        1,
        replace(GOOD, registry_problem="it is not JSON"),
        G.UNKNOWN,
        S.UNKNOWN,
        T,
        "cannot be read",
    ),
    (2, replace(GOOD, registered=False), G.ABSENT, S.ABSENT, T, "not registered in environment"),
    (3, replace(GOOD, cloud="paired", ready=None), G.UNKNOWN, S.UNKNOWN, T, "another machine"),
    (4, replace(GOOD, cloud="gcp"), G.UNKNOWN, S.UNKNOWN, T, "managed elsewhere (cloud gcp)"),
    (4, replace(GOOD, cloud="moon"), G.UNKNOWN, S.UNKNOWN, T, "managed elsewhere"),
    (5, replace(GOOD, port=None, health=None, ready=None), G.ABSENT, S.UNKNOWN, R, "No gateway is"),
    (6, replace(DOWN, assistant=PidFile()), G.DOWN, S.ASLEEP, R, "asleep"),
    (
        6,
        replace(DOWN, assistant=PidFile(PidState.UNREADABLE)),
        G.DOWN,
        S.DOWN,
        R,
        "its pid file cannot be read",
    ),
    (6, replace(DOWN, assistant=PidFile(PidState.JUNK)), G.DOWN, S.DOWN, R, "holds no number"),
    (6, replace(DOWN, assistant=ZOMBIE), G.DOWN, S.DOWN, R, "process has ended"),
    (
        6,
        replace(DOWN, assistant=PidFile(PidState.STRANGER, 42, OLD, None, "sleep")),
        *(G.DOWN, S.DOWN, R, "its pid 42 is another program's (sleep)"),
    ),
    (7, replace(DOWN, starter=5), G.DOWN, S.SETTLING, W, "by a vellum command (pid 5)"),
    (
        7,
        replace(DOWN, gateway=LIVE, gateway_s=5.0),
        *(G.DOWN, S.SETTLING, W, "gateway process (pid 7) does not listen yet"),
    ),
    (8, DOWN, G.DOWN, S.READY, R, "stopped"),
    (8, replace(DOWN, gateway=PidFile(PidState.DEAD, 1, YOUNG)), G.DOWN, S.READY, R, "stopped"),
    (
        31,
        replace(GOOD, listener=Listener(Holder.OTHER, ProcessId(9, 1, "b"), "nginx")),
        *(G.WRONG, S.UNKNOWN, T, "Port 7830 is used by nginx (pid 9)"),
    ),
    (
        31,
        replace(DOWN, listener=Listener(Holder.HIDDEN)),
        *(G.WRONG, S.UNKNOWN, T, "another user's program"),
    ),
    (
        31,
        replace(
            GOOD, shared=("Two",), listener=Listener(Holder.OTHER, ProcessId(9, 1, "b"), "bun")
        ),
        *(G.WRONG, S.UNKNOWN, T, "Port 7830 is also that of Two; bun (pid 9) has it"),
    ),
    (32, replace(DOWN, gateway=LIVE, moved=(7840,)), G.DOWN, S.READY, R, "its old port 7840"),
    (33, replace(DOWN, gateway=LIVE, gateway_s=180.0), G.DOWN, S.READY, R, "for 3 min and does"),
    (
        34,
        replace(DOWN, early_deaths=3, last_line="boom"),
        *(G.DOWN, S.READY, R, "last 3 starts. It said last: boom."),
    ),
    (
        35,
        replace(DOWN, assistant=PidFile(PidState.STARTING, None, YOUNG)),
        *(G.DOWN, S.DOWN, R, "nobody is at it"),
    ),
    (36, replace(GOOD, watched_s=1.0), G.SETTLING, S.SETTLING, W, "answering and being watched"),
    (39, ready(503, status="upgrading"), G.SETTLING, S.SETTLING, W, "upgrading"),
    (
        9,
        replace(GOOD, health=HttpReply(HttpOutcome.TIMEOUT), ready=None),
        G.HUNG,
        S.UNKNOWN,
        R,
        "4 minutes",
    ),
    (
        9,
        replace(GOOD, health=HttpReply(HttpOutcome.CLOSED), ready=None),
        G.HUNG,
        S.UNKNOWN,
        R,
        "4 minutes",
    ),
    (
        10,
        replace(GOOD, health=HttpReply(HttpOutcome.ANSWERED, 302)),
        G.WRONG,
        S.UNKNOWN,
        T,
        "Port 7830",
    ),
    (
        10,
        replace(GOOD, health=HttpReply(HttpOutcome.GARBLED)),
        G.WRONG,
        S.UNKNOWN,
        T,
        "another program",
    ),
    (
        10,
        replace(
            GOOD,
            health=HttpReply(HttpOutcome.GARBLED, 302),
            listener=Listener(Holder.OURS, None, "bun"),
        ),
        *(G.WRONG, S.UNKNOWN, T, "answers on port 7830, but not as a gateway does (status 302)"),
    ),
    (11, ready(503, status="starting"), G.SETTLING, S.SETTLING, W, "gateway is starting"),
    (12, ready(503, status="draining"), G.SETTLING, S.SETTLING, W, "shutting down"),
    (13, ready(200, dbMigrations={"state": "failed"}), G.READY, S.BROKEN, C, "migration failed"),
    (
        13,
        ready(503, status="upstream_unhealthy", upstream={"dbMigrations": {"state": "failed"}}),
        *(G.READY, S.BROKEN, C, "migration failed"),
    ),
    (14, ready(200, ready=False), G.READY, S.SETTLING, W, "It says that it is not ready yet"),
    (
        14,
        ready(200, ready=False, dbMigrations={"state": "running"}),
        *(G.READY, S.SETTLING, W, "migrating"),
    ),
    (15, ready(503, status="upstream_unreachable"), G.READY, S.STUCK, R, "cannot be reached"),
    (
        15,
        replace(ready(503, status="upstream_unreachable"), assistant=PidFile()),
        *(G.READY, S.DOWN, R, "process is down"),
    ),
    (16, ready(503, status="upstream_unhealthy"), G.READY, S.SETTLING, W, "not ready (503"),
    (16, replace(ready(500), unready_s=61.0), G.READY, S.STUCK, R, "not ready (500)"),
    (
        17,
        replace(GOOD, ready=HttpReply(HttpOutcome.TIMEOUT)),
        G.HUNG,
        S.UNKNOWN,
        R,
        "not answering",
    ),
    (18, holding(CredentialState.ABSENT), G.READY, S.READY, R, "no credential"),
    (37, holding(CredentialState.UNREADABLE), G.READY, S.READY, R, "file cannot be read"),
    (37, holding(CredentialState.BROKEN), G.READY, S.READY, R, "file is broken"),
    (19, holding(CredentialState.EXPIRED), G.READY, S.READY, Remedy.REFRESH, "will be renewed"),
    (
        20,
        replace(GOOD, action=ActionResult(ActionKind.REFRESH, 503)),
        None,
        None,
        Remedy.PROBE_AGAIN,
        "(503)",
    ),
    (
        20,
        replace(GOOD, action=ActionResult(ActionKind.REFRESH, 504)),
        None,
        None,
        Remedy.PROBE_AGAIN,
        "(504)",
    ),
    (
        21,
        replace(GOOD, action=ActionResult(ActionKind.REFRESH, 401)),
        G.READY,
        S.READY,
        C,
        "expired for good",
    ),
    (21, holding(CredentialState.SPENT), G.READY, S.READY, C, "expired for good"),
    (
        21,
        replace(GOOD, action=ActionResult(ActionKind.REFRESH, 403)),
        *(G.READY, S.READY, C, "could not be renewed (status 403)"),
    ),
    (22, minted(403), G.READY, None, T, "we said we came from http://127.0.0.1:7830"),
    (23, minted(401, young=True), G.READY, S.READY, W, "still loading"),
    (24, minted(401), G.READY, S.READY, C, "does not accept"),
    (24, minted(401, young=True, word="guardian_repair_required"), G.READY, S.READY, C, "accept"),
    (25, minted(429, retry_after="60"), G.READY, None, T, "wait 60 s"),
    (26, minted(502), None, None, Remedy.PROBE_AGAIN, "(502)"),
    (26, minted(503), None, None, Remedy.PROBE_AGAIN, "(503)"),
    (27, woken(problem="vellum is not installed."), None, None, T, "Could not run vellum"),
    (27, woken(code=127, said="no bun"), None, None, T, "no bun"),
    (
        38,
        woken(code=1, said="x / Cannot resume authentication: signing key missing"),
        *(None, None, T, "start it: Cannot resume authentication: signing key missing"),
    ),
    (28, woken(code=1, said="boom"), None, None, T, "Wake failed (status 1): boom"),
    (29, woken(timed_out=True), None, None, Remedy.PROBE_AGAIN, "took too long"),
    (30, woken(code=0), None, None, Remedy.PROBE_AGAIN, "does not prove it"),
]


@pytest.mark.parametrize(
    ("row", "seen", "gateway", "sandbox", "remedy", "said"),
    CASES,
    ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)],
)
def test_row(
    row: int,
    seen: AssistantEvidence,
    gateway: G | None,
    sandbox: S | None,
    remedy: Remedy,
    said: str,
) -> None:
    judged = classify(seen)
    assert (judged.row, judged.gateway, judged.sandbox, judged.remedy) == (
        *(row, gateway, sandbox),
        remedy,
    )
    assert said in judged.reason


def test_every_row_of_the_table_is_there_once_and_tried() -> None:
    assert sorted(row.number for row in TABLE) == list(range(1, 40))
    assert {case[0] for case in CASES} == set(range(1, 40))


def test_the_page_has_the_rows_of_the_table_in_their_order() -> None:
    page = Path(__file__).parents[4] / "docs/upstream/vellum.md"
    table = page.read_text().partition("## Classification")[2].partition("\n## ")[0]
    told = [int(found) for found in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert told == [row.number for row in TABLE]


def test_nothing_wrong_is_fine() -> None:
    assert classify(GOOD).remedy is Remedy.FINE
    assert verdicts.from_probe(classify(GOOD), "").kind is VerdictKind.READY


def test_the_first_match_wins() -> None:
    broken = replace(
        DOWN, registry_problem="x", registered=False, cloud="gcp", port=None, assistant=PidFile()
    )
    assert classify(broken).row == 1
    assert classify(replace(broken, registry_problem="")).row == 2
    assert classify(replace(broken, registry_problem="", registered=True)).row == 4


def test_a_confirmable_verb_is_offered_only_by_rows_that_need_it() -> None:
    offered = {
        classify(seen).row: classify(seen).confirmable
        for _, seen, *_ in CASES
        if classify(seen).confirmable
    }
    assert offered == {13: RESTART, 18: REISSUE, 21: REISSUE, 24: REISSUE, 37: REISSUE}


def test_a_bad_credential_does_not_make_a_serving_assistant_unready() -> None:
    for state in (CredentialState.ABSENT, CredentialState.EXPIRED, CredentialState.SPENT):
        assert verdicts.from_probe(classify(holding(state)), "").kind is VerdictKind.READY


def test_without_the_command_nothing_is_wakeable_and_the_reason_is_said() -> None:
    for _, seen, *_ in CASES:
        judged = classify(seen)
        verdict = verdicts.from_probe(judged, "vellum is not installed")
        assert not verdict.wakeable
        assert not verdict.confirmable
        if judged.remedy is Remedy.REPAIRABLE and judged.row not in verdicts.CREDENTIAL_ROWS:
            assert verdict.reason == judged.reason
            assert "No repair was tried" in verdict.advice


def test_paired_is_fine_where_the_other_machine_says_so() -> None:
    assert classify(replace(GOOD, cloud="paired", credential=Credential())).row == 0


replies = st.one_of(
    st.none(),
    st.builds(
        HttpReply,
        st.sampled_from(list(HttpOutcome)),
        st.sampled_from([0, 200, 204, 302, 401, 403, 404, 500, 502, 503]),
        st.one_of(
            st.none(),
            st.dictionaries(
                st.sampled_from(["status", "ready", "dbMigrations", "error"]),
                st.one_of(
                    st.sampled_from(["ok", "starting", "draining", "upstream_unreachable"]),
                    st.booleans(),
                    st.integers(),
                    st.just({"state": "failed"}),
                    st.none(),
                ),
            ),
        ),
    ),
)
pid_files = st.builds(
    PidFile,
    st.sampled_from(list(PidState)),
    st.one_of(st.none(), st.integers(1, 9999)),
    st.one_of(st.none(), st.floats(NOW - 1e6, NOW + 100)),
)
evidence = st.builds(
    AssistantEvidence,
    st.just(NOW),
    registry_problem=st.sampled_from(["", "", "", "bad"]),
    registered=st.sampled_from([True, True, True, False]),
    cloud=st.sampled_from(["local", "docker", "paired", "gcp", "?"]),
    port=st.one_of(st.none(), st.integers(1, 65535)),
    health=st.one_of(st.just(OK), replies),
    ready=replies,
    gateway=pid_files,
    assistant=pid_files,
    credential=st.builds(Credential, st.sampled_from(list(CredentialState))),
    unready_s=st.floats(0, 1000),
    tool=st.sampled_from(["", "vellum is not installed"]),
    action=st.one_of(
        st.none(),
        st.builds(
            ActionResult,
            st.sampled_from(list(ActionKind)),
            st.sampled_from([0, 200, 401, 403, 429, 500, 502, 503, 504]),
            st.sampled_from(["", "guardian_repair_required"]),
            young=st.booleans(),
            code=st.one_of(st.none(), st.integers(-15, 127)),
            timed_out=st.booleans(),
        ),
    ),
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(evidence)
def test_any_evidence_has_a_meaning_and_can_be_shown(seen: AssistantEvidence) -> None:
    judged = classify(seen)
    assert judged.row == 0 or judged.reason
    drawn = to_rows(
        "v", AssistantRegistry(path="/x"), AssistantEntry("a", "A", seen.cloud), seen, judged
    )
    assert drawn.gateway.id.native_id == drawn.sandbox.id.native_id == "a"
    if judged.remedy is Remedy.SETTLING:
        # Invariant 12: settling never leads to a wake by itself.
        assert not verdicts.from_probe(judged, "").wakeable


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(evidence)
def test_a_dead_gateway_is_never_ready_whatever_the_credential(seen: AssistantEvidence) -> None:
    """Invariant 4."""
    dead = replace(seen, health=REFUSED, ready=None, action=None)
    judged = classify(dead)
    assert verdicts.from_probe(judged, "").kind is not VerdictKind.READY
    assert judged.gateway is not G.READY
