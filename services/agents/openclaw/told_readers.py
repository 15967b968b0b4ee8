"""Reads the answers and pushes of a gateway into what it told, whatever they are.

See upstream/openclaw: Following.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from services.agents.openclaw.fields import count, flag, number, seconds, table, tables, text, words
from services.agents.openclaw.told import (
    AgentInfo,
    ChannelAccount,
    Cost,
    CronJob,
    GatewayHealth,
    GatewaySummary,
    Lane,
    SavedConfig,
    SessionInfo,
    TaskInfo,
    Told,
)
from services.agents.openclaw.wire import SESSIONS, TASKS

_MOST_AGENTS, _MOST_ACCOUNTS, _MOST_JOBS, _MOST_LANES = 100, 60, 60, 40
_NEVER_SINCE_START = ("starting", "connecting")


def take(told: Told, method: str, payload: object, now: float) -> Told:
    """What is known after an answer; one that is not of its shape changes nothing."""
    read = _READERS.get(method)
    fresh = None if read is None else read(told, table(payload))
    if fresh is None:
        return told
    return replace(fresh, at=MappingProxyType({**told.at, method: now}))


def take_session(told: Told, payload: Mapping[str, Any]) -> Told | None:
    """What is known after a session changed; None where the list has to be asked anew."""
    found = _session(table(payload.get("session")))
    if found is None or told.sessions is None:
        return None
    kept = {one.key: one for one in told.sessions}
    before = kept.get(found.key)
    if before is not None and found.seen_at < before.seen_at:
        return told
    kept[found.key] = found
    newest = sorted(kept.values(), key=lambda one: -(one.updated_at or 0.0))[:SESSIONS]
    return replace(told, sessions=tuple(newest))


def forget_order(told: Told) -> Told:
    """The same for a new connection: its clock may be another one than that of the rows so far."""
    if told.sessions is None:
        return told
    return replace(told, sessions=tuple(replace(one, seen_at=0.0) for one in told.sessions))


def _channels(told: Told, fields: dict[str, Any]) -> Told | None:
    accounts = fields.get("channelAccounts")
    if not isinstance(accounts, dict):
        return None
    labels, now = table(fields.get("channelLabels")), seconds(fields.get("ts"))
    found = [
        _account(text(labels.get(channel), 40) or text(channel, 40), one, now)
        for channel, listed in accounts.items()
        for one in tables(listed, _MOST_ACCOUNTS)
    ]
    issues = fields.get("statusIssues")
    said = [one.get("message") if isinstance(one, dict) else one for one in _list(issues)]
    told_issues = tuple(filter(None, (words(one, 160) for one in said)))[:8]
    return replace(told, channels=tuple(found[:_MOST_ACCOUNTS]), issues=told_issues)


def _account(channel: str, fields: dict[str, Any], now: float | None) -> ChannelAccount:
    started, lifecycle = seconds(fields.get("lastStartAt")), text(fields.get("lifecycle"), 40)
    coming_up = lifecycle in _NEVER_SINCE_START and fields.get("connected") is False
    return ChannelAccount(
        f"{channel} ({text(fields.get('accountId'), 40) or 'default'})",
        fields.get("enabled") is True and fields.get("configured") is True,
        flag(fields.get("running")),
        flag(fields.get("connected")),
        lifecycle,
        words(fields.get("lastError"), 160),
        max(0.0, now - started) if coming_up and now and started else None,
    )


def _agents(told: Told, fields: dict[str, Any]) -> Told | None:
    if not isinstance(fields.get("agents"), list):
        return None
    found = {
        name: AgentInfo(name, text(table(one.get("model")).get("primary"), 80))
        for one in tables(fields["agents"], _MOST_AGENTS)
        if (name := text(one.get("id"), 80))
    }
    return replace(
        told, agents=tuple(found.values()), default_agent=text(fields.get("defaultId"), 80)
    )


def _sessions(told: Told, fields: dict[str, Any]) -> Told | None:
    listed = table(fields.get("list")) or fields
    if not isinstance(listed.get("sessions"), list):
        return None
    found = [_session(one) for one in tables(listed["sessions"], SESSIONS)]
    fresh = {one.key: one for one in found if one is not None}
    for one in told.sessions or ():
        if one.key in fresh and one.seen_at > fresh[one.key].seen_at:
            fresh[one.key] = one
    return replace(
        told, sessions=tuple(fresh.values()), more_sessions=listed.get("hasMore") is True
    )


def _session(fields: dict[str, Any]) -> SessionInfo | None:
    key = text(fields.get("key"), 200)
    if not key or fields.get("archived") is True:
        return None
    name = fields.get("label") or fields.get("displayName")
    tokens = fields.get("totalTokens") if fields.get("totalTokensFresh") is True else None
    return SessionInfo(
        key,
        text(fields.get("agentId"), 80),
        words(name, 80) or key.removeprefix("agent:").partition(":")[2] or key,
        text(fields.get("classification"), 30),
        fields.get("hasActiveRun") is True or bool(fields.get("activeRunIds")),
        text(fields.get("status"), 30),
        words(fields.get("lastRunError")),
        "/".join(filter(None, (text(fields.get(one), 60) for one in ("modelProvider", "model")))),
        count(tokens) if isinstance(tokens, int) else None,
        number(fields.get("estimatedCostUsd")),
        seconds(fields.get("updatedAt")),
        seconds(fields.get("snapshotAt")) or 0.0,
    )


def _tasks(told: Told, fields: dict[str, Any]) -> Told | None:
    if not isinstance(fields.get("tasks"), list):
        return None
    found = [
        TaskInfo(
            text(one.get("id"), 120),
            text(one.get("agentId"), 80),
            words(one.get("title"), 120),
            text(one.get("status"), 30),
            text(one.get("runtime"), 30),
            words(one.get("error")),
            text(one.get("deliveryStatus"), 30),
            seconds(one.get("createdAt")),
            seconds(one.get("startedAt")),
            seconds(one.get("endedAt")),
            text(one.get("childSessionKey"), 200) or text(one.get("sessionKey"), 200),
        )
        for one in tables(fields["tasks"], TASKS)
    ]
    return replace(told, tasks=tuple(one for one in found if one.id))


def _jobs(told: Told, fields: dict[str, Any]) -> Told | None:
    if not isinstance(fields.get("jobs"), list):
        return None
    return replace(told, jobs=tuple(_job(one) for one in tables(fields["jobs"], _MOST_JOBS)))


def _job(fields: dict[str, Any]) -> CronJob:
    state = table(fields.get("state"))
    return CronJob(
        text(fields.get("id"), 80),
        words(fields.get("displayName") or fields.get("name"), 80),
        text(fields.get("effectiveAgentId") or fields.get("agentId"), 80),
        fields.get("enabled") is True,
        bool(fields.get("declarationKey")),
        seconds(state.get("nextRunAtMs")),
        seconds(state.get("lastRunAtMs")),
        text(state.get("lastRunStatus"), 30),
        words(state.get("lastError")),
        text(state.get("lastDeliveryStatus"), 30),
        words(state.get("lastDeliveryError")),
    )


def _lanes(told: Told, fields: dict[str, Any]) -> Told | None:
    if not isinstance(fields.get("lanes"), list):
        return None
    found = [
        Lane(
            text(one.get("lane"), 40),
            count(one.get("queuedCount")),
            count(one.get("activeCount")),
            count(one.get("maxConcurrent")),
            words(one.get("blockedBy"), 60),
        )
        for one in tables(fields["lanes"], _MOST_LANES)
    ]
    return replace(told, lanes=tuple(found))


def _summary(told: Told, fields: dict[str, Any]) -> Told | None:
    if not fields:
        return None
    codes = table(table(fields.get("taskAudit")).get("byCode"))
    degraded = [
        text(one.get("id") or one.get("name"), 60) if isinstance(one, dict) else text(one, 60)
        for key in ("degradedPlugins", "degradedSecretOwners")
        for one in _list(fields.get(key))
    ]
    return replace(
        told,
        summary=GatewaySummary(
            tuple((text(code, 40), n) for code, value in codes.items() if (n := count(value)))[:12],
            tuple(filter(None, degraded))[:12],
            table(fields.get("modelRuntime")).get("degraded") is True,
            count(table(fields.get("processMemory")).get("rssBytes")),
        ),
    )


def _health(told: Told, fields: dict[str, Any]) -> Told | None:
    plugins = fields.get("plugins")
    if not isinstance(plugins, dict):
        return None
    broken = [
        text(one.get("id") or one.get("name"), 60) if isinstance(one, dict) else text(one, 60)
        for one in _list(plugins.get("errors"))
    ]
    reloads = text(table(fields.get("configReload")).get("hotReloadStatus"), 40)
    return replace(told, health=GatewayHealth(tuple(filter(None, broken))[:12], reloads))


def _saved(told: Told, fields: dict[str, Any]) -> Told | None:
    valid = flag(fields.get("valid"))
    if valid is None:
        return None
    issues = tables(fields.get("issues"), 5)
    said = (f"{words(one.get('path'), 80)}: {words(one.get('message'), 160)}" for one in issues)
    saved, applied = (fields.get(key) for key in ("configRevisionHash", "appliedConfigHash"))
    # Where either is not told, nothing says that they differ.
    same = not (isinstance(saved, str) and isinstance(applied, str)) or saved == applied
    issues_told = tuple(one.removeprefix(": ") for one in said)
    return replace(told, saved=SavedConfig(valid, issues_told, valid and same))


def _cost(told: Told, fields: dict[str, Any]) -> Told | None:
    totals, daily = table(fields.get("totals")), tables(fields.get("daily"), 400)
    total = number(totals.get("totalCost"))
    if total is None:
        return None
    today = number(daily[-1].get("totalCost")) if daily else None
    missing = count(totals.get("missingCostEntries"))
    return replace(told, cost=Cost(total, count(fields.get("days")), today, missing))


def _identity(told: Told, fields: dict[str, Any]) -> Told | None:
    return replace(told, device=text(fields.get("deviceId"), 64))


def _list(value: object) -> list[Any]:
    return value[:60] if isinstance(value, list) else []


_READERS: Mapping[str, Callable[[Told, dict[str, Any]], Told | None]] = MappingProxyType(
    {
        "channels.status": _channels,
        "agents.list": _agents,
        "sessions.subscribe": _sessions,
        "sessions.list": _sessions,
        "tasks.list": _tasks,
        "cron.list": _jobs,
        "diagnostics.lanes": _lanes,
        "status": _summary,
        "health": _health,
        "config.get": _saved,
        "usage.cost": _cost,
        "gateway.identity.get": _identity,
    }
)
