"""The pure parts of the header, the repair bar, the shell tabs and the footer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.models import (
    Activity,
    Attempt,
    AttemptState,
    Capability,
    Direction,
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    InLabel,
    Message,
    Retry,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Shell,
    ShellState,
    Step,
    StepState,
    Verb,
)
from services.text.signs import GATEWAYS, SANDBOXES, WORKING, Sign
from tests.support.totals import totals_of
from widgets.dialogs.help import help_text, matching
from widgets.panes.binding_rows import KeyRow, KeySection
from widgets.panes.detail_text import event_lines, facts_of, facts_text, record_json, record_text
from widgets.panes.footer import footer_line
from widgets.panes.header import HeaderState, header_line, totals_from
from widgets.panes.repair_words import outcome_lines, progress_words, step_words, strip_lines
from widgets.panes.shell_tabs import ShellTab, tab_line
from widgets.panes.shells import ending_line
from widgets.panes.sparkline import sparkline
from widgets.text.cell_text import sanitize_block, sanitize_line
from widgets.text.styled_text import signed, styled

NOW = 1_750_000_000.0
BOX = SandboxId("local", "inbox-triage")
HOSTILE = "[red]x[/red] \x1b[31m\x1b]0;gone\x07\r\x9b2J\u202eabc\ttab"
_SETTINGS = settings(deadline=None, max_examples=60)


def harmless(text: str) -> bool:
    return not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in text)


def sandbox(state: SandboxState = SandboxState.READY, **more: object) -> Sandbox:
    fields: dict[str, object] = {"reason": "", "observed_at": NOW - 3, "name": BOX.native_id}
    return Sandbox(id=BOX, state=state, **{**fields, **more})  # type: ignore[arg-type]


def attempt(state: AttemptState = AttemptState.WAKE, **more: object) -> Attempt:
    fields: dict[str, object] = {"verb": Verb.WAKE, "started_at": NOW - 3}
    return Attempt(id="a1", sandbox=BOX, state=state, **{**fields, **more})  # type: ignore[arg-type]


def shell(state: ShellState = ShellState.OPEN, **more: object) -> Shell:
    fields: dict[str, object] = {"id": "s1", "sandbox": BOX, "started_at": NOW}
    return Shell(state=state, **{**fields, **more})  # type: ignore[arg-type]


# Phrases


def test_outside_text_is_never_markup_and_never_a_control() -> None:
    for drawn in (styled(HOSTILE, "bad"), signed(Sign("●", HOSTILE, "good"))):
        assert "[red]x[/red]" in drawn.plain
        assert harmless(drawn.plain)
        assert len(drawn.spans) == 1


def test_a_block_keeps_its_lines_and_nothing_else() -> None:
    assert sanitize_block("a\r\nb\tc\x1b[1m") == "a\nb    c\ufffd[1m"
    assert sanitize_line("a\n  b", 400) == "a b"
    assert sanitize_line("abcdef", 4) == "abc…"


# Spark


def test_bars_stand_on_zero() -> None:
    drawn = sparkline([0.0, 0.5, 1.0], 8)
    assert (drawn.blocks, drawn.low, drawn.high) == ("▁▅█", 0.0, 1.0)
    assert sparkline([100.0, 101.0], 8).blocks == "██"
    assert sparkline([0.0, 0.0], 8).blocks == "▁▁"


def test_a_probe_nobody_answered_is_a_gap() -> None:
    assert sparkline([1.0, None, math.nan, math.inf, 1.0], 8).blocks == "█×××█"
    assert sparkline([None], 8).low is None
    assert sparkline([], 8).blocks == ""
    assert sparkline([1.0], 0).blocks == ""


@_SETTINGS
@given(st.lists(st.one_of(st.none(), st.floats()), max_size=40), st.integers(0, 20))
def test_a_spark_is_as_long_as_its_samples(samples: list[float | None], width: int) -> None:
    drawn = sparkline(samples, width)
    assert len(drawn.blocks) == min(len(samples), width)
    if drawn.low is not None and drawn.high is not None:
        assert 0 <= drawn.low <= drawn.high


# Header


def header(**more: object) -> HeaderState:
    fields: dict[str, object] = {
        "profile": "embedded",
        "now": NOW,
        "totals": totals_of([sandbox(), sandbox(SandboxState.BROKEN)]),
        "gateways": ((GATEWAYS[GatewayState.READY], 1),),
        "last_success_at": NOW - 2,
    }
    return HeaderState(**{**fields, **more})  # type: ignore[arg-type]


def test_totals_put_a_working_sandbox_apart_and_an_idle_one_with_the_ready() -> None:
    boxes = [
        sandbox(activity=Activity.IDLE),
        sandbox(),
        sandbox(activity=Activity.WORKING),
        sandbox(SandboxState.BROKEN),
    ]
    words = [f"{sign.glyph} {count} {sign.word}" for sign, count in totals_of(boxes)]
    assert words == ["⊗ 1 broken", "◆ 1 working", "◉ 2 ready"], "the most urgent first"
    assert totals_of([]) == ()
    counted = totals_from(((SandboxState.READY, 3), (SandboxState.BROKEN, 1)), working=1)
    assert counted == totals_of(boxes)
    assert totals_from(((SandboxState.READY, 2),), working=2) == ((WORKING, 2),)


def test_the_header_says_everything_where_there_is_room() -> None:
    line = header_line(header(latency_s=0.012, samples=(0.01, None, 0.03)), 140).plain
    for words in ("Wakedeck", "embedded", "◉ 1 ready", "⊗ 1 broken", "◉ gateway ready", "12 ms"):
        assert words in line
    assert "▃×█" in line
    assert "10–30 ms" in line
    assert "ok 2s ago" in line


def test_a_lost_gateway_counts_down_and_drops_its_latency() -> None:
    down = ((GATEWAYS[GatewayState.DOWN], 1),)
    lost = header(gateways=down, lost=("local",), latency_s=0.01, retry_at=NOW + 4)
    line = header_line(lost, 120).plain
    assert "✕ gateway down" in line
    assert "✕ local lost" in line
    assert "retry in 4s · r now" in line
    assert "stale 2s ago" in line
    assert "10 ms" not in line


@pytest.mark.parametrize("width", [80, 100, 120, 160, 200])
def test_bad_news_and_badges_stay_at_every_width(width: int) -> None:
    line = header_line(
        header(
            totals=totals_of([sandbox(), sandbox(SandboxState.STUCK)]),
            gateways=((GATEWAYS[GatewayState.DOWN], 1),),
            retry_at=NOW + 4,
            read_only=True,
            paused=True,
        ),
        width,
    )
    assert line.cell_length == width
    for words in ("READ-ONLY", "PAUSED", "retry in 4s", "gateway down", "1 stuck"):
        assert words in line.plain


def test_the_header_counts_gateways_and_says_how_long_the_worst_is_so() -> None:
    signs = [GATEWAYS[state] for state in (GatewayState.DOWN, GatewayState.READY)]
    state = header(gateways=((signs[0], 2), (signs[1], 2)), trouble_since=NOW - 30, latency_s=0.012)
    line = header_line(state, 140).plain
    assert "gateways ✕ 2 down for 30s ◉ 2 ready" in line
    # An age or a speed of something else would be read as that of what is down.
    assert " ok " not in line
    assert "12 ms" not in line
    well = header_line(header(gateways=((signs[1], 4),), latency_s=0.5, slowest_of=3), 140).plain
    assert "◉ 4 gateways ready" in well
    assert "≤ 500 ms" in well


def test_what_is_not_current_is_counted_apart() -> None:
    boxes = [sandbox(), replace(sandbox(), stale=True), replace(sandbox(), stale=True)]
    line = header_line(header(totals=totals_of(boxes), unknown_lists=1, held_up_s=8.2), 160).plain
    for words in ("◉ 1 ready", "~ 2 stale", "1 list not known", "this panel was held up for 8s"):
        assert words in line
    assert "no sandboxes" not in header_line(header(totals=(), unknown_lists=1), 160).plain


def test_before_the_first_answer_nothing_is_said_to_be_absent() -> None:
    asked = header_line(header(totals=(), gateways=(), waiting=True), 120).plain
    assert "sandboxes not known yet" in asked
    assert "no sandboxes" not in asked and "no gateway" not in asked
    some = header_line(header(totals=totals_of([sandbox()]), gateways=(), waiting=True), 120).plain
    assert "◉ 1 ready" in some and "not all are known yet" in some
    answered = header_line(header(totals=(), gateways=()), 120).plain
    assert "no sandboxes" in answered and "no gateway" in answered


@_SETTINGS
@given(st.integers(1, 220), st.text(max_size=40), st.booleans())
def test_the_header_is_exactly_as_wide_as_asked(width: int, profile: str, lost: bool) -> None:
    totals = tuple((sign, 7) for sign in SANDBOXES.values())
    state = header(profile=profile, totals=totals, retry_at=NOW + 60 if lost else None)
    line = header_line(state, width)
    assert line.cell_length == width
    assert harmless(line.plain)


# Steps

STEPS = (
    Step("check", StepState.OK, NOW - 3, NOW - 2.9),
    Step("select", StepState.SKIPPED),
    Step("start", StepState.RUNNING, NOW - 2.3, limit_s=30),
    Step("wait", StepState.PENDING, limit_s=60),
    Step("connect", StepState.PENDING),
)


def test_a_step_reads_with_elapsed_time_and_limit() -> None:
    assert [step_words(step, NOW) for step in STEPS] == [
        "check 0.1s",
        "select",
        "start 2.3s/30s",
        "wait",
        "connect",
    ]
    assert step_words(STEPS[2], NOW + 10) == "start 12s/30s"


def test_the_strip_gives_up_times_then_names_but_never_the_running_step() -> None:
    [line] = strip_lines(STEPS, NOW, 76)
    assert line.plain == "✓ check 0.1s  – select  ▸ start 2.3s/30s  ◦ wait  ◦ connect"
    two = strip_lines(STEPS, NOW, 30)
    assert [line.plain for line in two] == ["✓ check  – select", "▸ start 2.3s/30s  ◦ 2 pending"]
    many = (*[Step(f"done-{n}", StepState.OK, NOW, NOW) for n in range(9)], *STEPS)
    said = "\n".join(line.plain for line in strip_lines(many, NOW, 50))
    assert "✓ 10 ok" in said
    assert "▸ start 2.3s/30s" in said
    assert "◦ 2 pending" in said


@_SETTINGS
@given(st.integers(12, 120), st.lists(st.sampled_from(StepState), max_size=8))
def test_the_strip_keeps_to_its_lines_and_width(width: int, states: list[StepState]) -> None:
    steps = [Step("forward", state, NOW - 1, NOW, 30) for state in states]
    lines = strip_lines(steps, NOW, width)
    assert len(lines) <= 2
    assert all(line.cell_length <= width for line in lines)


def test_a_slow_step_says_whether_cancel_is_safe() -> None:
    slow = Step("start", StepState.RUNNING, NOW - 12, limit_s=30, detail="waiting for a heartbeat")
    said = progress_words(attempt(steps=(slow,)), NOW).plain
    assert said == "waking 3.0s · waiting for a heartbeat · slow; cancel is safe"
    critical = Step("credential", StepState.RUNNING, NOW - 12, critical=True)
    assert "never interrupted" in progress_words(attempt(steps=(critical,)), NOW).plain
    latched = attempt(steps=(critical,), cancelling=True)
    assert "cancelling once this step ends" in progress_words(latched, NOW).plain
    assert "slow" not in progress_words(attempt(steps=(slow,)), NOW - 11).plain


def test_a_failure_reads_original_done_advice_last() -> None:
    ended = attempt(
        AttemptState.FAILED,
        ended_at=NOW,
        original="the gateway does not answer",
        summary="Started it once.",
        advice="Read its log.",
        last="exit code 1",
    )
    assert [line.plain for line in outcome_lines(ended)] == [
        "✕ failed 3.0s  the gateway does not answer",
        "Started it once.",
        "→ Read its log.",
        "last error: exit code 1",
    ]


def test_a_success_leads_with_what_was_done() -> None:
    ended = attempt(AttemptState.DONE, ended_at=NOW, original="it was down", summary="Started it.")
    said = [line.plain for line in outcome_lines(ended)]
    assert said == ["✓ done 3.0s  Started it.", "was: it was down"]
    bare = outcome_lines(attempt(AttemptState.CANCELLED, ended_at=NOW))
    assert [line.plain for line in bare] == ["– cancelled 3.0s  wake cancelled"]


def test_hostile_words_in_an_attempt_stay_words() -> None:
    ended = attempt(
        AttemptState.FAILED, original=HOSTILE, summary=HOSTILE, advice=HOSTILE, last=HOSTILE + "!"
    )
    for line in (*outcome_lines(ended), *strip_lines([Step(HOSTILE, StepState.OK)], NOW, 60)):
        assert harmless(line.plain)
        assert "[red]" in line.plain


# Shell


@pytest.mark.parametrize(
    ("given_shell", "words"),
    [
        (shell(ShellState.ENDED, code=3), ["ended: exit code 3", "press Enter to open a new"]),
        (shell(ShellState.ENDED), ["no exit code arrived"]),
        (shell(ShellState.LOST, reason="connection reset"), ["✕ lost: connection reset", "gone"]),
        (shell(ShellState.LOST, reason="reset", resumes=True), ["the same shell goes on"]),
        (shell(ShellState.FAILED, reason="refused", retry=Retry.NO), ["will not help"]),
        (shell(ShellState.ENDED, reason="signed in", retry=Retry.NO), ["nothing is left to do"]),
        (shell(ShellState.FAILED, reason="busy", retry=Retry.AUTO), ["try again now"]),
    ],
)
def test_an_ended_shell_says_how_and_what_is_offered(given_shell: Shell, words: list[str]) -> None:
    line = ending_line(given_shell, "Enter").plain
    for word in words:
        assert word in line


@pytest.mark.parametrize("retry", [Retry.ASK, Retry.AUTO])
def test_only_a_shell_that_was_there_has_an_old_state(retry: Retry) -> None:
    failed, lost = (shell(state=one, retry=retry) for one in (ShellState.FAILED, ShellState.LOST))
    assert "old state" not in ending_line(failed, "Enter").plain
    assert "the old state is gone" in ending_line(lost, "Enter").plain


def test_a_running_shell_has_no_ending() -> None:
    assert not ending_line(shell(), "Enter")


@_SETTINGS
@given(st.integers(1, 12), st.integers(0, 11), st.integers(30, 160))
def test_the_active_tab_is_always_in_sight(count: int, active: int, width: int) -> None:
    tabs = [
        ShellTab(shell(id=f"s{n}"), f"box-{n}", n == active % count, n % 2 == 0)
        for n in range(count)
    ]
    line, hits = tab_line(tabs, width)
    assert line.cell_length == width
    hit = next(hit for hit in hits if hit.id == f"s{active % count}")
    assert f"box-{active % count}" in line.plain[hit.start : hit.end]
    assert all(left.end <= right.start for left, right in pairwise(hits))
    for each in hits:
        assert each.close == -1 or line.plain[each.close] == "×"


def test_markers_stand_at_the_end_of_the_tabs() -> None:
    odd = shell(skipped_bytes=3_200_000, input_blocked=True)
    line, _ = tab_line([ShellTab(odd, "box", True)], 80)
    assert line.plain.endswith("… 3.2MB skipped  ! remote is not reading input")


# Keys

ROWS = [
    KeyRow(("w",), "Wake", "wake", "wake"),
    KeyRow(("r",), "Reconnect", "reconnect", "reconnect", enabled=False, reason="read-only"),
    KeyRow(("s",), "Shell", "shell", "shell"),
    KeyRow(("?",), "Help", "help", "help"),
]


def test_the_footer_drops_disabled_keys_first_and_says_so() -> None:
    whole = footer_line(ROWS, 60, ["help"])
    assert whole.content.plain.startswith("w Wake  r Reconnect  s Shell ")
    assert whole.content.plain.rstrip().endswith("? Help")
    narrow = footer_line(ROWS, 28, ["help"]).content.plain
    assert "Reconnect" not in narrow
    assert narrow.split() == ["w", "Wake", "s", "Shell", "…", "?", "Help"]


@_SETTINGS
@given(st.integers(1, 100))
def test_a_click_in_the_footer_hits_the_words_under_it(width: int) -> None:
    line = footer_line(ROWS, width, ["help"])
    assert line.content.cell_length <= width
    for start, end, row in line.hits:
        if end <= width:
            assert line.content.plain[start:end] == f"{row.keys[0]} {row.description}"


def test_help_finds_rows_by_every_word() -> None:
    sections = (KeySection("Sandboxes", tuple(ROWS[:3])), KeySection("Everywhere", (ROWS[3],)))
    assert [s.title for s in matching(sections, "")] == ["Sandboxes", "Everywhere"]
    [only] = matching(sections, "sand WAKE")
    assert only.rows == (ROWS[0],)
    assert matching(sections, "nothing") == ()
    said = help_text(sections).plain
    assert said.index("Sandboxes") < said.index("Everywhere")
    assert "off now: read-only" in said


# Details


def test_the_record_as_json_is_the_record() -> None:
    box = sandbox(
        SandboxState.BROKEN,
        reason="[b]no[/b]",
        evidence=(("pid", "42"), ("beat", "41s")),
        inbound=(("due", 4),),
        unavailable=((Capability.LOGS, "none kept"),),
        gateway=GatewayId("local", "gateway"),
    )
    record = json.loads(record_json(box))
    assert record["state"] == "broken"
    assert record["reason"] == "[b]no[/b]"
    assert record["evidence"] == {"pid": "42", "beat": "41s"}
    assert record["inbound"] == {"due": 4}
    assert record["unavailable"] == {"logs": "none kept"}
    assert record["gateway"] == {"source": "local", "native_id": "gateway"}
    assert record_text(box).plain == record_json(box)
    twice = json.loads(record_json(sandbox(evidence=(("pid", "1"), ("pid", "2")))))
    assert twice["evidence"] == [["pid", "1"], ["pid", "2"]]


def test_facts_say_how_old_and_whether_stale() -> None:
    fresh = dict(facts_of(sandbox(evidence=(("pid", "42"),)), NOW))
    assert fresh["observed"].startswith("3s ago")
    assert fresh["pid"] == "42"
    stale = dict(facts_of(sandbox(stale=True), NOW))
    assert stale["observed"].startswith("STALE: last confirmed 3s ago")
    gateway = Gateway(GatewayId("l", "g"), "g", GatewayState.HUNG, "silent", NOW, latency_s=0.02)
    assert dict(facts_of(gateway, NOW))["latency"] == "20 ms"
    message = Message(
        Direction.IN, "m1", 1, InLabel.BACKOFF, "chat", None, "hi", 5321, tries=3, due_at=NOW + 20
    )
    facts = dict(facts_of(message, NOW))
    assert facts["at"] == "unreadable"
    assert facts["due"].startswith("in 20s")
    assert facts["tries"] == "3"


@_SETTINGS
@given(st.text(max_size=200), st.integers(20, 100))
def test_long_facts_wrap_under_themselves(value: str, width: int) -> None:
    text = facts_text((("why", value), ("a long name of a fact", "x")), width)
    lines = text.plain.split("\n")
    assert lines[0].startswith("why ")
    assert all(line.startswith(" " * 18) for line in lines[1:-1])
    assert lines[-1].endswith("x")
    assert harmless(text.plain.replace("\n", ""))


def test_events_read_newest_first() -> None:
    events = [Event(NOW + n, Severity.WORSE, "l", "b", "sandbox", f"event {n}") for n in range(30)]
    said = event_lines(events, 3).plain.split("\n")
    assert [line.split("event ")[1] for line in said[:-1]] == ["29", "28", "27"]
    assert said[-1].startswith("… and 27 before")
    assert "↓ worse" in said[0]
