"""A glyph and a word for every state: colour is never the only sign.

A glyph has one meaning, over all panes: `MEANINGS`, which the help page shows as its legend. `tone`
names a class of meaning, not a colour; the screen gives it one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.models import (
    Activity,
    AttemptState,
    Counts,
    GatewayState,
    InLabel,
    OutLabel,
    Sandbox,
    SandboxState,
    Severity,
    ShellState,
    StepState,
    Verb,
)


class Sign(NamedTuple):
    """How a state looks."""

    glyph: str
    word: str
    tone: str
    """`good`, `busy`, `wait`, `calm`, `warn`, `bad` or `dim`."""

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


MEANINGS = {
    "◉": "serves",
    "◆": "serves, and is at work",
    "◌": "on its way",
    "○": "does not run, and need not",
    "⊖": "alive, without progress",
    "⊘": "cut off: its way in does not serve",
    "⊗": "needs a decision of yours",
    "≠": "something else has its place, or it refuses us",
    "✕": "over, and not well",
    "∅": "not there",
    "?": "not known",
    "~": "known from earlier only",
    "◈": "waits for you",
    "●": "waits for its turn",
    "▸": "in work",
    "↻": "will be tried again",
    "◷": "at a later time",
    "⇠": "waits for an answer",
    "‖": "held on purpose",
    "!": "not as it should be",
    "✓": "done",
    "⇒": "handed on",
    "–": "left out or taken back",
    "◦": "not begun",
    "·": "asks nothing of anybody",
    "↑": "turned better",
    "↓": "turned worse",
    "»": "what you did",
}
"""Every glyph of a state with the one thing it means."""
GATEWAYS = {
    GatewayState.UNKNOWN: Sign("?", "unknown", "warn"),
    GatewayState.ABSENT: Sign("∅", "absent", "dim"),
    GatewayState.DOWN: Sign("✕", "down", "bad"),
    GatewayState.SETTLING: Sign("◌", "settling", "wait"),
    GatewayState.READY: Sign("◉", "ready", "good"),
    GatewayState.HUNG: Sign("⊖", "hung", "bad"),
    GatewayState.WRONG: Sign("≠", "wrong", "bad"),
}
SANDBOXES = {
    SandboxState.BROKEN: Sign("⊗", "broken", "bad"),
    SandboxState.DOWN: Sign("✕", "down", "bad"),
    SandboxState.CUT_OFF: Sign("⊘", "cut off", "bad"),
    SandboxState.STUCK: Sign("⊖", "stuck", "bad"),
    SandboxState.UNKNOWN: Sign("?", "unknown", "warn"),
    SandboxState.SETTLING: Sign("◌", "settling", "wait"),
    SandboxState.READY: Sign("◉", "ready", "good"),
    SandboxState.ASLEEP: Sign("○", "asleep", "calm"),
    SandboxState.ABSENT: Sign("∅", "absent", "dim"),
}
"""The most urgent first: rows are sorted and counted so."""
STALE = Sign("~", "stale", "warn")
"""What is not known as of now; it is counted apart."""
NEEDS_YOU = Sign("◈", "need you", "warn")
UNKNOWN_LIST = Sign("?", "not known", "warn")
LOST = Sign("✕", "lost", "bad")
WORKING = Sign("◆", "working", "busy")
IDLE = Sign("◉", "idle", "good")
"""Ready sandboxes, by what they are doing."""
# What is known to be bad stands before what is not known, and what works before what is idle.
_COUNTED_BEFORE = {SandboxState.UNKNOWN: STALE, SandboxState.READY: WORKING}
COUNTED = tuple(
    sign
    for state, own in SANDBOXES.items()
    for sign in (_COUNTED_BEFORE.get(state), own)
    if sign is not None
)
"""What sandboxes are counted by, the most urgent first."""
STEPS = {
    StepState.PENDING: Sign("◦", "pending", "dim"),
    StepState.RUNNING: Sign("▸", "running", "busy"),
    StepState.OK: Sign("✓", "ok", "good"),
    StepState.SKIPPED: Sign("–", "skipped", "dim"),
    StepState.FAILED: Sign("✕", "failed", "bad"),
}
ATTEMPTS = {
    AttemptState.DONE: Sign("✓", "done", "good"),
    AttemptState.FAILED: Sign("✕", "failed", "bad"),
    AttemptState.CANCELLED: Sign("–", "cancelled", "warn"),
}
DOING = {Verb.WAKE: "waking", Verb.RECONNECT: "reconnecting"}
"""A verb while it is carried out."""
SHELLS = {
    ShellState.RESOLVING: Sign("◌", "resolving", "wait"),
    ShellState.CONNECTING: Sign("◌", "connecting", "wait"),
    ShellState.OPEN: Sign("◉", "open", "good"),
    ShellState.ENDED: Sign("○", "ended", "dim"),
    ShellState.LOST: Sign("✕", "lost", "bad"),
    ShellState.FAILED: Sign("✕", "failed", "bad"),
    ShellState.DETACHED: Sign("○", "detached", "dim"),
}
SEVERITIES = {
    Severity.INFO: Sign("·", "", "calm"),
    Severity.BETTER: Sign("↑", "better", "good"),
    Severity.WORSE: Sign("↓", "worse", "bad"),
    Severity.ACTION: Sign("»", "you", "busy"),
}
_IN = {
    InLabel.FAILED: Sign("✕", "failed", "bad"),
    InLabel.PAUSED: Sign("‖", "paused", "dim"),
    InLabel.COMPLETED: Sign("✓", "completed", "dim"),
    InLabel.CANCELLED: Sign("–", "cancelled", "dim"),
    InLabel.UNSYNCED: Sign("✓", "unsynced", "dim"),
    InLabel.SCRIPT_FAILED: Sign("✕", "script failed", "bad"),
    InLabel.SCRIPT_UNSYNCED: Sign("✕", "script failed", "bad"),
    InLabel.UNKNOWN_STATUS: Sign("?", "unknown status", "dim"),
    InLabel.UNKNOWN_ACK: Sign("?", "unknown ack", "dim"),
    InLabel.PROCESSING: Sign("▸", "processing", "busy"),
    InLabel.ORPHAN: Sign("!", "orphan claim", "warn"),
    InLabel.NEVER_DUE: Sign("!", "never due", "warn"),
    InLabel.BACKOFF: Sign("↻", "backoff", "warn"),
    InLabel.SCHEDULED: Sign("◷", "scheduled", "calm"),
    InLabel.WAITING: Sign("⇠", "waiting", "calm"),
    InLabel.HELD: Sign("‖", "held", "calm"),
    InLabel.CONTEXT: Sign("·", "context", "dim"),
    InLabel.DUE: Sign("●", "due", "wait"),
}
_OUT = {
    OutLabel.FAILED: Sign("✕", "failed", "bad"),
    OutLabel.APPLIED: Sign("✓", "applied", "dim"),
    OutLabel.ROUTED: Sign("⇒", "routed", "dim"),
    OutLabel.DELIVERED: Sign("✓", "delivered", "dim"),
    OutLabel.UNCONFIRMED: Sign("?", "unconfirmed", "warn"),
    OutLabel.DEFERRED: Sign("◷", "deferred", "calm"),
    OutLabel.UNDELIVERED: Sign("●", "undelivered", "wait"),
    OutLabel.LOGGED: Sign("✓", "run log", "dim"),
    OutLabel.UNLOGGED: Sign("●", "run log", "calm"),
    OutLabel.DROPPED: Sign("✕", "no address", "warn"),
    OutLabel.NEVER_SENT: Sign("!", "never sent", "warn"),
    OutLabel.UNKNOWN_STATUS: Sign("?", "unknown status", "dim"),
    OutLabel.UNKNOWN_KIND: Sign("?", "unknown kind", "dim"),
}


_URGENT: tuple[InLabel | OutLabel, ...] = (
    InLabel.FAILED,
    InLabel.SCRIPT_FAILED,
    InLabel.SCRIPT_UNSYNCED,
    OutLabel.FAILED,
    OutLabel.DROPPED,
    InLabel.ORPHAN,
    InLabel.NEVER_DUE,
    OutLabel.NEVER_SENT,
    InLabel.DUE,
    OutLabel.UNDELIVERED,
    InLabel.PROCESSING,
    InLabel.BACKOFF,
    InLabel.UNKNOWN_STATUS,
    InLabel.UNKNOWN_ACK,
    OutLabel.UNKNOWN_STATUS,
    OutLabel.UNCONFIRMED,
    OutLabel.UNKNOWN_KIND,
    InLabel.WAITING,
    InLabel.SCHEDULED,
    OutLabel.DEFERRED,
    InLabel.HELD,
    OutLabel.UNLOGGED,
    InLabel.CONTEXT,
    InLabel.PAUSED,
)
_SETTLED: tuple[InLabel | OutLabel, ...] = (
    InLabel.UNSYNCED,
    InLabel.COMPLETED,
    InLabel.CANCELLED,
    OutLabel.DELIVERED,
    OutLabel.APPLIED,
    OutLabel.ROUTED,
    OutLabel.LOGGED,
)
SETTLED = frozenset(label.value for label in _SETTLED)
"""Labels that ask for nothing more."""
LABEL_ORDER = {
    value: at for at, value in enumerate(dict.fromkeys(one.value for one in (*_URGENT, *_SETTLED)))
}
"""The place of each label of either direction where labels are listed: the most urgent first."""


def urgent_first(counts: Counts) -> Counts:
    """Counts in the order of `LABEL_ORDER`; one that is not known precedes settled ones."""
    unknown = LABEL_ORDER[_SETTLED[0].value] - 0.5
    return tuple(sorted(counts, key=lambda pair: LABEL_ORDER.get(pair[0], unknown)))


def legend() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Every glyph with its meaning and the words it stands with."""
    words: dict[str, dict[str, None]] = {glyph: {} for glyph in MEANINGS}
    for sign in every_sign():
        words[sign.glyph].setdefault(sign.word)
    return tuple(
        (glyph, meaning, tuple(word for word in words[glyph] if word))
        for glyph, meaning in MEANINGS.items()
    )


def every_sign() -> tuple[Sign, ...]:
    """All signs of all panes."""
    tables: tuple[Iterable[Sign], ...] = (
        SANDBOXES.values(),
        (WORKING, IDLE),
        GATEWAYS.values(),
        SHELLS.values(),
        (STALE, NEEDS_YOU, UNKNOWN_LIST, LOST),
        _IN.values(),
        _OUT.values(),
        STEPS.values(),
        ATTEMPTS.values(),
        SEVERITIES.values(),
    )
    return tuple(sign for table in tables for sign in table)


def message_sign(label: InLabel | OutLabel) -> Sign:
    """The sign of a message's label."""
    return _IN[label] if isinstance(label, InLabel) else _OUT[label]


def sandbox_sign(sandbox: Sandbox) -> Sign:
    """The sign of a sandbox: what it is, or what it is doing where that says more."""
    if sandbox.state is SandboxState.READY and sandbox.activity is Activity.WORKING:
        return WORKING
    if sandbox.state is SandboxState.READY and sandbox.activity is Activity.IDLE:
        return IDLE
    return SANDBOXES[sandbox.state]
