"""What the files of a session say about its agent, beside the messages."""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.models import Counts
from services.queues.acks import AckTracker
from services.queues.due import DueFacts
from services.queues.outbound import ToolRow
from services.queues.series import Series
from services.queues.stuck import ProcessingClaim, StuckVerdict, bash_timeout_ms, decide
from services.queues.timestamps import seconds
from services.queues.usage import SessionUsage
from services.text.sanitize import sanitize

UNCLAIMED_RESPONSE_S = 600.0
_TOOL = 60


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """The evidence about one agent; instants are seconds since the epoch."""

    observed_at: float
    heartbeat_at: float | None = None
    """When `.heartbeat` last moved; None: there is no such file."""
    claims: tuple[ProcessingClaim, ...] = ()
    """In table order; ids and stamps as the file spells them, not for showing."""
    claimed_at: float | None = None
    """When the oldest claim was made."""
    tool: str = ""
    tool_timeout_ms: float | None = None
    tool_started_at: float | None = None
    bash_ms: float | None = None
    """The declared timeout where it stretches upstream's limits.

    See upstream/nanoclaw: Stuck agents.
    """
    due: int = 0
    """The host's own due count (upstream/nanoclaw: Inbound labels)."""
    starved: bool = False
    """A due message sits behind so many others that a runner does not see it."""
    order_unknown: bool = False
    """More is due than a runner takes at once, and nothing tells in which order it does."""
    failed_at: tuple[float, ...] = ()
    """When the newest failed deliveries were given up."""
    unclaimed_response: bool = False
    """An answer nobody took in ten minutes: it wakes this session for nothing."""
    waiting: int = 0
    """Due messages nobody has answered for: what a sweep would wake the agent for."""
    waiting_since: float | None = None
    """When the oldest of those became due."""
    next_at: float | None = None
    """When the next message that is not due yet becomes due."""
    next_tries: int = 0
    """How often that one was reset before."""
    claim_tries: int = 0
    """How often the oldest claimed message was reset before."""
    newest_activity: float | None = None
    """The newest sign of life: heartbeat, claim or message of either direction."""
    problem: str = ""
    """Why the files could not be read; everything but the heartbeat is then the last good."""
    stale: bool = False
    unread: bool = False
    """The files were never read: there is nothing but the problem."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything a table of agents shows of one session, from one visit to its files."""

    facts: AgentFacts
    inbound: Counts = ()
    outbound: Counts = ()
    series: tuple[Series, ...] = ()
    usage: SessionUsage | None = None
    """Tokens and cost; None where its file says nothing of them."""


def agent_facts(
    now: float,
    acks: AckTracker,
    tool: ToolRow | None,
    due: DueFacts,
    newest_out: str | None,
    claim_tries: int = 0,
) -> AgentFacts:
    """The facts of one poll; the heartbeat is added by whoever looks at it."""
    claimed = [at for at in (seconds(c.status_changed) for c in acks.claims) if at is not None]
    waiting = seconds(due.oldest_response)
    signs = [seconds(due.newest), seconds(newest_out), *claimed]
    number = tool is not None and isinstance(tool.timeout_ms, int | float)
    return AgentFacts(
        observed_at=now,
        claims=acks.claims,
        claimed_at=min(claimed, default=None),
        tool=sanitize(tool.tool, _TOOL) if tool else "",
        tool_timeout_ms=float(str(tool.timeout_ms)) if tool and number else None,
        tool_started_at=seconds(tool.started_at) if tool else None,
        bash_ms=bash_timeout_ms(tool.tool, tool.timeout_ms) if tool else None,
        due=due.due,
        starved=due.starved,
        order_unknown=due.order_unknown,
        unclaimed_response=waiting is not None and now - waiting > UNCLAIMED_RESPONSE_S,
        waiting=due.waiting,
        waiting_since=due.waiting_since,
        next_at=due.next_at,
        next_tries=due.next_tries,
        claim_tries=claim_tries,
        newest_activity=max((sign for sign in signs if sign is not None), default=None),
    )


def verdict(facts: AgentFacts, now: float) -> StuckVerdict:
    """What upstream's sweep would do with this agent, were it running."""
    beat = None if facts.heartbeat_at is None else facts.heartbeat_at * 1000
    return decide(now * 1000, beat, facts.bash_ms, facts.claims)
