"""What people and systems send into the embedded world: pure, from a random source.

Some of it is hostile on purpose, so that the panel proves every hour that what it shows cannot act.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random

SHORTEST_GAP_S = 3.0
LONGEST_GAP_S = 8.0


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One row for messages_in; whoever inserts it adds id, seq and timestamp."""

    prefix: str
    """How the id begins (upstream/nanoclaw: Inbound file); empty for a routed chat."""
    kind: str
    content: str
    channel: str | None = None
    platform: str | None = None
    delay_s: float | None = None
    """Not due before this much later."""
    sqlite_spelling: bool = False
    """Whether the due time is written as SQLite does rather than as ISO."""
    recurrence: str | None = None
    series: str | None = None
    status: str = "pending"
    wakes: bool = True
    on_wake: bool = False
    source_session: str | None = None


_CHATS = (
    "can you check the failed import from this morning?",
    "three new invoices in the inbox, please file them",
    "what changed in the release branch since Friday?",
    "summarise the thread with the hosting provider",
    "is the nightly backup still running?",
    "draft an answer to the partner, short and friendly",
    "the dashboard says 14 % errors on checkout, is that real?",
    "find me the contract we signed in March",
    "please retry the export, the disk is free again",
    "bitte die Notizen von gestern zusammenfassen",
    "昨日のログを確認してください",
    "🚀 ship it when the tests are green",
)
_HOSTILE = (
    "[bold red]not markup[/] [link=https://example.invalid]nor a link[/link] [/]",
    "\x1b[2J\x1b[31mnot a colour\x1b[0m and \x1b[5;5Hno cursor",
    "clipboard \x1b]52;c;cm0gLXJmIC8=\x07 untouched",
    "title \x1b]0;owned\x07 unchanged, bell \x07 silent, \x9b31m eight bits",
    "user\u202egnp.exe\u202c is not a picture; \u2066isolated\u2069",
    "zero\u200bwidth\u200djoin\ufeffers and a\u0301\u0301\u0301\u0301\u0301\u0301 stack",
    "line one\r\nline two\rline three\x00nul\x08\x08\x08back",
    "{'half': json, " + "A" * 3000,
)
_TASKS = (
    "collect the overnight metrics",
    "rotate the reading list",
    "check certificates that expire this month",
    "compare staging with production",
)
_HOOKS = (
    {"source": "github", "event": "push", "payload": {"ref": "main", "commits": 3}},
    {"source": "github", "event": "issues.opened", "payload": {"number": 412}},
    {"source": "pager", "event": "alert.resolved", "payload": {"service": "checkout"}},
)
_PEOPLE = ("Dana", "Noor", "Iker", "Mei", "Oluwaseun", "Łukasz")
_CHANNELS = (("telegram", "telegram:42"), ("slack", "slack:C0DE"), ("cli", "local"))


def random_message(rng: Random) -> InboundMessage:
    """The next thing that happens to be sent to a sandbox."""
    pick = rng.random()
    channel, platform = rng.choice(_CHANNELS)
    if pick < 0.55:
        return _chat(rng, rng.choice(_CHATS), channel, platform)
    if pick < 0.63:
        return _chat(rng, rng.choice(_HOSTILE), channel, platform)
    if pick < 0.67:
        return InboundMessage("", "chat", rng.choice(_HOSTILE), channel, platform)
    if pick < 0.77:
        return _chat(rng, rng.choice(_CHATS), channel, platform, wakes=False)
    if pick < 0.87:
        return InboundMessage("", "webhook", _json(rng.choice(_HOOKS)))
    delay = rng.choice((None, 6.0, 20.0, 45.0))
    content = _json({"prompt": rng.choice(_TASKS), "script": None})
    return InboundMessage("task-", "task", content, channel, platform, delay, rng.random() < 0.5)


def initial_messages() -> tuple[InboundMessage, ...]:
    """What a new sandbox starts with: a recurring task, a paused one, a note for its start."""
    digest = _json({"prompt": "a line about what happened since last time", "script": None})
    poll = _json({"prompt": "poll the old endpoint", "script": None})
    hello = _json({"text": "you were created; say hello", "sender": "system", "senderId": "system"})
    return (
        InboundMessage("task-", "task", digest, "cli", "local", 20.0, recurrence="* * * * *"),
        InboundMessage(
            "task-", "task", poll, delay_s=0.0, recurrence="*/10 * * * *", status="paused"
        ),
        InboundMessage("restart-", "chat", hello, "cli", "local", on_wake=True),
    )


def flood_message(rng: Random, number: int) -> InboundMessage:
    """One of very many."""
    channel, platform = rng.choice(_CHANNELS)
    return _chat(rng, f"flood {number}: {rng.choice(_CHATS)}", channel, platform)


def from_agent(content: str, sender: str) -> InboundMessage:
    """What another agent of this world wrote."""
    return InboundMessage("a2a-", "chat", content, "agent", sender, source_session=sender)


def response(question: str, rng: Random) -> InboundMessage:
    """A human's answer to a question an agent asked."""
    answer = {
        "type": "question_response",
        "questionId": question,
        "selectedOption": rng.choice(("yes", "no")),
        "userId": "telegram:1001",
    }
    return InboundMessage("qr-", "system", _json(answer))


def _chat(
    rng: Random, text: str, channel: str, platform: str, *, wakes: bool = True
) -> InboundMessage:
    sender = rng.choice(_PEOPLE)
    fields: dict[str, object] = {"text": text, "sender": sender, "senderId": f"{channel}:1001"}
    if rng.random() < 0.05:
        fields["attachments"] = [{"type": "image", "name": "chart.png", "mimeType": "image/png"}]
    return InboundMessage("", "chat", _json(fields), channel, platform, wakes=wakes)


def _json(fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False)
