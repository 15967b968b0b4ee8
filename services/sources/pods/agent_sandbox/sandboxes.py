"""The sandboxes of a cluster beside its pods: each look's rows, with the pods folded into them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf

from services.clock import Clock
from services.config.sources import KubernetesTable
from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.models import (
    Event,
    Facts,
    Gateway,
    GatewayId,
    Sandbox,
    SandboxId,
    SandboxState,
    Unknown,
    UnknownWord,
    seen_again,
)
from services.net.http import Http
from services.sources.pods.agent_sandbox.backing import OwnedPods, backing_pod, owned_pods
from services.sources.pods.agent_sandbox.controller import NAME, Controller
from services.sources.pods.agent_sandbox.inventory import Inventory, Stock
from services.sources.pods.agent_sandbox.judge import is_contradicted, judge
from services.sources.pods.agent_sandbox.judgement import Evidence
from services.sources.pods.agent_sandbox.records import SandboxResource
from services.sources.pods.agent_sandbox.rows import (
    Placed,
    native_id,
    past_events,
    pool_row,
    to_row,
)
from services.sources.pods.joined import Joined, PodsLook
from services.sources.pods.judge import judge as judge_pod
from services.sources.pods.pod import Pod

_STEADY = frozenset(
    {SandboxState.READY, SandboxState.BROKEN, SandboxState.ASLEEP, SandboxState.DOWN}
)
"""States that the passing of time changes only at an instant that is told."""
_AT_ONCE = 250
"""Rows made before giving way: thousands of sandboxes hold up no key."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A row, and all that it was made of."""

    sandbox: SandboxResource
    pods: tuple[Pod, ...]
    claim: str
    """The claim that names it."""
    row: Sandbox
    lapses: float
    """When the row has to be made anew at the latest (epoch)."""
    word: str


class Sandboxes:
    """Looks at them over the connection of the pods; joins them to the pods of a look."""

    def __init__(self, source: str, table: KubernetesTable, clock: Clock) -> None:
        self._source = source
        self._table = table
        self._clock = clock
        self._http: Http | None = None
        self._inventory: Inventory | None = None
        self._controller: Controller | None = None
        self._known: dict[str, _Known] = {}
        self._outdated: dict[str, tuple[int, float]] = {}
        self._contradicted: dict[str, float] = {}
        self._past_told = False
        self._strays: frozenset[str] = frozenset()
        """Pods of sandboxes unknown at the last look."""
        self._bare: frozenset[str] = frozenset()
        """Those of them that got a row of their own."""

    async def join(self, look: PodsLook, limit_s: float) -> Joined:
        """What there is now; nothing where agent-sandbox is not installed."""
        inventory, controller = await self._opened(look.http, look.places)
        stock = await inventory.look(limit_s)
        if not stock.installed:
            return Joined()
        owned = owned_pods(look.pods, stock.sandboxes.values())
        keeper = GatewayId(self._source, f"{look.front.native_id}/{NAME}")
        rows = await self._rows(look, inventory, stock, owned, keeper)
        lost: tuple[tuple[GatewayId | None, Unknown[Sandbox]], ...] = ()
        if stock.problem:
            lost = ((keeper, Unknown(stock.problem, coming=stock.listing)),)
        words = sorted({one.word for one in self._known.values() if one.word})
        return Joined(
            owned.names | self._held_back(owned, stock),
            (
                await self._controller_row(controller, keeper, stock, look.now),
                *(pool_row(one, self._source, look.now) for one in stock.pools.values()),
            ),
            rows,
            lost,
            frozenset(SandboxId(self._source, native_id(name)) for name in stock.deleted),
            tuple(UnknownWord(self._source, "Sandbox", word) for word in words),
            self._past(rows, stock, look.now),
        )

    async def version(self, http: Http) -> str:
        """The version sandboxes are spoken of in over this connection.

        Raises:
            NotFoundError: agent-sandbox is not installed.
            UnavailableError: that could not be learned.
        """
        if self._inventory is not None and self._http is http:
            return await self._inventory.version()
        return await Inventory(http, (), (), self._clock).version()

    async def more(self) -> str:
        """As `LongLists`."""
        return "" if self._inventory is None else await self._inventory.more()

    async def close(self) -> None:
        """Stop watching; idempotent."""
        inventory, self._inventory, self._controller = self._inventory, None, None
        self._known, self._outdated, self._contradicted = {}, {}, {}
        self._strays = self._bare = frozenset()
        self._past_told = False
        if inventory is not None:
            await inventory.close()

    async def _opened(self, http: Http, places: tuple[str, ...]) -> tuple[Inventory, Controller]:
        """What looks over this connection; another connection begins anew."""
        inventory, controller = self._inventory, self._controller
        if inventory is None or controller is None or self._http is not http:
            await self.close()
            selector = self._table.selector
            selection = (("labelSelector", selector),) if selector else ()
            inventory = Inventory(http, places, selection, self._clock)
            controller = Controller(http, self._table.controller_namespace, self._clock)
            self._http, self._inventory, self._controller = http, inventory, controller
        return inventory, controller

    async def _controller_row(
        self, controller: Controller, keeper: GatewayId, stock: Stock, now: float
    ) -> Gateway:
        number = len(stock.sandboxes)
        facts: Facts = (
            ("version", stock.version or "unknown"),
            ("sandboxes", stock.problem or f"{number} watched"),
            *stock.asides,
        )
        try:
            seen = await controller.look()
        except UnavailableError as error:
            return controller.unread(error, keeper, now, facts)
        return controller.row(seen, keeper, now, facts)

    async def _rows(
        self,
        look: PodsLook,
        inventory: Inventory,
        stock: Stock,
        owned: OwnedPods,
        keeper: GatewayId,
    ) -> tuple[Sandbox, ...]:
        """A row for each sandbox; what did not change is not judged again."""
        known, claims, by_uid = self._known, _claim_names(stock), owned.by_uid
        sandboxes = dict(stock.sandboxes)
        all_seen_at = inventory.all_seen_at(look.now)
        rows: list[Sandbox] = []
        for number, (name, sandbox) in enumerate(sandboxes.items(), 1):
            claim = claims.get(name, "") if claims else ""
            pods = by_uid.get(sandbox.metadata.uid, ())
            seen_at = inventory.seen_at(name, look.now) if all_seen_at is None else all_seen_at
            before = known.get(name)
            if (
                before is not None
                and before.sandbox is sandbox
                and before.pods == pods
                and before.claim == claim
                and look.now < before.lapses
            ):
                row = seen_again(before.row, seen_at)
            else:
                row = self._judge_row(name, sandbox, pods, claim, look, keeper)
                row = row if seen_at == look.now else seen_again(row, seen_at)
            rows.append(row)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        for kept in (self._known, self._outdated, self._contradicted):
            for key in kept.keys() - sandboxes.keys():
                kept.pop(key)
        return tuple(rows)

    def _past(self, rows: tuple[Sandbox, ...], stock: Stock, now: float) -> tuple[Event, ...]:
        """Once, as soon as all are listed."""
        if self._past_told or stock.problem:
            return ()
        self._past_told = True
        return past_events(rows, now)

    def _held_back(self, owned: OwnedPods, stock: Stock) -> frozenset[str]:
        """Pods that wait for their sandbox: it may be on the next page, or a moment behind."""
        strays = owned.strays
        held = strays if stock.listing else strays - self._strays
        held -= self._bare
        self._strays, self._bare = strays, strays - held
        return held

    def _judge_row(
        self,
        name: str,
        sandbox: SandboxResource,
        pods: tuple[Pod, ...],
        claim: str,
        look: PodsLook,
        keeper: GatewayId,
    ) -> Sandbox:
        now = look.now
        pod = backing_pod(sandbox, pods)
        judged = None if pod is None else judge_pod(pod, now)
        evidence = Evidence(sandbox, pod, pod_judged=judged)
        evidence = replace(
            evidence,
            outdated_since=self._outdated_since(name, evidence, now),
            contradicted_since=self._contradicted_since(name, evidence, look),
        )
        found = judge(evidence, now)
        names = tuple(one.metadata.name for one in pods)
        placed = Placed(sandbox, evidence.pod, names, claim or _claim_by_owner(sandbox))
        row = to_row(
            placed, found, source=self._source, front=look.front, controller=keeper, now=now
        )
        lapses = _lapses(row, evidence)
        self._known[name] = _Known(sandbox, pods, claim, row, lapses, found.unknown_word)
        return row

    def _outdated_since(self, name: str, evidence: Evidence, now: float) -> float | None:
        if not evidence.outdated:
            self._outdated.pop(name, None)
            return None
        wish = evidence.sandbox.metadata.generation
        seen = self._outdated.get(name)
        if seen is None or seen[0] != wish:
            seen = self._outdated[name] = (wish, now)
        return seen[1]

    def _contradicted_since(self, name: str, evidence: Evidence, look: PodsLook) -> float | None:
        """Where not all pods are listed, one that is not seen proves nothing."""
        listed = look.whole and not self._table.selector
        unseen = evidence.pod is None and not listed
        if unseen or not is_contradicted(evidence, look.now):
            self._contradicted.pop(name, None)
            return None
        return self._contradicted.setdefault(name, look.now)


def _lapses(row: Sandbox, evidence: Evidence) -> float:
    """Until when a row is as it would be made anew, its age aside; at once where it counts time."""
    counts = evidence.contradicted_since is not None or evidence.sandbox.spec.shutdown_time
    if row.state not in _STEADY or counts:
        return 0.0
    return inf if row.until is None else row.until


def _claim_names(stock: Stock) -> dict[str, str]:
    """The claim of each sandbox that has one of another name, by the sandbox's key."""
    found = {}
    for claim in stock.claims.values():
        taken = claim.status.sandbox
        if taken is not None and taken.name and taken.name != claim.metadata.name:
            found[f"{claim.metadata.namespace}/{taken.name}"] = claim.metadata.name
    return found


def _claim_by_owner(sandbox: SandboxResource) -> str:
    """The claim that controls it, where that has another name."""
    owner = sandbox.owner
    if owner is None or owner.kind != "SandboxClaim" or owner.name == sandbox.metadata.name:
        return ""
    return owner.name
