"""What is said of tokens and cost, for a session and for an install.

See upstream/nanoclaw: Tokens and cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.models import Facts
from services.queues.facts import Survey
from services.queues.usage import SessionUsage, TokenUsage, total
from services.sources.nanoclaw.containers import SessionKey
from services.text.format import plural, size
from services.text.sanitize import sanitize

_GROUPS_SHOWN = 8
_NOT_REPORTED = "not reported"


def session_facts(usage: SessionUsage | None) -> Facts:
    """Lines of a session's details; none where its file says nothing."""
    if usage is None:
        return ()
    whole = usage.total
    turns = plural(whole.turns, "turn") if whole.turns is not None else ""
    if turns and whole.recent:
        turns = f"only of the last {turns}" if whole.turns != 1 else "only of the last turn"
    rows = [("tokens", ", ".join(filter(None, (_tokens(whole), turns))))]
    missing = f"; {plural(whole.uncosted, 'turn')} {_NOT_REPORTED}" if whole.uncosted else ""
    rows.append(("cost", _cost(whole, missing)))
    if usage.last is not None:
        last = usage.last
        cost = _NOT_REPORTED if last.cost_usd is None else _dollars(last.cost_usd)
        rows.append(("last turn", f"{_tokens(last)}, cost {cost}"))
    return tuple(rows)


def install_facts(
    surveys: Iterable[tuple[SessionKey, Survey]], groups: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Lines of the host's details: totals, and the groups that cost most; `groups`: id to name."""
    by_group: dict[str, list[TokenUsage]] = {}
    sessions = unread = 0
    for (group, _), survey in surveys:
        sessions += 1
        unread += survey.facts.unread
        if survey.usage is not None:
            by_group.setdefault(group, []).append(survey.usage.total)
    if not by_group:
        return []
    every = [one for some in by_group.values() for one in some]
    told = f"{len(every)} of {plural(sessions, 'session')} report them"
    if unread:
        told = f"{told}, {unread} not read"
    whole = total(every)
    rows = [("tokens", f"{_tokens(whole)}: {told}")]
    rows.append(("cost", _cost(whole, _unreported(whole))))
    sums = [(group, total(some)) for group, some in by_group.items()]
    sums.sort(key=lambda one: (-(one[1].cost_usd or 0.0), -(one[1].read or 0.0), one[0]))
    if len(sums) > 1:
        for group, spent in sums[:_GROUPS_SHOWN]:
            name = sanitize(groups.get(group, ""), 40) or sanitize(group, 40)
            rows.append(
                (f"cost of {name}", f"{_cost(spent, _unreported(spent))}; {_tokens(spent)}")
            )
    if len(sums) > _GROUPS_SHOWN:
        rows.append(("cost of others", f"{plural(len(sums) - _GROUPS_SHOWN, 'group')} more"))
    return rows


def _unreported(spent: TokenUsage) -> str:
    if not spent.uncosted:
        return ""
    return f"; {plural(spent.uncosted, 'session')} not, or not wholly, reported"


def _cost(spent: TokenUsage, missing: str) -> str:
    if spent.cost_usd is None:
        return _NOT_REPORTED
    return f"{_dollars(spent.cost_usd)} as the provider reports it{missing}"


def _tokens(spent: TokenUsage) -> str:
    read, written = spent.read, spent.output
    cached = f" ({size(int(spent.cache_read))} from cache)" if spent.cache_read else ""
    first = f"read {_NOT_REPORTED}" if read is None else f"{size(int(read))} read{cached}"
    then = f"written {_NOT_REPORTED}" if written is None else f"{size(int(written))} written"
    return f"{first}, {then}"


def _dollars(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
