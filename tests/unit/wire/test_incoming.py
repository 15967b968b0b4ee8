"""What a far side says becomes records of ours: harmless, bounded, in this machine's time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from services.models import (
    Activity,
    Capability,
    Direction,
    GatewayState,
    InLabel,
    OutLabel,
    SandboxState,
    Severity,
    Step,
    StepState,
)
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.wire.frames import WireError
from services.wire.incoming import (
    LONGEST_ID,
    MOST_FACTS,
    MOST_MESSAGES,
    Incoming,
    capabilities,
    is_id,
    number,
    streams_of,
    verdict_of,
)
from services.wire.messages import MOST_ALIASES, EventRow, WireGateway, WireSandbox

AT = 1_000.0
OFFSET = 5.0


def reading() -> Incoming:
    return Incoming("box", "home", OFFSET)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a", True),
        ("a b", True),
        ("", False),
        (" a", False),
        ("a ", False),
        ("a\nb", False),
        ("a\x1b", False),
        ("a" * LONGEST_ID, True),
        ("a" * (LONGEST_ID + 1), False),
    ],
)
def test_what_can_be_an_id(text: str, fits: bool) -> None:
    assert is_id(text) is fits


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (None, None),
        (0.0, 0.0),
        (-1e11, -1e11),
        (1e11, 1e11),
        (1.1e11, None),
        (-1.1e11, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_what_can_be_an_instant(value: float | None, known: float | None) -> None:
    assert number(value) == known
    assert reading().here(value) == (None if known is None else known + OFFSET)


def sandbox(**more: Any) -> Any:
    incoming = reading()
    row = WireSandbox("s", more.pop("state", "ready"), **more)
    way = incoming.gateway_id("box")
    return incoming.sandbox(row, AT, [(Capability.EXEC, "none here")], way), incoming


def test_a_sandbox_as_it_is_told() -> None:
    row, incoming = sandbox(
        name="Dinner\x1b[31m",
        reason="fine",
        observed_at=AT - 1,
        gateway="gw",
        activity="working",
        needs=["gw", "bad\n", "other"],
        unavailable={"wake": "not mine", "exec": "not there", "fly": "never"},
        evidence=[("a", "b\x07")] * (MOST_FACTS + 1),
        inbound=[("due", -1), ("x", 1 << 50)],
        since=AT - 9,
        until=AT + 9,
        cost_usd=0.0,
        aliases=["one", "bad\n", *(f"a{n}" for n in range(MOST_ALIASES))],
        stock=True,
    )
    way = incoming.gateway_id("box")
    assert (row.id, row.state, row.reason) == (incoming.sandbox_id("s"), SandboxState.READY, "fine")
    assert "\x1b" not in row.name
    assert (row.observed_at, row.since, row.until) == (
        AT - 1 + OFFSET,
        AT - 9 + OFFSET,
        AT + 9 + OFFSET,
    )
    assert row.gateway == incoming.gateway_id("gw")
    assert row.needs == (way, incoming.gateway_id("gw"), incoming.gateway_id("other"))
    assert dict(row.unavailable) == {Capability.WAKE: "not mine", Capability.EXEC: "not there"}
    assert len(row.evidence) == MOST_FACTS and "\x07" not in row.evidence[0][1]
    assert row.inbound == (("due", 0), ("x", 1 << 40))
    assert row.activity is Activity.WORKING and row.cost_usd == 0.0 and row.stock
    assert row.aliases == ("one", *(f"a{n}" for n in range(MOST_ALIASES - 2)))
    assert incoming.words == []


@pytest.mark.parametrize(
    ("more", "name", "expected"),
    [
        ({}, "name", "s"),
        ({}, "observed_at", AT + OFFSET),
        ({"observed_at": math.nan}, "observed_at", AT + OFFSET),
        ({"observed_at": 0.0}, "observed_at", OFFSET),
        ({"activity": "dreaming"}, "activity", Activity.NONE),
        ({"cost_usd": -1.0}, "cost_usd", None),
        ({"cost_usd": 1e7}, "cost_usd", 1e7),
        ({"cost_usd": 1.1e7}, "cost_usd", None),
        ({}, "unavailable", ((Capability.EXEC, "none here"),)),
        # Nobody's own state: whether a way is cut is for this panel to say.
        ({"state": SandboxState.CUT_OFF.value}, "state", SandboxState.UNKNOWN),
        ({"state": "pondering"}, "state", SandboxState.UNKNOWN),
        (
            {"state": "pondering", "reason": "Why."},
            "reason",
            "It says 'pondering', which this panel does not know. Why.",
        ),
    ],
)
def test_a_sandbox_that_says_less_or_odd_things(
    more: dict[str, Any], name: str, expected: object
) -> None:
    row, incoming = sandbox(**more)
    assert getattr(row, name) == expected
    odd = more.get("state") == "pondering"
    assert [one.word for one in incoming.words] == ["pondering"] * odd
    assert row.gateway == incoming.gateway_id("box")


def test_a_gateway_is_named_with_its_host() -> None:
    incoming = reading()
    row = incoming.gateway(WireGateway("gw", "ready", latency_s=math.inf), AT)
    assert (row.name, row.state, row.latency_s) == ("box/gw", GatewayState.READY, None)
    row = incoming.gateway(WireGateway("gw", "odd", name="front", latency_s=0.0), AT)
    assert (row.name, row.state, row.latency_s) == ("box/front", GatewayState.UNKNOWN, 0.0)
    assert [one.place for one in incoming.words] == ["gateway state"]


def test_only_so_many_words_are_kept() -> None:
    incoming = reading()
    for n in range(MOST_FACTS + 5):
        incoming.gateway(WireGateway("gw", f"w{n}"), AT)
    assert len(incoming.words) == MOST_FACTS


@pytest.mark.parametrize(
    ("row", "subject", "severity", "kind"),
    [
        (EventRow(AT, "x"), "home", Severity.INFO, "panel"),
        (EventRow(AT, "x", "worse", "s", "sandbox"), "home/s", Severity.WORSE, "sandbox"),
        (EventRow(AT, "x", "dreadful", "s"), "home/s", Severity.INFO, "panel"),
    ],
)
def test_an_event(row: EventRow, subject: str, severity: Severity, kind: str) -> None:
    found = reading().event(row)
    assert found is not None
    assert (found.at, found.told_at, found.source) == (AT + OFFSET, AT, "box")
    assert (found.subject, found.severity, found.kind) == (subject, severity, kind)


def test_an_event_without_an_instant_or_a_readable_subject_is_none() -> None:
    assert reading().event(EventRow(math.nan, "x")) is None
    assert reading().event(EventRow(AT, "x", subject="a\nb")) is None


def message(**more: Any) -> dict[str, Any]:
    return {"id": "m", "label": "due", **more}


def queue(*pages: dict[str, Any]) -> Any:
    incoming = reading()
    return incoming.queue(incoming.sandbox_id("s"), pages, AT), incoming


def test_a_queue_is_one_of_all_its_pages_and_bounded() -> None:
    head = {"observed_at": AT - 1, "inbound": [["due", 2]], "problem": "late", "stale": True}
    found, _ = queue({**head, "messages": [message()]}, {"messages": [message(id="n")]})
    assert [one.id for one in found.messages] == ["m", "n"]
    assert (found.observed_at, found.inbound, found.problem) == (
        AT - 1 + OFFSET,
        (("due", 2),),
        "late",
    )
    assert found.stale
    many, _ = queue({"messages": [message()] * MOST_MESSAGES}, {"messages": [message()]})
    assert len(many.messages) == MOST_MESSAGES
    empty, _ = queue()
    assert (empty.messages, empty.observed_at, empty.stale) == ((), AT, False)
    with pytest.raises(WireError):
        queue({"messages": 7})


@pytest.mark.parametrize(
    ("said", "direction", "label", "note"),
    [
        (message(note="x"), Direction.IN, InLabel.DUE, "x"),
        (message(direction="out", label="delivered"), Direction.OUT, OutLabel.DELIVERED, ""),
        (message(direction="up"), Direction.IN, InLabel.DUE, ""),
        (message(label="odd", note="x"), Direction.IN, InLabel.UNKNOWN_STATUS, "odd"),
        (
            message(label="odd", direction="out"),
            Direction.OUT,
            OutLabel.UNKNOWN_STATUS,
            "odd",
        ),
    ],
)
def test_a_message(said: dict[str, Any], direction: Direction, label: object, note: str) -> None:
    found, incoming = queue({"messages": [said]})
    (one,) = found.messages
    assert (one.direction, one.label, one.note) == (direction, label, note)
    assert [word.word for word in incoming.words] == (["odd"] if said["label"] == "odd" else [])


def test_numbers_of_a_message_are_bounded() -> None:
    said = message(size=-1, tries=1 << 40, at=AT, due_at=math.inf, reply_to="r\x1b[31m")
    (one,) = queue({"messages": [said]})[0].messages
    assert (one.size, one.tries, one.at, one.due_at) == (0, 1 << 31, AT + OFFSET, None)
    assert one.reply_to == "r"
    (one,) = queue({"messages": [message(size=1 << 50, tries=-3)]})[0].messages
    assert (one.size, one.tries, one.reply_to) == (1 << 40, 0, None)


def test_an_item_of_a_verb_is_a_step_or_a_verdict() -> None:
    incoming = reading()
    step = incoming.step({"step": {"state": "odd", "started_at": AT, "limit_s": math.nan}})
    assert isinstance(step, Step)
    assert (step.name, step.state) == ("step", StepState.RUNNING)
    assert (step.started_at, step.ended_at, step.limit_s) == (AT + OFFSET, None, None)
    step = incoming.step({"step": {"name": "wake", "state": "failed", "critical": True}})
    assert isinstance(step, Step)
    assert (step.name, step.state.value, step.critical, step.transient) == (
        "wake",
        "failed",
        True,
        False,
    )
    both = incoming.step({"step": {}, "verdict": {"kind": "ready"}})
    assert isinstance(both, Verdict) and both.kind is VerdictKind.READY
    for nothing in ({}, 7, {"step": 3}):
        with pytest.raises(WireError):
            incoming.step(nothing)


@pytest.mark.parametrize(
    ("said", "kind", "confirmable"),
    [
        ({"kind": "repairable", "confirmable": "restart"}, VerdictKind.REPAIRABLE, "restart"),
        ({"kind": "repairable", "confirmable": "a\nb"}, VerdictKind.REPAIRABLE, ""),
        ({"kind": "perhaps"}, VerdictKind.UNKNOWN, ""),
        ({}, VerdictKind.UNKNOWN, ""),
    ],
)
def test_a_verdict_nobody_knows_is_unknown(
    said: dict[str, str], kind: VerdictKind, confirmable: str
) -> None:
    found = verdict_of({"verdict": said})
    assert (found.kind, found.confirmable, found.wakeable) == (kind, confirmable, False)
    with pytest.raises(WireError):
        verdict_of({"step": {}})


def test_streams_and_capabilities() -> None:
    streams = streams_of({"streams": [["a", "A\x1b[0m"], ["b\n", "B"]]})
    assert [(one.name, one.title) for one in streams] == [("a", "A")]
    missing = capabilities(["wake"], {"exec": "not here", "wake": "x"}, "box")
    assert Capability.WAKE not in missing
    assert missing[Capability.EXEC] == "not here"
    assert missing[Capability.SHELL] == "box cannot do this"
