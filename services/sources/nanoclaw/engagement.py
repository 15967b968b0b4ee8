"""Whether a routed line would wake a session, and who would see it: pure.

See upstream/nanoclaw: Routed lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.lazy_dataclass import dataclass
from services.sources.nanoclaw.central_db import CentralSnapshot, Chat, SessionRow, Wiring
from services.text.sanitize import sanitize

LONGEST = 400
_GATED = "/"
_ATOM = r"(?:[^\\.*+?{}()\[\]|^$]|\\[bBdDwWsS]|\\[^A-Za-z0-9\s]|\.|\^|\$)"
_JUDGEABLE = re.compile(rf"(?:{_ATOM}[*+?]?|\|)*", re.ASCII)
_MOST_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Address:
    """Where a routed line goes."""

    channel: str
    platform: str
    thread: str | None


@dataclass(frozen=True, slots=True)
class NudgePlan:
    """What sending one line would do; `refusal` is empty where it would wake the session."""

    text: str
    sender: str
    refusal: str = ""
    reword: bool = False
    """Another text may be accepted."""
    address: Address | None = None
    place: str = ""
    """The chat as a human knows it."""
    readers: tuple[str, ...] = ()
    """Every agent wired to that chat."""
    engaged: tuple[str, ...] = ()
    """Those of them that will act on it."""

    @property
    def consequence(self) -> str:
        """What will happen, for the confirmation."""
        others = [name for name in self.engaged if name != self.engaged[0]]
        also = f" It also wakes {', '.join(others)}." if others else ""
        rest = [name for name in self.readers if name not in self.engaged]
        heard = f" {', '.join(rest)} may keep it as context." if rest else ""
        return (
            f"This text is posted as a message from “{sanitize(self.sender, 60)}”:\n"
            f"    {sanitize(self.text, LONGEST)}\n"
            f"The agent acts on it, takes everything that waits, and answers in {self.place}, "
            f"where others can read the answer.{also}{heard}"
        )


def plan(central: CentralSnapshot, row: SessionRow | None, text: str, sender: str) -> NudgePlan:
    """Judge a line of `text` from the user id `sender` to one session."""
    draft = NudgePlan(text.strip(), sender)
    if trouble := _text_problem(draft.text):
        return _refused(draft, trouble, reword=True)
    if row is None:
        return _refused(draft, "it has no row in the central DB, so no chat leads to it")
    if row.status != "active":
        return _refused(draft, "the session is closed: a line would open another one")
    if (row.thread or "").startswith("system:"):
        return _refused(draft, "it is a task's own session: no chat leads to it")
    if row.chat is None:
        return _refused(draft, "no chat leads to this session: only other agents reach it")
    chat = central.chats.get(row.chat)
    if chat is None:
        return _refused(draft, "its chat is not in the central DB")
    wirings = [one for one in central.wirings if one.chat == chat.id]
    own = next((one for one in wirings if one.group == row.group), None)
    if trouble := _route_problem(central, chat, own, row, draft):
        deaf = own is not None and matches(own.engage_pattern, draft.text) is False
        by_text = own is not None and own.engage_mode == "pattern" and deaf
        return _refused(draft, trouble, reword=by_text)
    engaged = [one for one in wirings if _engages(one, chat, row, draft.text) is True]
    engaged.sort(key=lambda one: one.group != row.group)
    return NudgePlan(
        draft.text,
        sender,
        address=Address(chat.channel, chat.platform, row.thread),
        place=place_of(chat),
        readers=_names(central, wirings),
        engaged=_names(central, engaged),
    )


def place_of(chat: Chat) -> str:
    """A chat as a human knows it, harmless."""
    name = sanitize(chat.name, 60) or sanitize(chat.platform, 60)
    return f"{name} ({sanitize(chat.channel, 30)})"


def _refused(draft: NudgePlan, why: str, *, reword: bool = False) -> NudgePlan:
    return NudgePlan(draft.text, draft.sender, refusal=why, reword=reword)


def _text_problem(text: str) -> str:
    if not text:
        return "there is no text to send"
    if len(text) > LONGEST:
        return f"the text is longer than {LONGEST} characters"
    if not text.isprintable():
        return "the text has characters that cannot be seen"
    if text.startswith(_GATED):
        return "a text that begins with / is a command to the host, not a message"
    return ""


def _route_problem(
    central: CentralSnapshot, chat: Chat, own: Wiring | None, row: SessionRow, draft: NudgePlan
) -> str:
    if chat.denied:
        return "its chat was denied: the host drops what comes from there"
    if chat.instance and chat.instance != chat.channel:
        return (
            f"this chat belongs to the bot {sanitize(chat.instance, 40)}: a line from here would "
            "be lost"
        )
    if own is None:
        return "its agent is no longer wired to that chat"
    if own.session_mode == "agent-shared":
        return "its agent has one session for every chat: no line leads to it by address"
    if own.session_mode == "per-thread" and chat.is_group and row.thread is None:
        return "its chat has a session a thread, and this one has no thread to address"
    match _engages(own, chat, row, draft.text):
        case None:
            return (
                "whether its agent would act on the text cannot be told from its wiring "
                f"({sanitize(own.engage_mode or 'no engage mode', 40)})"
            )
        case False:
            return _never_engages(own)
    return _admission_problem(central, chat, own, draft.sender)


def _never_engages(own: Wiring) -> str:
    kept = " and would only keep the text as context" if own.ignored_policy == "accumulate" else ""
    if own.engage_mode == "mention":
        return f"its agent acts on mentions alone, which this way cannot carry{kept}"
    if own.engage_mode == "mention-sticky":
        return f"its agent acts on mentions, and in threads it knows; this is none of them{kept}"
    pattern = sanitize(own.engage_pattern or "", 60)
    return f"its agent acts on texts that match its pattern {pattern}, and this does not{kept}"


def _admission_problem(central: CentralSnapshot, chat: Chat, own: Wiring, sender: str) -> str:
    open_door = chat.policy == "public" and own.sender_scope != "known"
    if open_door:
        return ""
    if not central.users_known:
        return "whether the sender would be admitted is not known"
    users = central.known_users
    if (sender, "") in users or (sender, own.group) in users:
        return ""
    return (
        f"its chat does not admit the sender {sanitize(sender, 60)}:"
        " it would be counted as dropped, "
        "or ask an admin"
    )


def _engages(wiring: Wiring, chat: Chat, row: SessionRow, text: str) -> bool | None:
    """Whether this wiring acts on the text; None where that cannot be told."""
    match wiring.engage_mode:
        case "pattern":
            return matches(wiring.engage_pattern, text)
        case "mention":
            return False
        case "mention-sticky":
            known = wiring.group == row.group and chat.is_group and row.thread is not None
            return known or (None if wiring.group != row.group else False)
    return None


def matches(pattern: str | None, text: str) -> bool | None:
    """Whether the host's regular expression finds something in `text`.

    None where it cannot be told: only patterns without groups and with at most two repeats are
    tried, which mean the same in both languages and end in time.
    """
    if pattern is None:
        return None
    if pattern == ".":
        return bool(text)
    if len(pattern) > 200 or not _JUDGEABLE.fullmatch(pattern):
        return None
    if len(re.findall(r"(?<!\\)[*+?]", pattern)) > _MOST_REPEATS:
        return None
    try:
        return re.search(pattern, text, re.ASCII) is not None
    except re.error:
        return None


def _names(central: CentralSnapshot, wirings: Sequence[Wiring]) -> tuple[str, ...]:
    names = (central.groups.get(one.group, one.group) for one in wirings)
    return tuple(dict.fromkeys(sanitize(name, 60) for name in names))
