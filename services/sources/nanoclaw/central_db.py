"""What the central DB says: sessions, groups, chats, wirings, and what waits for a human."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.queues.tables import Record
from services.queues.timestamps import seconds
from services.sources.nanoclaw import coordination
from services.sources.nanoclaw.coordination import Coordination

TABLES: Mapping[str, tuple[str, ...]] = {
    "sessions": (
        "id",
        "agent_group_id",
        "messaging_group_id",
        "thread_id",
        "status",
        "container_status",
        "last_active",
    ),
    "agent_groups": ("id", "name", "folder"),
    "messaging_groups": (
        "id",
        "channel_type",
        "platform_id",
        "name",
        "is_group",
        "unknown_sender_policy",
        "denied_at",
        "instance",
    ),
    "messaging_group_agents": (
        "messaging_group_id",
        "agent_group_id",
        "session_mode",
        "engage_mode",
        "engage_pattern",
        "sender_scope",
        "ignored_message_policy",
    ),
    "container_configs": ("agent_group_id", "provider", "model", "max_messages_per_prompt"),
    "pending_questions": ("question_id", "session_id", "title", "created_at"),
    "pending_approvals": (
        "approval_id",
        "session_id",
        "agent_group_id",
        "action",
        "title",
        "status",
        "created_at",
        "expires_at",
        "approver_user_id",
    ),
    **coordination.TABLES,
    "pending_sender_approvals": (
        "id",
        "messaging_group_id",
        "agent_group_id",
        "sender_name",
        "sender_identity",
        "created_at",
    ),
    "pending_channel_approvals": ("messaging_group_id", "agent_group_id", "created_at"),
    "unregistered_senders": ("messaging_group_id", "agent_group_id", "message_count"),
    "user_roles": ("user_id", "role", "agent_group_id"),
    "agent_group_members": ("user_id", "agent_group_id"),
}
"""What is read of each table; contents of messages never are.

See upstream/nanoclaw: Central database.
"""

TASKS = "system:tasks:"
"""Begins the thread of a session that is one series of tasks."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One row of `sessions`; text as the DB has it."""

    id: str
    group: str
    chat: str | None = None
    thread: str | None = None
    status: str = "active"
    container: str = "stopped"
    """A claim, not a fact: it survives the host that made it. Empty where it is not told."""
    last_active: str | None = None

    @property
    def task(self) -> str:
        """The series whose own session this is, as the file spells it; empty for a chat."""
        thread = self.thread or ""
        return thread.removeprefix(TASKS) if thread.startswith(TASKS) else ""


@dataclass(frozen=True, slots=True)
class Chat:
    """One row of `messaging_groups`."""

    id: str
    channel: str
    platform: str
    name: str
    is_group: bool
    policy: str
    denied: bool
    instance: str = ""
    """Which of several bots on that channel; the channel's name, or empty, for the only one."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """One row of `messaging_group_agents`: every engage column may be NULL."""

    chat: str
    group: str
    session_mode: str
    engage_mode: str | None
    engage_pattern: str | None
    sender_scope: str | None
    ignored_policy: str | None


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """Something that waits for a human; rows go when it is decided."""

    what: str
    """`question`, `approval`, `sender` or `channel`."""
    title: str
    session: str | None = None
    group: str | None = None
    since: str | None = None
    note: str = ""
    """What more there is to know of it; not of its title."""
    until: str | None = None
    """When it expires."""


@dataclass(frozen=True, slots=True)
class CentralSnapshot:
    """The central DB at one instant; text as the DB has it, never harmless yet."""

    sessions: tuple[SessionRow, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    """Id to name."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """Id to the name of its folder below `groups/`."""
    chats: Mapping[str, Chat] = field(default_factory=dict)
    wirings: tuple[Wiring, ...] = ()
    configured: frozenset[str] | None = None
    """Groups with a container config; None where nobody said."""
    prefetch: Mapping[str, int] = field(default_factory=dict)
    """Group to how many messages its runner looks at."""
    waiting: tuple[PendingRequest, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Chat to messages of unknown senders that were dropped."""
    known_users: frozenset[tuple[str, str]] = frozenset()
    """(user, group) pairs; the group is empty for owners and global admins."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Group to provider and model, where its config names one."""
    claims: Mapping[str, float] = field(default_factory=dict)
    """Session to when a host began to say that it runs it."""
    host_started_at: float | None = None
    """When the newest host that has not stopped was started, as it says."""
    orders: Coordination = field(default_factory=Coordination)
    """What hosts of newer generations write down for each other."""
    users_known: bool = True
    """False where the users could not be read."""


def compose(
    tables: Mapping[str, list[Record]], sessions: Iterable[SessionRow] | None = None
) -> CentralSnapshot:
    """The tables as one value; `sessions` where those are known already."""
    if sessions is None:
        sessions = map(session_row, tables.get("sessions", []))
    groups = [row for row in tables.get("agent_groups", []) if row.get("id") is not None]
    configs = tables.get("container_configs", [])
    return CentralSnapshot(
        sessions=tuple([row for row in sessions if row.id]),
        groups={_text(row.get("id")): _text(row.get("name")) for row in groups},
        folders={_text(row.get("id")): _text(row.get("folder")) for row in groups},
        chats={_text(r.get("id")): chat(r) for r in tables.get("messaging_groups", [])},
        wirings=tuple(wiring(row) for row in tables.get("messaging_group_agents", [])),
        configured=(
            frozenset(_text(row.get("agent_group_id")) for row in configs)
            if "container_configs" in tables
            else None
        ),
        prefetch={
            _text(row.get("agent_group_id")): count
            for row in configs
            if isinstance(count := row.get("max_messages_per_prompt"), int) and count > 0
        },
        waiting=_waiting(tables),
        dropped=_dropped(tables.get("unregistered_senders", [])),
        known_users=_known(tables),
        models={
            _text(row.get("agent_group_id")): named
            for row in configs
            if (named := " ".join(filter(None, (_text(row.get(k)) for k in ("provider", "model")))))
        },
        claims={
            _text(row.get("session_id")): at
            for row in tables.get("session_claims", [])
            if row.get("claimed_by") is not None
            and (at := seconds(row.get("claimed_at"))) is not None
        },
        host_started_at=max(
            (
                at
                for row in tables.get("host_instances", [])
                if row.get("stopped_at") is None
                and (at := seconds(row.get("started_at"))) is not None
            ),
            default=None,
        ),
        orders=coordination.read(tables),
    )


def session_row(row: Record) -> SessionRow:
    """A `sessions` record, from the DB or from a frame."""
    return SessionRow(
        id=_text(row.get("id")),
        group=_text(row.get("agent_group_id")),
        chat=_optional(row.get("messaging_group_id")),
        thread=_optional(row.get("thread_id")),
        status=_text(row.get("status")) or "active",
        container=_text(row.get("container_status")),
        last_active=_optional(row.get("last_active")),
    )


def chat(row: Record) -> Chat:
    """A `messaging_groups` record, from the DB or from a frame."""
    return Chat(
        id=_text(row.get("id")),
        channel=_text(row.get("channel_type")),
        platform=_text(row.get("platform_id")),
        name=_text(row.get("name")),
        is_group=bool(row.get("is_group")),
        policy=_text(row.get("unknown_sender_policy")) or "strict",
        denied=row.get("denied_at") is not None,
        instance=_text(row.get("instance")),
    )


def wiring(row: Record) -> Wiring:
    """A `messaging_group_agents` record, from the DB or from a frame."""
    return Wiring(
        chat=_text(row.get("messaging_group_id")),
        group=_text(row.get("agent_group_id")),
        session_mode=_text(row.get("session_mode")) or "shared",
        engage_mode=_optional(row.get("engage_mode")),
        engage_pattern=_optional(row.get("engage_pattern")),
        sender_scope=_optional(row.get("sender_scope")),
        ignored_policy=_optional(row.get("ignored_message_policy")),
    )


def approval(row: Record) -> PendingRequest:
    """A `pending_approvals` record, from the DB or from a frame."""
    status, approver = _text(row.get("status")), row.get("approver_user_id")
    awaits_reason = status == "awaiting_reason"
    notes = [] if status in ("pending", "awaiting_reason", "") else [status[:30]]
    if approver is not None:
        notes.append(f"only {_text(approver)} can decide")
    return PendingRequest(
        "reason" if awaits_reason else "approval",
        _text(row.get("title")) or _text(row.get("action")),
        _optional(row.get("session_id")),
        _optional(row.get("agent_group_id")),
        _when(row),
        "; ".join(notes),
        _optional(row.get("expires_at")),
    )


_DECIDED = ("approved", "rejected", "expired")


def _waiting(tables: Mapping[str, list[Record]]) -> tuple[PendingRequest, ...]:
    found = [
        PendingRequest(
            "question", _text(r.get("title")), _optional(r.get("session_id")), None, _when(r)
        )
        for r in tables.get("pending_questions", [])
    ]
    found += [
        approval(row)
        for row in tables.get("pending_approvals", [])
        if _text(row.get("status")) not in _DECIDED
    ]
    for row in tables.get("pending_sender_approvals", []):
        who = _text(row.get("sender_name")) or _text(row.get("sender_identity"))
        found.append(
            PendingRequest("sender", who, None, _optional(row.get("agent_group_id")), _when(row))
        )
    for row in tables.get("pending_channel_approvals", []):
        where = _text(row.get("messaging_group_id"))
        found.append(
            PendingRequest("channel", where, None, _optional(row.get("agent_group_id")), _when(row))
        )
    return tuple(found)


def _when(row: Record) -> str | None:
    return _optional(row.get("created_at"))


def _dropped(rows: list[Record]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        count = row.get("message_count")
        if isinstance(count, int):
            place = _text(row.get("messaging_group_id"))
            found[place] = found.get(place, 0) + count
    return found


def _known(tables: Mapping[str, list[Record]]) -> frozenset[tuple[str, str]]:
    roles = (
        (_text(row.get("user_id")), _text(row.get("agent_group_id")))
        for row in tables.get("user_roles", [])
        if _text(row.get("role")) in ("owner", "admin")
    )
    members = (
        (_text(row.get("user_id")), _text(row.get("agent_group_id")))
        for row in tables.get("agent_group_members", [])
    )
    return frozenset((*roles, *members))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)
