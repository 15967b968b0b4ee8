"""How counts and spans read in a sentence."""

from __future__ import annotations

from services.text import sanitize


def span(seconds: float) -> str:
    """A span as one says it: `20 s`, `24 min`, `3 h`, `12 days`."""
    span = max(0.0, seconds)
    if span < 120:
        return f"{span:.0f} s"
    if span < 7200:
        return f"{span / 60:.0f} min"
    if span < 172_800:
        return f"{span / 3600:.0f} h"
    return f"{span / 86_400:.0f} days"


def ago(seconds: float) -> str:
    """A span that lies behind; where it lies ahead, some clock is wrong."""
    if seconds < -2:
        return f"{span(-seconds)} ahead of our clock"
    return f"{span(seconds)} ago"


def plural(count: int, thing: str) -> str:
    """A count with its thing."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    """`text` as a sentence of its own, with its capital."""
    return sanitize.end_sentence(f"{text[:1].upper()}{text[1:]}")
