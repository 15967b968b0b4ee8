"""One sign, one meaning, over all panes."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from services.models import InLabel, OutLabel
from services.text.signs import (
    COUNTED,
    LABEL_ORDER,
    MEANINGS,
    SANDBOXES,
    SETTLED,
    every_sign,
    legend,
    message_sign,
    urgent_first,
)
from widgets.table.row_painter import CURSOR_GLYPH, MARK_GLYPH

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
WORDS = {
    "◉": {"ready", "idle", "open"},
    "◆": {"working"},
    "◌": {"settling", "resolving", "connecting"},
    "○": {"asleep", "ended", "detached"},
    "⊖": {"stuck", "hung"},
    "⊘": {"cut off"},
    "⊗": {"broken"},
    "≠": {"wrong"},
    "✕": {"down", "lost", "failed", "script failed", "no address"},
    "∅": {"absent"},
    "?": {"unknown", "not known", "unknown status", "unknown ack", "unknown kind", "unconfirmed"},
    "~": {"stale"},
    "◈": {"need you"},
    "●": {"due", "undelivered", "run log"},
    "▸": {"running", "processing"},
    "↻": {"backoff"},
    "◷": {"scheduled", "deferred"},
    "⇠": {"waiting"},
    "‖": {"paused", "held"},
    "!": {"orphan claim", "never due", "never sent"},
    "✓": {"ok", "done", "completed", "unsynced", "applied", "delivered", "run log"},
    "⇒": {"routed"},
    "–": {"skipped", "cancelled"},
    "◦": {"pending"},
    "·": {"", "context"},
    "↑": {"better"},
    "↓": {"worse"},
    "»": {"you"},
}
"""Every word a sign may stand with: another one is decided here, not by accident."""


def test_each_sign_stands_with_the_words_of_its_one_meaning() -> None:
    seen: dict[str, set[str]] = {}
    for sign in every_sign():
        seen.setdefault(sign.glyph, set()).add(sign.word)
    assert seen == WORDS
    assert set(MEANINGS) == set(WORDS)
    assert max(Counter(MEANINGS.values()).values()) == 1, "two signs for one meaning"


def test_what_tells_the_cursor_and_marks_is_no_state() -> None:
    assert not {CURSOR_GLYPH, MARK_GLYPH} & set(MEANINGS)


def test_the_legend_has_every_sign() -> None:
    assert [glyph for glyph, _, _ in legend()] == list(MEANINGS)
    assert {glyph: set(words) for glyph, _, words in legend()} == {
        glyph: words - {""} for glyph, words in WORDS.items()
    }


def test_no_pane_draws_a_sign_of_its_own() -> None:
    """A literal that begins with a sign uses it in its meaning, or is none of the signs."""
    meant = {"‖ PAUSED", "✕ offline", "✓ ", "✓", "▸ ", "✕ ", "–"}
    drawn = {glyph for glyph in MEANINGS if not glyph.isascii()} - {"·"}  # Also a separator.
    strange = []
    for path in (ROOT / "widgets" / "panes").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.lstrip()
                if text[:1] in drawn and text not in meant:
                    strange.append((path.name, text))
    assert not strange


def test_labels_are_listed_with_the_most_urgent_first() -> None:
    counts = (
        ("paused", 1),
        ("completed", 54),
        ("a new word", 2),
        ("processing", 2),
        ("due", 3),
        ("orphan claim", 1),
        ("failed", 4),
    )
    order = [label for label, _ in urgent_first(counts)]
    assert order == [
        *("failed", "orphan claim", "due", "processing", "paused", "a new word", "completed")
    ]


def test_every_label_has_its_place_and_settled_ones_come_last() -> None:
    every = {one.value for labels in (InLabel, OutLabel) for one in labels}
    assert set(LABEL_ORDER) == every
    last = max(place for label, place in LABEL_ORDER.items() if label not in SETTLED)
    assert all(LABEL_ORDER[label] > last for label in SETTLED)
    assert all(message_sign(label).word for labels in (InLabel, OutLabel) for label in labels)


def test_sandboxes_are_counted_with_the_most_urgent_first() -> None:
    words = [sign.word for sign in COUNTED]
    assert words[:7] == ["broken", "down", "cut off", "stuck", "stale", "unknown", "settling"]
    assert words[7:] == ["working", "ready", "asleep", "absent"]
    assert {sign.word for sign in SANDBOXES.values()} < set(words)
