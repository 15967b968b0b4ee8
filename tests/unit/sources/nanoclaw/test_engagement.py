"""Whether a nudge engages is computed before it is offered, for every wiring there can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sources.nanoclaw.central_db import CentralSnapshot, Chat, SessionRow, Wiring
from services.sources.nanoclaw.commands import routed_line
from services.sources.nanoclaw.engagement import Address, matches, plan

ROW = SessionRow("s", "g", "c", None)
CHAT = Chat("c", "telegram", "telegram:-100", "Ops room", True, "public", False)
WIRING = Wiring("c", "g", "shared", "pattern", ".", "all", "drop")
TEXT, SENDER = "please go on", "cli:local"


def central(
    wiring: Wiring = WIRING, chat: Chat = CHAT, users: frozenset[tuple[str, str]] = frozenset()
) -> CentralSnapshot:
    return CentralSnapshot(
        groups={"g": "Alpha", "h": "Beta"},
        chats={"c": chat},
        wirings=(wiring,),
        known_users=users,
    )


def refusal(data: CentralSnapshot, row: SessionRow | None = ROW, text: str = TEXT) -> str:
    return plan(data, row, text, SENDER).refusal


def test_a_pattern_that_matches_engages_and_says_who_sees_it() -> None:
    made = plan(central(), ROW, TEXT, SENDER)
    assert made.refusal == ""
    assert made.address == Address("telegram", "telegram:-100", None)
    assert made.place == "Ops room (telegram)"
    assert made.engaged == ("Alpha",)
    assert TEXT in made.consequence
    assert "Ops room" in made.consequence


def test_every_agent_of_the_chat_is_named() -> None:
    other = replace(WIRING, group="h")
    deaf = Wiring("c", "k", "shared", "mention", None, "all", "accumulate")
    data = replace(central(), wirings=(deaf, other, WIRING))
    made = plan(data, ROW, TEXT, SENDER)
    assert made.engaged == ("Alpha", "Beta")
    assert "also wakes Beta" in made.consequence
    assert "k may keep it as context" in made.consequence


@pytest.mark.parametrize(
    ("wiring", "chat", "row", "said"),
    [
        (replace(WIRING, engage_pattern="@alpha"), CHAT, ROW, "match its pattern"),
        (replace(WIRING, engage_mode="mention"), CHAT, ROW, "mentions alone"),
        (
            replace(WIRING, engage_mode="mention", ignored_policy="accumulate"),
            CHAT,
            ROW,
            "only keep the text as context",
        ),
        (replace(WIRING, engage_mode="mention-sticky"), CHAT, ROW, "threads it knows"),
        (replace(WIRING, engage_mode=None), CHAT, ROW, "cannot be told"),
        (replace(WIRING, engage_pattern=None), CHAT, ROW, "cannot be told"),
        (replace(WIRING, engage_pattern="(a+)+$"), CHAT, ROW, "cannot be told"),
        (replace(WIRING, session_mode="agent-shared"), CHAT, ROW, "every chat"),
        (replace(WIRING, session_mode="per-thread"), CHAT, ROW, "no thread"),
        (replace(WIRING, group="h"), CHAT, ROW, "no longer wired"),
        (WIRING, replace(CHAT, denied=True), ROW, "denied"),
        (WIRING, replace(CHAT, instance="second"), ROW, "belongs to the bot second"),
        (WIRING, replace(CHAT, policy="strict"), ROW, "does not admit"),
        (WIRING, replace(CHAT, policy="request_approval"), ROW, "does not admit"),
        (replace(WIRING, sender_scope="known"), CHAT, ROW, "does not admit"),
        (WIRING, CHAT, replace(ROW, chat=None), "no chat leads"),
        (WIRING, CHAT, replace(ROW, chat="gone"), "not in the central DB"),
        (WIRING, CHAT, replace(ROW, status="closed"), "closed"),
        (WIRING, CHAT, None, "no row"),
    ],
)
def test_what_would_not_wake_is_refused_with_the_reason(
    wiring: Wiring, chat: Chat, row: SessionRow | None, said: str
) -> None:
    assert said in refusal(central(wiring, chat), row)


def test_the_only_bot_of_a_channel_is_named_like_it() -> None:
    assert refusal(central(chat=replace(CHAT, instance="telegram"))) == ""


def test_a_sticky_thread_that_has_a_session_engages() -> None:
    sticky = replace(WIRING, engage_mode="mention-sticky", session_mode="per-thread")
    made = plan(central(sticky), replace(ROW, thread="17.1"), TEXT, SENDER)
    assert made.refusal == ""
    assert made.address == Address("telegram", "telegram:-100", "17.1")
    alone = replace(CHAT, is_group=False)
    assert "threads it knows" in refusal(central(sticky, alone), replace(ROW, thread="17.1"))


@pytest.mark.parametrize(
    ("user", "admitted"),
    [((SENDER, ""), True), ((SENDER, "g"), True), ((SENDER, "h"), False), (("x", ""), False)],
)
def test_a_strict_chat_admits_owners_admins_and_members(
    user: tuple[str, str], admitted: bool
) -> None:
    data = central(chat=replace(CHAT, policy="strict"), users=frozenset((user,)))
    assert (refusal(data) == "") == admitted


def test_users_nobody_could_list_admit_nobody() -> None:
    data = replace(central(chat=replace(CHAT, policy="strict")), users_known=False)
    assert "not known" in refusal(data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no text"),
        ("   ", "no text"),
        ("/clear", "command to the host"),
        ("/remote-control", "command to the host"),
        ("x" * 401, "longer"),
        ("a\x1b[2Jb", "cannot be seen"),
        ("a\nb", "cannot be seen"),
    ],
)
def test_a_text_that_is_no_message_is_refused(text: str, said: str) -> None:
    assert said in refusal(central(), text=text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (".", "x", True),
        ("^please", "please go", True),
        ("^please", "now please", False),
        (r"\bgo\b", "please go on", True),
        ("stop|go", "please go on", True),
        ("a.*b", "xxaxxb", True),
        ("a.*b.*c.*d", "abcd", None),
        ("(go)", "go", None),
        ("[g]o", "go", None),
        ("go{2}", "goo", None),
        (r"\p{L}", "x", None),
        ("*", "x", None),
        (None, "x", None),
    ],
)
def test_a_pattern_is_tried_only_where_the_answer_is_sure(
    pattern: str | None, text: str, found: bool | None
) -> None:
    assert matches(pattern, text) is found


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=60), st.text(max_size=200))
def test_no_pattern_breaks_or_hangs_the_judgement(pattern: str, text: str) -> None:
    assert matches(pattern, text) in (True, False, None)


@settings(deadline=None, max_examples=200)
@given(
    mode=st.sampled_from(["pattern", "mention", "mention-sticky", "new-mode", None]),
    pattern=st.sampled_from([".", "@x", "please", None]),
    session=st.sampled_from(["shared", "per-thread", "agent-shared"]),
    policy=st.sampled_from(["public", "strict", "request_approval"]),
    group=st.booleans(),
    thread=st.sampled_from([None, "17.1"]),
    text=st.text(max_size=30),
)
def test_an_offered_nudge_always_has_an_address(
    mode: str | None,
    pattern: str | None,
    session: str,
    policy: str,
    group: bool,
    thread: str | None,
    text: str,
) -> None:
    wiring = Wiring("c", "g", session, mode, pattern, "all", "drop")
    data = central(wiring, replace(CHAT, policy=policy, is_group=group))
    made = plan(data, replace(ROW, thread=thread), text, SENDER)
    if made.refusal:
        assert made.address is None
        return
    assert mode != "mention"
    assert b'"to":{"channelType":"telegram","platformId":"telegram:-100"' in routed_line(made)
