"""What a message is about, from content of any kind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.queues.preview import HEAD, LIMIT, preview


def of(content: str) -> str:
    return preview(content[:HEAD], len(content))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"text": "hello", "sender": "Dana"}, "hello"),
        ({"prompt": "daily digest", "script": None}, "daily digest"),
        ({"operation": "edit", "messageId": "m", "text": "mended"}, "edit: mended"),
        ({"operation": "reaction", "messageId": "m", "emoji": "heart"}, "reaction heart"),
        (
            {"type": "ask_question", "title": "Go?", "question": "Ship it?"},
            "ask_question: Ship it?",
        ),
        ({"type": "card", "card": {"title": "x"}, "fallbackText": "Status"}, "card: Status"),
        ({"action": "schedule_task", "prompt": "later"}, "schedule_task: later"),
        ({"source": "github", "event": "push"}, "push"),
        (
            {"type": "question_response", "questionId": "q", "selectedOption": "yes"},
            "question_response yes",
        ),
        ({"text": "see", "files": ["a.txt", "b.txt"]}, "see [a.txt, b.txt]"),
        ({"text": "photo", "attachments": [{"name": "cat.png"}, {}]}, "photo [cat.png, file]"),
        ({"text": "", "files": list("abcd")}, '{"text": "", "files": ["a", "b", "c", "d"]} '),
        ({"unknown": 1}, '{"unknown": 1}'),
    ],
)
def test_known_shapes(fields: dict[str, object], line: str) -> None:
    shown = of(json.dumps(fields))
    assert shown.startswith(line.strip())


@pytest.mark.parametrize("content", ["plain words", "[1, 2]", '{"broken": ', "", "{" * 3000])
def test_what_is_no_object_shows_as_it_is(content: str) -> None:
    assert of(content).rstrip("…") == content[: len(of(content).rstrip("…"))]


def test_a_long_content_is_understood_from_its_head() -> None:
    fields = {"sender": "Dana", "text": 'she said "no"\n' + "é" * 9000}
    for content in (json.dumps(fields), json.dumps(fields, ensure_ascii=False)):
        shown = of(content)
        assert shown.startswith('she said "no" é')
        assert len(shown) <= LIMIT


def test_nothing_in_a_preview_reaches_a_terminal() -> None:
    shown = of(json.dumps({"text": "\x1b]52;c;eA==\x07a\x1b[2J\u202eb\x00"}))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert shown.startswith("a")


def test_secrets_are_masked() -> None:
    assert "hunter2hunter2" not in of(json.dumps({"text": "password=hunter2hunter2"}))


@given(st.text(max_size=400) | st.dictionaries(st.text(), st.text()).map(json.dumps))
@settings(deadline=None)
def test_any_content_gives_one_bounded_harmless_line(content: str) -> None:
    shown = of(content)
    assert len(shown) <= LIMIT + len("***") * content.count("=") + len("***") * content.count(":")
    assert "\n" not in shown
    assert all(char == " " or char.isprintable() or not char.isascii() for char in shown)
