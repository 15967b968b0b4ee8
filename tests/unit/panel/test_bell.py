"""Bell, title and notice: for worsening alone, held to a rate, harmless in every byte."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from services.config.notify import AttentionTable
from services.models import Event, Severity
from tests.support.stage import HOSTILE
from tui.panel.bell import BELL, Alerts, TerminalBell, notice, notice_kind

KITTY = {"KITTY_WINDOW_ID": "1"}


def event(
    subject: str, severity: Severity = Severity.WORSE, kind: str = "sandbox", text: str = ""
) -> Event:
    return Event(1.0, severity, "local", subject, kind, text or f"{subject} is {severity.value}")


def terminal_bell(
    table: AttentionTable | None = None, **env: str
) -> tuple[TerminalBell, list[str]]:
    written: list[str] = []
    made = TerminalBell(table or AttentionTable(every_s=10.0), "prod", env or KITTY, written.append)
    return made, written


def test_only_what_turned_worse_by_itself_calls() -> None:
    made, written = terminal_bell()
    made.on_events([event("a", Severity.INFO), event("b", Severity.BETTER)], 0.0)
    made.on_events(
        [event("a", Severity.WORSE, "attempt"), event("a", Severity.ACTION, "shell")], 1.0
    )
    assert BELL not in written
    made.on_events([event("a")], 2.0)
    assert written.count(BELL) == 1


def test_calls_are_held_to_the_rate_and_told_together() -> None:
    made, written = terminal_bell()
    made.on_events([event("a")], 0.0)
    for second, name in enumerate("bcdef", 1):
        made.on_events([event(name)], float(second))
    assert written.count(BELL) == 1
    made.tick(9.9)
    assert written.count(BELL) == 1
    made.tick(10.0)
    assert written.count(BELL) == 2
    assert "b is worse, c is worse, d is worse, 2 more" in written[-1]
    made.tick(30.0)
    assert written.count(BELL) == 2


def test_what_got_better_meanwhile_is_not_called() -> None:
    attention = Alerts(10.0)
    attention.on_events([event("a")])
    assert attention.next_alert(0.0) == "a is worse"
    attention.on_events([event("b"), event("b", Severity.BETTER)])
    assert attention.next_alert(20.0) == ""
    assert attention.unseen == 1


def test_a_trouble_that_is_not_known_any_more_is_still_called() -> None:
    attention = Alerts(10.0)
    attention.on_events([event("a")])
    attention.on_events([replace(event("a", Severity.BETTER), after="unknown")])
    assert attention.unseen == 1
    assert attention.next_alert(0.0) == "a is worse"


def test_the_title_is_marked_until_a_key_and_given_back_at_the_end() -> None:
    made, written = terminal_bell()
    made.open()
    made.on_events([event("a"), event("b")], 0.0)
    assert written[:2] == ["\x1b[22;2t", "\x1b]2;Wakedeck prod\x1b\\"]
    assert "\x1b]2;! 2 worse · Wakedeck prod\x1b\\" in written
    made.on_input()
    assert written[-1] == "\x1b]2;Wakedeck prod\x1b\\"
    made.close()
    made.close()
    assert written.count("\x1b[23;2t") == 1


def test_muted_neither_rings_nor_notifies_but_still_marks() -> None:
    made, written = terminal_bell()
    made.muted = True
    made.on_events([event("a")], 0.0)
    assert written == ["\x1b]2;! 1 worse · Wakedeck prod\x1b\\"]
    made.muted = False
    made.tick(60.0)
    assert BELL not in written, "what was muted is not rung for later"


@pytest.mark.parametrize(
    ("table", "writes"),
    [
        (AttentionTable(bell=False), (False, True, True)),
        (AttentionTable(title=False), (True, False, True)),
        (AttentionTable(notice="off"), (True, True, False)),
    ],
)
def test_each_way_can_be_switched_off(
    table: AttentionTable, writes: tuple[bool, bool, bool]
) -> None:
    made, written = terminal_bell(table)
    made.open()
    made.on_events([event("a")], 0.0)
    made.close()
    all_of_it = "".join(written)
    assert (BELL in written, "\x1b]2;" in all_of_it, "\x1b]9;" in all_of_it) == writes


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({"TERM_PROGRAM": "iTerm.app"}, "osc9"),
        ({"TERM_PROGRAM": "ghostty"}, "osc9"),
        (KITTY, "osc9"),
        ({"VTE_VERSION": "7600"}, "osc777"),
        ({"TERM": "foot-extra"}, "osc777"),
        ({"TERM": "xterm-256color"}, "off"),
        ({"TERM_PROGRAM": "tmux"}, "off"),
    ],
)
def test_an_unknown_terminal_is_sent_nothing(environ: dict[str, str], kind: str) -> None:
    assert notice_kind("auto", environ) == kind
    assert notice_kind("osc777", environ) == "osc777"


def test_a_notice_goes_through_tmux_wrapped() -> None:
    said = notice("osc9", "a", in_tmux=True)
    assert said == "\x1bPtmux;\x1b\x1b]9;Wakedeck: a\x1b\x1b\\\x1b\\"


@pytest.mark.parametrize("kind", ["osc9", "osc777"])
def test_hostile_names_cannot_leave_the_notice(kind: str) -> None:
    text = f"{HOSTILE}\x1b\\\x07\x9c; 4;1 \x1b]0;owned\x07"
    made, written = terminal_bell(AttentionTable(notice="osc9" if kind == "osc9" else "osc777"))
    made.on_events([event("a", text=text)], 0.0)
    shape = r"\x1b\]9;Wakedeck: ([^\x00-\x1f\x7f-\x9f;]*)\x1b\\"
    if kind == "osc777":
        shape = r"\x1b\]777;notify;Wakedeck;([^\x00-\x1f\x7f-\x9f;]*)\x1b\\"
    (told,) = (one for one in written if one.startswith(("\x1b]9", "\x1b]777")))
    assert re.fullmatch(shape, told)
    assert "\u202e" not in told
