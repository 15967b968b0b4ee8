"""Looks at a cluster whose pods may belong to `Sandbox` resources: both, each as one row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from services.clock import Clock
from services.errors import NotFoundError, SignedOutError, UnavailableError, WakedeckError
from services.logs.reader import LogRecord
from services.models import (
    Facts,
    Gateway,
    GatewayId,
    LogStream,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    Unknown,
    UnknownWord,
)
from services.sources.pods.agent_sandbox.backing import (
    Backing,
    OwnedPods,
    backing_pod,
    owned_pods,
    read_backing,
)
from services.sources.pods.agent_sandbox.controller import NAME, Controller
from services.sources.pods.agent_sandbox.inventory import Inventory, Stock
from services.sources.pods.agent_sandbox.judge import is_contradicted, judge
from services.sources.pods.agent_sandbox.judgement import Evidence, SandboxJudgement, verdict
from services.sources.pods.agent_sandbox.records import SandboxResource
from services.sources.pods.agent_sandbox.rows import (
    Placed,
    pool_row,
    required_key,
    sandbox_key,
    to_row,
)
from services.sources.pods.http import ApiError, Http
from services.sources.pods.kube_client import Kube
from services.sources.pods.kube_observer import KubeObserver, PodsLook
from services.sources.pods.pod import Pod
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind

_STEADY = frozenset(
    {SandboxState.READY, SandboxState.BROKEN, SandboxState.ASLEEP, SandboxState.DOWN}
)
"""States that the passing of time changes only at an instant that is told."""
_AT_ONCE = 250
"""Rows made before giving way: thousands of sandboxes hold up no key."""
ONE_LOOK_MORE_S = 1.0
"""Before what may pass at once is told for good."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A row, and all that it was made of."""

    sandbox: SandboxResource
    pods: tuple[Pod, ...]
    claim: str
    row: Sandbox
    contradicted: bool
    word: str


class ClusterObserver(NoQueues):
    """The pods of one context, and its sandboxes where agent-sandbox is installed."""

    def __init__(self, pods: KubeObserver, kube: Kube, clock: Clock) -> None:
        super().__init__("Pods have no queues.")
        self.info: Source = pods.info
        self._pods = pods
        self._kube = kube
        self._clock = clock
        self._http: Http | None = None
        self._inventory: Inventory | None = None
        self._controller: Controller | None = None
        self._known: dict[str, _Known] = {}
        self._outdated: dict[str, tuple[int, float]] = {}
        self._contradicted: dict[str, float] = {}

    async def observe(self) -> Observation:
        look = await self._pods.look()
        inventory, controller = await self._opened(look.http)
        stock = await inventory.look()
        if not stock.installed:
            return await self._pods.observation(look)
        owned = owned_pods(look.pods, stock.sandboxes.values())
        seen = await self._pods.observation(look, owned.names)
        keeper = GatewayId(self.info.key, f"{look.front.id.native_id}/{NAME}")
        rows = await self._rows(look, stock, owned, keeper)
        gateways = (*seen.gateways, await self._controller_row(controller, keeper, stock, look.now))
        pools = (pool_row(one, self.info.key, look.now) for one in stock.pools.values())
        lost: tuple[tuple[GatewayId | None, Unknown[Sandbox]], ...] = ()
        if stock.problem:
            lost = ((keeper, Unknown(stock.problem)),)
        words = {one.word for one in self._known.values() if one.word}
        return replace(
            seen,
            gateways=(*gateways, *pools),
            sandboxes=(*rows, *seen.sandboxes),
            unknown=(*seen.unknown, *lost),
            unknown_words=(
                *seen.unknown_words,
                *(UnknownWord(self.info.key, "Sandbox", word) for word in sorted(words)),
            ),
        )

    async def probe(self, sandbox: SandboxId) -> Verdict:
        key = sandbox_key(sandbox)
        if key is None:
            return await self._pods.probe(sandbox)
        try:
            found = await self._judged(*key)
            if found.unsure:
                await self._clock.sleep(ONE_LOOK_MORE_S)
                found = await self._judged(*key)
        except SignedOutError as error:
            return _signed_out(error)
        except NotFoundError as error:
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice=error.advice)
        except ApiError as error:
            if error.status == 401:
                return _signed_out(error)
            kind = VerdictKind.TERMINAL if error.status == 403 else VerdictKind.UNKNOWN
            return Verdict(kind, error.sentence, advice=error.advice)
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        return verdict(found)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return await self._pods.log_streams(await self._pod_id(sandbox))

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        async for record in self._pods.logs(await self._pod_id(sandbox), stream, since):
            yield record

    async def close(self) -> None:
        """Stop watching and let go of the connection."""
        await self._forget()
        await self._pods.close()

    async def _opened(self, http: Http) -> tuple[Inventory, Controller]:
        """What looks over this connection; another connection begins anew."""
        inventory, controller = self._inventory, self._controller
        if inventory is None or controller is None or self._http is not http:
            await self._forget()
            table = self._kube.table
            access = (await self._kube.credential()).access
            namespace = "" if table.all_namespaces else access.namespace
            selection = (("labelSelector", table.selector),) if table.selector else ()
            inventory = Inventory(http, (namespace,), selection, self._clock)
            controller = Controller(http, table.controller_namespace, self._clock)
            self._http, self._inventory, self._controller = http, inventory, controller
        return inventory, controller

    async def _forget(self) -> None:
        inventory, self._inventory, self._controller = self._inventory, None, None
        self._known, self._outdated, self._contradicted = {}, {}, {}
        if inventory is not None:
            await inventory.close()

    async def _backing(self, namespace: str, name: str) -> Backing:
        http = await self._pods.connected()
        inventory, _ = await self._opened(http)
        return await read_backing(http, await inventory.version(), namespace, name)

    async def _judged(self, namespace: str, name: str) -> SandboxJudgement:
        found = await self._backing(namespace, name)
        return judge(Evidence(found.sandbox, found.pod), self._clock.now())

    async def _pod_id(self, sandbox: SandboxId) -> SandboxId:
        """The pod behind a sandbox; a pod's own id is given back."""
        if sandbox_key(sandbox) is None:
            return sandbox
        found = await self._backing(*required_key(sandbox))
        if found.pod is None:
            raise UnavailableError("It has no pod now, and so no log.")
        return SandboxId(sandbox.source, found.pod.native_id)

    async def _controller_row(
        self, controller: Controller, keeper: GatewayId, stock: Stock, now: float
    ) -> Gateway:
        facts: Facts = (
            ("version", stock.version or "unknown"),
            ("sandboxes", stock.problem or _count(len(stock.sandboxes))),
            *stock.asides,
        )
        return controller.row(await controller.look(), keeper, now, facts)

    async def _rows(
        self, look: PodsLook, stock: Stock, owned: OwnedPods, keeper: GatewayId
    ) -> tuple[Sandbox, ...]:
        """A row for each sandbox; what did not change is not judged again."""
        known, self._known = self._known, {}
        claims = _claim_names(stock)
        rows: list[Sandbox] = []
        for number, (name, sandbox) in enumerate(tuple(stock.sandboxes.items()), 1):
            claim = _claim_of(sandbox, claims)
            pods = owned.by_uid.get(sandbox.metadata.uid, ())
            before = known.get(name)
            if before is not None and self._holds(before, sandbox, pods, claim, look.now):
                row = replace(before.row, observed_at=look.now)
                self._known[name] = replace(before, row=row)
            else:
                row = self._judge_row(name, sandbox, pods, claim, look, keeper)
            rows.append(row)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        for key in self._outdated.keys() - self._known.keys():
            del self._outdated[key]
        for key in self._contradicted.keys() - self._known.keys():
            del self._contradicted[key]
        return tuple(rows)

    def _holds(
        self,
        before: _Known,
        sandbox: SandboxResource,
        pods: tuple[Pod, ...],
        claim: str,
        now: float,
    ) -> bool:
        row = before.row
        return (
            before.sandbox is sandbox
            and before.pods == pods
            and before.claim == claim
            and row.state in _STEADY
            and (row.until is None or row.until > now)
            and not before.contradicted
            and sandbox.spec.shutdown_time is None
        )

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
        evidence = Evidence(sandbox, backing_pod(sandbox, pods))
        evidence = replace(
            evidence,
            outdated_since=self._outdated_since(name, evidence, now),
            contradicted_since=self._contradicted_since(name, evidence, now),
        )
        found = judge(evidence, now)
        placed = Placed(sandbox, evidence.pod, tuple(one.metadata.name for one in pods), claim)
        row = to_row(
            placed, found, source=self.info.key, front=look.front.id, controller=keeper, now=now
        )
        contradicted = evidence.contradicted_since is not None
        self._known[name] = _Known(sandbox, pods, claim, row, contradicted, found.unknown_word)
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

    def _contradicted_since(self, name: str, evidence: Evidence, now: float) -> float | None:
        """Where pods are selected by a label, one that is not seen proves nothing."""
        unseen = evidence.pod is None and bool(self._kube.table.selector)
        if unseen or not is_contradicted(evidence, now):
            self._contradicted.pop(name, None)
            return None
        return self._contradicted.setdefault(name, now)


def _claim_names(stock: Stock) -> dict[str, str]:
    """The claim of each sandbox that has one of another name, by the sandbox's key."""
    found = {}
    for claim in stock.claims.values():
        taken = claim.status.sandbox
        if taken is not None and taken.name and taken.name != claim.metadata.name:
            found[f"{claim.metadata.namespace}/{taken.name}"] = claim.metadata.name
    return found


def _claim_of(sandbox: SandboxResource, claims: Mapping[str, str]) -> str:
    """What has it: a claim says so, or it says so itself."""
    named = claims.get(sandbox.key, "")
    owner = sandbox.owner
    if named or owner is None or owner.kind != "SandboxClaim":
        return named
    return "" if owner.name == sandbox.metadata.name else owner.name


def _count(number: int) -> str:
    return f"{number} sandbox{'' if number == 1 else 'es'}"


def _signed_out(error: UnavailableError) -> Verdict:
    """The first step of a wake signs in, and then sees whether there is anything to wake."""
    return Verdict(VerdictKind.REPAIRABLE, error.sentence, wakeable=True, advice=error.advice)
