"""Tokens and cost, where an agent's file tells them (upstream/nanoclaw: Tokens and cost)."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.files.bounded import DocumentLimits, UnfitError, parse_json
from services.lazy_dataclass import dataclass
from services.queues.bounds import STRIDE
from services.queues.readonly import OpenFile
from services.queues.schema import FileSchema
from services.queues.values import text

TABLE = "token_usage_log"
COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
_COST = "cost_usd"
_LARGEST = 1e15
_VALUE = 4096
_LIMITS = DocumentLimits(depth=4, size=_VALUE, values=64, key=64)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What was used, as the agent's own side reports it; None: it reported nothing."""

    input: float | None = None
    """Tokens read that no cache had."""
    output: float | None = None
    cache_read: float | None = None
    cache_creation: float | None = None
    cost_usd: float | None = None
    turns: int | None = None
    uncosted: int = 0
    """Turns, or in a sum sessions, whose cost was not reported."""
    recent: bool = False
    """Only of the turns that are still in the log, not of the whole life."""

    @property
    def read(self) -> float | None:
        """Every token that was read, cached or not."""
        return _sum((self.input, self.cache_read, self.cache_creation))

    @property
    def known(self) -> bool:
        """Whether anything at all was reported."""
        return any(one is not None for one in (self.read, self.output, self.cost_usd))


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """One session's use."""

    total: TokenUsage
    last: TokenUsage | None = None
    """Its newest turn; None where there is no log of turns."""


def total(every: Iterable[TokenUsage]) -> TokenUsage:
    """The sum of sessions; `uncosted` counts those whose cost is not, or not wholly, reported."""
    some = list(every)
    turns = [one.turns for one in some if one.turns is not None]
    return TokenUsage(
        input=_sum(one.input for one in some),
        output=_sum(one.output for one in some),
        cache_read=_sum(one.cache_read for one in some),
        cache_creation=_sum(one.cache_creation for one in some),
        cost_usd=_sum(one.cost_usd for one in some),
        turns=sum(turns) if turns else None,
        uncosted=sum(one.cost_usd is None or one.uncosted > 0 for one in some),
        recent=any(one.recent for one in some),
    )


def read_usage(db: OpenFile, shape: FileSchema) -> SessionUsage | None:
    """What the file says of one session; None where it has neither table nor key, or no word.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    try:
        life = _read_life(db, shape)
        recent, last = _read_log(db, shape)
    except sqlite3.Error as error:
        # No release has these yet: another shape, or a cell too large, is nothing reported.
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG):
            return None
        raise
    whole = life if life is not None and life.known else recent
    if whole is None or not (whole.known or whole.turns):
        return None
    if whole is life and recent is not None and recent.uncosted:
        whole = replace(whole, uncosted=recent.uncosted)
    return SessionUsage(whole, last)


def _read_life(db: OpenFile, shape: FileSchema) -> TokenUsage | None:
    if not shape.has("session_state"):
        return None
    rows = db.fetch(
        f"SELECT substr(value, 1, {_VALUE}) FROM session_state WHERE key = 'token_usage'"  # noqa: S608
    )
    for row in rows:
        try:
            told = parse_json(text(row[0]), _LIMITS)
        except UnfitError:
            return None
        if isinstance(told, dict):
            turns = _amount(told.get("turns"))
            return _usage(told, None if turns is None else int(turns))
    return None


def _read_log(db: OpenFile, shape: FileSchema) -> tuple[TokenUsage | None, TokenUsage | None]:
    """The sum over the turns in the log, and the newest of them."""
    if not shape.has(TABLE):
        return None, None
    names = (*COUNTS, _COST)
    cells = ", ".join(f"{shape.column(TABLE, name, 'NULL')} AS {name}" for name in names)
    newest = f"SELECT {cells} FROM {TABLE} ORDER BY rowid DESC LIMIT {STRIDE}"  # noqa: S608
    # What is no number of a sane size was not reported.
    sums = ", ".join(
        f"total(CASE WHEN {_is_amount(name)} THEN {name} END), total({_is_amount(name)})"
        for name in names
    )
    rows = db.fetch(f"SELECT count(*), {sums} FROM ({newest})")  # noqa: S608
    turns = int(rows[0][0])
    if not turns:
        return None, None
    summed = {
        name: rows[0][1 + 2 * at] if rows[0][2 + 2 * at] else None for at, name in enumerate(names)
    }
    costed = int(rows[0][2 * len(names)])
    last = db.fetch(f"{newest.rsplit(' ', 1)[0]} 1")
    return (
        _usage(summed, turns, uncosted=turns - costed, recent=True),
        _usage(dict(zip(names, tuple(last[0]), strict=True)), 1) if last else None,
    )


def _is_amount(name: str) -> str:
    return f"(typeof({name}) IN ('integer', 'real') AND {name} BETWEEN 0 AND {_LARGEST:.0f})"


def _usage(
    told: Mapping[str, object], turns: int | None, *, uncosted: int = 0, recent: bool = False
) -> TokenUsage:
    first, second, third, fourth = (_amount(told.get(name)) for name in COUNTS)
    cost = _amount(told.get(_COST))
    return TokenUsage(first, second, third, fourth, cost, turns, uncosted, recent)


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= _LARGEST * STRIDE else None


def _sum(some: Iterable[float | None]) -> float | None:
    every = [one for one in some if one is not None]
    return sum(every) if every else None
