"""What an embedded agent does with a batch of messages: the tools, the time, the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from services.files.bounded import parse_json

SHORTEST_S = 0.5
LONGEST_S = 6.0
FAILS = 0.06
"""How often a batch is abandoned half done."""
_READ = 200


@dataclass(frozen=True, slots=True)
class Task:
    """One message an agent has taken."""

    id: str
    kind: str
    content: str
    channel: str = ""
    platform: str = ""
    thread: str = ""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One tool call."""

    tool: str
    seconds: float
    timeout_ms: int | None = None
    """Declared by the call; upstream declares it for Bash alone.

    See upstream/nanoclaw: Outbound file.
    """


@dataclass(frozen=True, slots=True)
class OutboundReply:
    """One row for messages_out."""

    kind: str
    content: str
    in_reply_to: str
    channel: str = ""
    platform: str = ""
    thread: str = ""
    delay_s: float = 0.0
    """Deliver this much later."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a batch."""

    tools: tuple[ToolUse, ...]
    replies: tuple[OutboundReply, ...]
    fails: bool = False
    """The tools run, no answer comes, and the batch stays claimed."""


_TOOLS: tuple[tuple[str, tuple[int | None, ...]], ...] = (
    ("Bash", (120_000, 600_000, 30_000)),
    ("WebFetch", (None,)),
    ("Read", (None,)),
    ("Grep", (None,)),
    ("Edit", (None,)),
    ("WebSearch", (None,)),
)


def plan(batch: tuple[Task, ...], peers: tuple[str, ...], rng: Random) -> Plan:
    """Decide what to do with a batch; `peers` are the agents one may write to."""
    total = rng.uniform(SHORTEST_S, LONGEST_S)
    count = rng.randint(1, 3)
    tools = []
    for _ in range(count):
        name, timeouts = rng.choice(_TOOLS)
        tools.append(ToolUse(name, total / count, rng.choice(timeouts)))
    if rng.random() < FAILS:
        return Plan(tuple(tools), (), fails=True)
    return Plan(tuple(tools), tuple(_replies(batch, peers, rng)))


def _replies(batch: tuple[Task, ...], peers: tuple[str, ...], rng: Random) -> list[OutboundReply]:
    first = batch[0]
    back = (first.channel, first.platform, first.thread)
    if first.channel == "agent":
        # The other agent asked; an answer to an answer would never end.
        return [OutboundReply("system", _json(action="note", text=_answer(first, rng)), first.id)]
    replies = [OutboundReply("chat", _json(text=_answer(first, rng)), first.id, *back)]
    if rng.random() < 0.3:
        extra: Callable[[Task, tuple[str, ...], Random], OutboundReply] = rng.choice(_EXTRAS)
        replies.append(extra(first, peers, rng))
    return replies


def _answer(task: Task, rng: Random) -> str:
    about = subject(task)
    return rng.choice(
        (
            f"Done: {about}",
            f"Looked into it. {about}: nothing unusual, two items filed.",
            f"{about}: finished, the notes are in work/",
            f"Half of it was stale; the rest is handled. ({about})",
            f"Two attempts, second one passed: {about}",
        )
    )


def subject(task: Task) -> str:
    """What a message is about, in at most 200 characters."""
    try:
        fields = parse_json(task.content)
    except ValueError:
        fields = task.content
    if isinstance(fields, dict):
        fields = fields.get("text") or fields.get("prompt") or fields.get("event") or task.kind
    return str(fields)[:_READ]


def _schedule(task: Task, _peers: tuple[str, ...], rng: Random) -> OutboundReply:
    prompt = f"Look again at: {subject(task)}"
    content = _json(
        action="schedule_task", prompt=prompt, inSeconds=rng.choice((15, 30, 60)), script=None
    )
    return OutboundReply("system", content, task.id, task.channel, task.platform, task.thread)


def _ask(task: Task, _peers: tuple[str, ...], rng: Random) -> OutboundReply:
    content = _json(
        type="ask_question",
        questionId=f"q-{rng.randrange(10**8)}",
        title="Go on?",
        question=f"Apply the change? {subject(task)}",
        options=[{"label": "Yes", "value": "yes"}, {"label": "No", "value": "no"}],
    )
    return OutboundReply("chat-sdk", content, task.id, task.channel, task.platform, task.thread)


def _card(task: Task, _peers: tuple[str, ...], rng: Random) -> OutboundReply:
    done = rng.randint(1, 9)
    content = _json(type="card", card={"title": "Progress"}, fallbackText=f"Progress: {done}0 %")
    return OutboundReply("chat-sdk", content, task.id, task.channel, task.platform, task.thread)


def _react(task: Task, _peers: tuple[str, ...], rng: Random) -> OutboundReply:
    content = _json(operation="reaction", messageId=task.id, emoji=rng.choice(("heart", "eyes")))
    return OutboundReply("chat", content, task.id, task.channel, task.platform, task.thread)


def _later(task: Task, _peers: tuple[str, ...], rng: Random) -> OutboundReply:
    text = _json(text=f"Reminder: {subject(task)}")
    delay = rng.uniform(8, 25)
    return OutboundReply("chat", text, task.id, task.channel, task.platform, task.thread, delay)


def _delegate(task: Task, peers: tuple[str, ...], rng: Random) -> OutboundReply:
    if not peers:
        return _card(task, peers, rng)
    text = _json(text=f"Please check: {subject(task)}")
    return OutboundReply("chat", text, task.id, "agent", rng.choice(peers))


_EXTRAS = (_schedule, _ask, _card, _react, _later, _delegate)


def _json(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False)
