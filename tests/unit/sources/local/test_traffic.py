"""What is sent into the embedded world and what its agents plan."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

from services.queues.preview import preview
from services.sources.local.traffic import (
    InboundMessage,
    flood_message,
    initial_messages,
    random_message,
    response,
)
from services.sources.local.work import LONGEST_S, SHORTEST_S, Plan, Task, plan

MANY = 2000
BATCH = (Task("m1", "chat", '{"text": "hello"}', "telegram", "telegram:42"),)


def messages() -> list[InboundMessage]:
    rng = Random(3)
    return [random_message(rng) for _ in range(MANY)]


def plans(batch: tuple[Task, ...] = BATCH, peers: tuple[str, ...] = ("two",)) -> list[Plan]:
    rng = Random(3)
    return [plan(batch, peers, rng) for _ in range(MANY)]


def test_every_kind_of_message_occurs() -> None:
    sent = messages()
    kinds = Counter(one.kind for one in sent)
    assert set(kinds) == {"chat", "task", "webhook"}
    assert min(kinds.values()) > MANY / 20
    assert any(not one.wakes for one in sent)
    assert any(one.delay_s for one in sent)
    assert response("q-1", Random(1)).kind == "system"


def test_hostile_text_keeps_coming_and_stays_harmless_in_a_preview() -> None:
    odd = [one for one in messages() if "\x1b" in one.content or "\\u001b" in one.content]
    assert len(odd) > MANY / 100
    assert any("\u202e" in one.content for one in messages())
    for one in messages():
        shown = preview(one.content[:2048], len(one.content))
        assert not set(shown) & set("\x1b\x07\x9b\u202e\u200b\n")


def test_a_new_sandbox_starts_with_a_series_a_pause_and_a_note() -> None:
    digest, paused, note = initial_messages()
    assert digest.recurrence
    assert paused.status == "paused"
    assert note.on_wake


def test_a_flood_is_of_messages_that_differ() -> None:
    rng = Random(1)
    assert len({flood_message(rng, n).content for n in range(100)}) == 100


def test_work_takes_its_time_and_never_too_long() -> None:
    for made in plans():
        total = sum(use.seconds for use in made.tools)
        assert total + 1e-9 >= SHORTEST_S
        assert total <= LONGEST_S + 1e-9
        assert 1 <= len(made.tools) <= 3


def test_only_bash_declares_a_timeout() -> None:
    used = Counter((use.tool, use.timeout_ms is None) for one in plans() for use in one.tools)
    assert used["Bash", False]
    assert all(tool == "Bash" or undeclared for tool, undeclared in used)


def test_some_batches_fail_and_most_are_answered() -> None:
    failing = sum(made.fails for made in plans())
    assert 0 < failing < MANY / 8
    assert all(made.replies for made in plans() if not made.fails)
    assert all(r.in_reply_to == "m1" for made in plans() for r in made.replies)


def test_replies_of_every_kind_occur() -> None:
    seen = Counter(
        str(json.loads(r.content).get("action") or json.loads(r.content).get("type") or r.channel)
        for made in plans()
        for r in made.replies
    )
    assert {"schedule_task", "ask_question", "card", "agent", "telegram"} <= set(seen)
    assert any(r.delay_s for made in plans() for r in made.replies)


def test_agents_do_not_answer_answers_for_ever() -> None:
    asked = (Task("a2a-1", "chat", '{"text": "please check"}', "agent", "two"),)
    assert all(r.channel != "agent" for made in plans(asked) for r in made.replies)


def test_plain_and_hostile_content_is_quoted_not_parsed() -> None:
    for content in ("not json", "[1]", "{'x", '{"text": 5}', "\x00"):
        batch = (Task("m", "chat", content, "cli", "local"),)
        for made in plans(batch)[:200]:
            for reply in made.replies:
                json.loads(reply.content)
