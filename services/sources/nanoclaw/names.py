"""What a session is called: its id, and words an operator recognises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.sources.nanoclaw.central_db import CentralSnapshot, SessionRow
from services.sources.nanoclaw.containers import SessionKey
from services.text.sanitize import sanitize

_ID, _PART, _THREAD = 120, 40, 6


def native_ids(session_keys: Iterable[SessionKey]) -> dict[SessionKey, str]:
    """One harmless id for each: the session's own, with its group's where two share it."""
    every = list(session_keys)
    spelled = {session_key: sanitize(session_key[1], _ID) for session_key in every}
    often = Counter(spelled.values())
    taken: dict[str, SessionKey] = {}
    found: dict[SessionKey, str] = {}
    for session_key in sorted(every):
        name = spelled[session_key]
        if often[name] > 1 or not name or name[0] in "- ":
            name = sanitize(f"{session_key[0]}/{session_key[1]}", 2 * _ID)
        number = 2
        unique = name
        while unique in taken:
            unique, number = f"{name}~{number}", number + 1
        taken[unique] = session_key
        found[session_key] = unique
    return found


def display_name(central: CentralSnapshot, row: SessionRow | None, native: str) -> str:
    """Group and chat, with the end of the thread's id; the id where the DB does not say."""
    if row is None:
        return native
    group = sanitize(central.groups.get(row.group, ""), _PART) or sanitize(row.group, _PART)
    chat = central.chats.get(row.chat) if row.chat is not None else None
    if chat is None:
        return f"{group} · {native}"
    place = sanitize(chat.name, _PART) or sanitize(chat.platform, _PART)
    if row.thread:
        return f"{group} #{sanitize(row.thread, 80)[-_THREAD:]} · {place}"
    return f"{group} · {place}"


def human_wait(titles: Iterable[tuple[str, str]]) -> str:
    """What waits for a human, as (kind, title) pairs, in a sentence; empty for nothing."""
    every = list(titles)
    if not every:
        return ""
    kind, title = every[0]
    what = {
        "question": "Asks a human",
        "approval": "Waits for an admin",
        "sender": "Waits for an admin: unknown sender",
        "channel": "Waits for an admin: unknown chat",
    }[kind]
    shown = sanitize(title, 60)
    more = f" and {len(every) - 1} more" if len(every) > 1 else ""
    return f"{what}: “{shown}”{more}." if shown else f"{what}{more}."
