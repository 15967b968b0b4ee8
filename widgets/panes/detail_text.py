"""What the details of a record say, section by section; and the record as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TypeAlias

from textual.content import Content

from services.models import (
    Activity,
    Counts,
    Event,
    Facts,
    Gateway,
    GatewayId,
    Message,
    Sandbox,
    SandboxId,
)
from services.text.format import age, clock_time, countdown, latency, size
from services.text.signs import (
    GATEWAYS,
    SEVERITIES,
    Sign,
    message_sign,
    sandbox_sign,
    urgent_first,
)
from widgets.text.cell_text import sanitize_block, sanitize_line
from widgets.text.styled_text import TONES, joined, signed, styled

Subject: TypeAlias = Sandbox | Gateway | Message | Event
"""What can be looked at closely."""

DAY_S = 86_400.0
_KEYED = ("evidence", "inbound", "outbound", "unavailable")


def name_of(subject: Subject) -> str:
    """The identity to show in a title."""
    if isinstance(subject, Message):
        return f"message {subject.id}"
    if isinstance(subject, Event):
        return f"{subject.kind} {subject.source}/{subject.subject}".rstrip("/")
    return subject.name


def sign_of(subject: Subject) -> Sign:
    """The sign of whatever it is."""
    if isinstance(subject, Sandbox):
        return sandbox_sign(subject)
    if isinstance(subject, Gateway):
        return GATEWAYS[subject.state]
    if isinstance(subject, Message):
        return message_sign(subject.label)
    return SEVERITIES[subject.severity]


def facts_of(subject: Subject, now: float) -> Facts:
    """Name and value of everything worth reading, ages at `now`; the evidence of a probe last."""
    if isinstance(subject, Sandbox):
        found = _sandbox(subject, now)
    elif isinstance(subject, Gateway):
        found = _gateway(subject, now)
    elif isinstance(subject, Message):
        found = _message(subject, now)
    else:
        found = [
            ("at", clock_time(subject.at, with_date=True)),
            ("what", subject.text),
            ("before", subject.before),
            ("after", subject.after),
            ("source", subject.source),
            ("subject", subject.subject),
            ("kind", subject.kind),
        ]
    return tuple((name, sanitize_line(value, 2000)) for name, value in found if value)


def _observed(at: float, stale: bool, now: float) -> tuple[str, str]:
    words = f"{age(now, at)} ago, at {clock_time(at)}"
    return "observed", f"STALE: last confirmed {words}" if stale else words


def _since(at: float | None, now: float) -> tuple[str, str]:
    return "since", "" if at is None else f"{clock_time(at)}, {age(now, at)} ago"


def _missing(at: float | None, now: float) -> tuple[str, str]:
    return "missing", "" if at is None else f"not in the last list, {age(now, at)} ago"


def _sandbox(sandbox: Sandbox, now: float) -> list[tuple[str, str]]:
    doing = sandbox.activity.value if sandbox.activity is not Activity.NONE else ""
    return [
        ("state", str(sandbox.state.value)),
        ("of itself", sandbox.own_state.value if sandbox.own_state else ""),
        ("why", sandbox.reason),
        _since(sandbox.since, now),
        ("needs you", sandbox.needs_me),
        _missing(sandbox.missing_since, now),
        ("activity", " · ".join(part for part in (doing, sandbox.tool) if part)),
        _observed(sandbox.observed_at, sandbox.stale, now),
        ("gateway", str(sandbox.gateway) if sandbox.gateway else "none"),
        ("needs", ", ".join(map(str, sandbox.needs))),
        ("id", str(sandbox.id)),
        ("asleep", "by design: nothing to do" if sandbox.asleep_by_design else ""),
        *_unavailable(sandbox),
        *sandbox.evidence,
    ]


def _unavailable(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """What it cannot do, those with one reason together."""
    together: dict[str, list[str]] = {}
    for capability, reason in sandbox.unavailable:
        together.setdefault(reason, []).append(capability.value)
    for reason, names in together.items():
        yield f"no {', '.join(names)}", reason


def _gateway(gateway: Gateway, now: float) -> list[tuple[str, str]]:
    return [
        ("state", gateway.state.value),
        ("why", gateway.reason),
        _since(gateway.since, now),
        _missing(gateway.missing_since, now),
        ("latency", latency(gateway.latency_s)),
        _observed(gateway.observed_at, gateway.stale, now),
        ("address", gateway.address),
        ("id", str(gateway.id)),
        *gateway.evidence,
    ]


def _message(message: Message, now: float) -> list[tuple[str, str]]:
    at, due, since = message.at, message.due_at, message.since
    return [
        ("state", message.label.value),
        ("for", f"{age(now, since)}, since {clock_time(since)}" if since is not None else ""),
        ("direction", f"messages_{message.direction.value}"),
        ("kind", message.kind),
        ("at", clock_time(at, with_date=True) if at is not None else "unreadable"),
        ("due", f"{countdown(now, due)}, at {clock_time(due)}" if due is not None else ""),
        ("tries", str(message.tries) if message.tries else ""),
        ("channel", message.channel),
        ("reply to", message.reply_to or ""),
        ("seq", "" if message.seq is None else str(message.seq)),
        ("size", f"{size(message.size)} characters"),
        ("id", message.id),
    ]


def facts_text(facts: Facts, width: int) -> Content:
    """Names in one column, values beside them, long values wrapped under themselves."""
    column = min(18, max((Content(name).cell_length for name, _ in facts), default=0))
    lines: list[Content] = []
    for name, value in facts:
        key = styled(name, "dim").truncate(column, ellipsis=True, pad=True)
        wrapped = Content(sanitize_line(value, 2000)).wrap(max(8, width - column - 2)) or [
            Content("")
        ]
        for number, line in enumerate(wrapped):
            first = key if number == 0 else Content(" " * column)
            lines.append(Content.assemble(first, "  ", styled(line.plain, "calm")))
    return joined(lines, "\n")


def queue_facts(inbound: Counts, outbound: Counts) -> Facts:
    """Both queues' counts, one fact each; none where neither has rows."""
    if not inbound and not outbound:
        return ()
    return tuple(
        (name, ", ".join(f"{number} {label}" for label, number in urgent_first(pairs)) or "empty")
        for name, pairs in (("in", inbound), ("out", outbound))
    )


def events_title(events: Sequence[Event], now: float) -> Content:
    """How the last day went, in numbers."""
    lately = [event for event in events if event.at >= now - DAY_S]
    if not lately:
        return Content("Events: nothing in the last day")
    seen = Counter(event.severity for event in lately)
    told = ", ".join(
        f"{sign.glyph} {seen[severity]} {sign.word}" if sign.word else f"{seen[severity]} other"
        for severity, sign in SEVERITIES.items()
        if seen[severity]
    )
    return Content(f"The last day: {told}")


def event_lines(events: Sequence[Event], most: int = 60) -> Content:
    """The newest `most` events, newest first; how many there are beyond."""
    newest = sorted(events, key=lambda event: event.at, reverse=True)
    days = {clock_time(event.at, with_date=True)[:10] for event in newest[:most]}
    lines = [_event_line(event, dated=len(days) > 1) for event in newest[:most]]
    if len(newest) > most:
        lines.append(styled(f"… and {len(newest) - most} before: filter the events pane", "dim"))
    return joined(lines, "\n")


def _event_line(event: Event, *, dated: bool) -> Content:
    return Content.assemble(
        styled(clock_time(event.at, with_date=dated), "dim"),
        "  ",
        signed(SEVERITIES[event.severity]).truncate(8, pad=True),
        "  ",
        styled(event.text, "calm"),
    )


def record_json(subject: Subject | tuple[Subject, ...]) -> str:
    """Whole records as indented JSON; enums by value, pairs as an object."""
    return sanitize_block(json.dumps(_jsonable(subject), indent=2, ensure_ascii=False))


def record_text(subject: Subject) -> Content:
    """The record as JSON, ready to draw: the indent apart, so that a picture keeps it."""
    pieces: list[str | tuple[str, str]] = []
    for line in record_json(subject).split("\n"):
        words = line.lstrip(" ")
        pieces += [" " * (len(line) - len(words)), (words, TONES["calm"]), "\n"]
    return Content.assemble(*pieces[:-1])


def _jsonable(value: object, name: str = "") -> object:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _jsonable(getattr(value, f.name), f.name) for f in fields(value)}
    if isinstance(value, SandboxId | GatewayId):
        return {"source": value.source, "native_id": value.native_id}
    if isinstance(value, tuple):
        if name in _KEYED:
            keyed = {str(_jsonable(key)): _jsonable(item) for key, item in value}
            if len(keyed) == len(value):
                return keyed
        return [_jsonable(item) for item in value]
    return value
