"""Joins of what was seen at different moments: held until both parts are newer.

See upstream/nanoclaw: Container and host state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from services.queues.timestamps import seconds
from services.sources.nanoclaw.client import NoAnswer
from services.sources.nanoclaw.containers import AgentContainer, Listing
from services.sources.nanoclaw.host_log import StartFailure
from services.sources.nanoclaw.install import Install
from services.sources.nanoclaw.judge import CONTAINER_GONE_S
from services.sources.nanoclaw.tracked import PollContext, TrackedSession
from services.text.format import plural

HOLD_S = 5.0
"""Two looks so far apart make of a row and a list that disagree more than a moment."""
_YOUNG_S = 6.0
_ALIVE = ("running", "idle")
_UNNAMED = re.compile(r"[^A-Za-z0-9_.-]")


class ListBelief:
    """Whether empty lists of one runtime are believed."""

    def __init__(self) -> None:
        self._first_listed = False
        """Whether this runtime ever gave a list that nothing contradicted."""
        self._empty_since: float | None = None
        """Since when every list was empty."""
        self._moved_at: float | None = None
        """The first heartbeat after that."""

    def check(self, listing: Listing, beats: Sequence[float], now: float) -> Listing:
        """The listing, unless it is empty beside agents that live: then another daemon answers.

        Heartbeats that move on while lists stay empty contradict them. So do, where this runtime
        never listed anything, a young one or two sessions that should run.
        """
        if not listing.known or listing.containers:
            self._empty_since = self._moved_at = None
            self._first_listed = self._first_listed or listing.known
            return listing
        newest = max(beats, default=0.0)
        if self._empty_since is None:
            self._empty_since = listing.at
        if self._moved_at is None and newest > self._empty_since:
            self._moved_at = newest
        moved = self._moved_at
        moving = moved is not None and newest > moved and listing.at >= moved + HOLD_S
        alive = sum(1 for at in beats if now - at < CONTAINER_GONE_S)
        at_once = not self._first_listed and (now - newest < _YOUNG_S or alive > 1)
        if not at_once:
            self._first_listed = True
        if moving or at_once:
            what = plural(len(beats), "agent")
            return replace(
                listing,
                problem=f"docker lists no container while {what} should run and heartbeats are "
                "younger than that: another daemon or context answers",
            )
        return listing


def is_alive(context: PollContext, one: TrackedSession) -> bool | None:
    """Whether a container of it runs; None: not known, or one list against a row that says so."""
    row = context.rows.get(one.session_key)
    if not context.listing.known:
        return False if row is not None and row.container == "stopped" else None
    if one.session_key in context.listing.by_session:
        return True
    said = row is not None and row.container in _ALIVE and not _host_is_gone(context)
    return None if said and (one.contradiction != "row" or one.held) else False


def hold(context: PollContext, one: TrackedSession, beat: float | None, now: float) -> bool:
    """Whether row and list disagree, and both were not yet looked at again; kept in `one.held`."""
    one.held = _holds(context, one, beat, now)
    return one.held


def _holds(context: PollContext, one: TrackedSession, beat: float | None, now: float) -> bool:
    row, listing = context.rows.get(one.session_key), context.listing
    kind = ""
    if row is not None and context.seen.known and listing.known:
        said = row.container in _ALIVE
        if said != (one.session_key in listing.by_session):
            kind = "row" if said else "list"
    if kind != one.contradiction:
        one.contradiction, one.contradicted_at = kind, now
    # Nobody writes the row of a host that is gone: it stays as it is.
    if not kind or _host_is_gone(context):
        return False
    if kind == "row" and row is not None:
        signs = (beat, seconds(row.last_active))
        if all(at is None or now - at > CONTAINER_GONE_S for at in signs):
            return False
    again = one.contradicted_at + HOLD_S
    return not (listing.at >= again and context.seen.at >= again)


def _host_is_gone(context: PollContext) -> bool:
    return context.host.no_answer in (NoAnswer.ABSENT, NoAnswer.REFUSED)


def trouble_of(context: PollContext, install: Install, session: str) -> StartFailure | None:
    """Why its last start failed: told of the session, or of its container by name."""
    found = context.troubles.get(session)
    named = context.troubles.get(container_name(install, session))
    if found is None or named is None:
        return found or named
    return found if found.at >= named.at else named


def container_name(install: Install, session: str) -> str:
    """What a newer host calls a session's container (upstream/nanoclaw: Containers)."""
    return f"ncl-{install.slug}-{_UNNAMED.sub('-', session)}"


def watch(one: TrackedSession, container: AgentContainer | None, now: float) -> float | None:
    """Since when its container has been seen here."""
    if container is None:
        one.container = ""
        return None
    if one.container != container.id:
        one.container, one.watched_at = container.id, now
    return one.watched_at
