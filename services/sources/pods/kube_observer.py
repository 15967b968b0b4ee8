"""Looks at the pods of a cluster: a list, a watch, and a sign of life of the API server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from services.clock import Clock
from services.errors import (
    AmbiguousError,
    DeadlineError,
    NotFoundError,
    SignedOutError,
    UnavailableError,
    WakedeckError,
)
from services.files.bounded import parse_json
from services.logs.reader import LogRecord
from services.models import (
    Facts,
    Gateway,
    GatewayId,
    GatewayState,
    LogStream,
    Observation,
    Sandbox,
    SandboxId,
    Source,
    Unknown,
)
from services.net.http import ANSWER_S, ApiError, Http
from services.sources.pods import judge, pod_logs
from services.sources.pods.credential import KubeCredential
from services.sources.pods.errors import RefusalText, explain_api_error
from services.sources.pods.joined import Joined, JoinsPods, PodsLook
from services.sources.pods.judgement import verdict
from services.sources.pods.kube_client import (
    Kube,
    find_pods,
    http_of,
    namespaces,
    pod_path,
    read_one,
    split_id,
)
from services.sources.pods.kube_rows import PodRows
from services.sources.pods.pod import Pod
from services.sources.pods.watch import PodWatch
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize

LOOK_S = 2.0
"""So long a look waits for what has to be listed; what came by then is shown."""
_SHORTEST_LOOK_S = 0.2


ADVICE = "Its controller starts and replaces it; `kubectl describe pod` says more."


class KubeObserver(NoQueues):
    """The pods of one context as a source."""

    def __init__(
        self,
        info: Source,
        kube: Kube,
        clock: Clock,
        ready: Callable[[KubeCredential], Awaitable[None]] | None = None,
        joins: JoinsPods | None = None,
    ) -> None:
        """`ready` may sign in before a look; without it a look only uses what is there.

        `joins` has rows of its own, of which pods may be a part.
        """
        super().__init__("Pods have no queues.")
        self.info = info
        self.signed_out = False
        """Whether the last look was refused for want of a credential."""
        self._kube = kube
        self._clock = clock
        self._ready = ready
        self._joins = joins
        self._for: KubeCredential | None = None
        self._http: Http | None = None
        self._watches: tuple[PodWatch, ...] = ()
        self._rows = PodRows(info.key, clock)
        self._version = ""
        self._opening = asyncio.Lock()
        self._closed = False

    async def observe(self) -> Observation:
        credential, http, watches = await self._opened()
        try:
            seen = await self._look(credential, http, watches)
        except ApiError as error:
            self._kube.reread()
            said = explain_api_error(error, refusal_text_of(credential))
            if not isinstance(said, SignedOutError):
                raise said from error
            return self._asks_to_sign_in(credential, said, GatewayState.WRONG)
        except SignedOutError as error:
            return self._asks_to_sign_in(credential, error, GatewayState.UNKNOWN)
        self.signed_out = False
        return seen

    async def _look(
        self, credential: KubeCredential, http: Http, watches: Sequence[PodWatch]
    ) -> Observation:
        began = time.monotonic()
        self._version = await _sign_of_life(http)
        latency = time.monotonic() - began
        await asyncio.gather(*(one.look(_left_s(began)) for one in watches))
        _raise_refusal(watches)
        now = self._clock.now()
        pods = [(one, dict(one.pods)) for one in watches]
        front = self._front(credential, latency, watches, now)
        why, coming = _not_listed(watches), any(one.coming for one in watches)
        joined = Joined()
        if self._joins is not None:
            places = tuple(one.namespace for one in watches)
            look = PodsLook(http, places, front.id, _joined_pods(pods), not why, now)
            joined = await self._joins.join(look, _left_s(began))
        rows = await self._rows.rows(pods, front.id, now, joined.folded)
        rows = await self._rows.with_events(rows, http, _left_s(began))
        listed = {one.id.native_id for one in rows}
        gone = frozenset[str]().union(*(one.take_deleted() for one in watches)) - listed
        lost = ((front.id, Unknown[Sandbox](why, coming=coming)),) if why else ()
        return Observation(
            self.info.key,
            now,
            (front, *joined.gateways),
            (*joined.sandboxes, *rows),
            (*lost, *joined.unknown),
            frozenset(SandboxId(self.info.key, name) for name in gone) | joined.deleted,
            joined.unknown_words,
            events=joined.events,
        )

    async def connected(self) -> Http:
        """The connection that looks go over.

        Raises:
            UnavailableError: the kubeconfig, or its credential.
        """
        return (await self._opened())[1]

    def _asks_to_sign_in(
        self, credential: KubeCredential, error: SignedOutError, state: GatewayState
    ) -> Observation:
        """A row to sign in on; which pods there are is not known."""
        self.signed_out = True
        access, now = credential.access, self._clock.now()
        front = GatewayId(self.info.key, access.context)
        name = sanitize(access.context, 100)
        address = access.cluster.address
        row = Gateway(front, name, state, error.sentence, now, address=address)
        return Observation(self.info.key, now, (row,), unknown=((front, Unknown(error.sentence)),))

    async def more(self) -> str:
        under_way = [one for one in self._watches if one.under_way]
        if not under_way:
            return ""
        waits = [asyncio.ensure_future(one.moved(one.moves)) for one in under_way]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return _not_listed(self._watches) or "all pods listed"

    async def find(self, name: str) -> Sandbox | None:
        """As `NameFinder`: `NAMESPACE/NAME`, or a name in the namespaces of this source."""
        credential, http, watches = await self._opened()
        try:
            found = await find_pods(
                http, self._kube.table, [one.namespace for one in watches], name
            )
        except ApiError as error:
            raise explain_api_error(error, refusal_text_of(credential)) from error
        if len(found) > 1:
            names = ", ".join(sanitize(one.native_id, 200) for one in found)
            raise AmbiguousError(f"{sanitize(name, 100)!r} names several pods: {names}.")
        front = GatewayId(self.info.key, credential.access.context)
        return self._rows.row(found[0], front, self._clock.now()) if found else None

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            _, http, _ = await self._opened()
            pod = await read_one(http, *split_id(sandbox))
        except NotFoundError as error:
            advice = error.advice or "Its controller may have made another one: look at the list."
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice=advice)
        except SignedOutError:
            # Signing in is the first of the link steps.
            return Verdict(VerdictKind.READY, "")
        except ApiError as error:
            if error.status == 401:
                return Verdict(VerdictKind.READY, "")
            kind = VerdictKind.TERMINAL if error.status == 403 else VerdictKind.UNKNOWN
            return Verdict(kind, error.sentence, advice=error.advice)
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        return verdict(judge.judge(pod, self._clock.now()), ADVICE, strict=True)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        _, http, _ = await self._opened()
        pod = await read_one(http, *split_id(sandbox))
        return pod_logs.log_streams(pod, self._kube.table.container)

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        _, http, _ = await self._opened()
        namespace, name = split_id(sandbox)
        pod = await read_one(http, namespace, name)
        log = pod_logs.log_named(pod, self._kube.table.container, stream)
        path = f"{pod_path(namespace, name)}/log"
        async with http.stream(path, log.query, pod_logs.SILENCE_S) as parts:
            async for line in pod_logs.log_lines(parts):
                yield pod_logs.record(line)
        pod_logs.check_ended(log)

    async def close(self) -> None:
        """Stop watching and let go of the connection, for good."""
        self._closed = True
        await self._let_go()

    async def _let_go(self) -> None:
        self._for = None
        self._rows.forget()
        watches, self._watches = self._watches, ()
        for watch in watches:
            await watch.close()
        if self._joins is not None:
            await self._joins.close()
        if self._http is not None:
            await self._http.close()

    async def _opened(self) -> tuple[KubeCredential, Http, tuple[PodWatch, ...]]:
        credential = await self._kube.credential()
        async with self._opening:
            if self._closed:
                raise UnavailableError("The source was closed.")
            if credential is not self._for or self._http is None:
                await self._let_go()
                http = http_of(credential)
                selector = self._kube.table.selector
                self._watches = tuple(
                    PodWatch(http, namespace, selector, self._clock)
                    for namespace in namespaces(self._kube.table, credential.access)
                )
                self._for, self._http = credential, http
            if self._ready is not None and credential.needs_helper:
                await self._ready(credential)
            return credential, self._http, self._watches

    def _front(
        self,
        credential: KubeCredential,
        latency_s: float,
        watches: Sequence[PodWatch],
        now: float,
    ) -> Gateway:
        access = credential.access
        scope = ", ".join(one.namespace or "all" for one in watches)
        watched = all(one.live for one in watches)
        rows: Facts = (
            ("context", sanitize(access.context, 100)),
            ("namespace", sanitize(scope, 100)),
            ("user", sanitize(access.identity.name or "none", 100)),
            ("server", self._version),
            ("pods", _not_listed(watches) or ("watched" if watched else "listed")),
        )
        if access.cluster.unverified:
            rows = (*rows, ("certificate", "not checked: the kubeconfig says so"))
        return Gateway(
            GatewayId(self.info.key, access.context),
            sanitize(access.context, 100),
            GatewayState.READY,
            "",
            now,
            address=access.cluster.address,
            latency_s=latency_s,
            evidence=rows,
        )


def _left_s(began: float) -> float:
    """What is left of a look that began then (monotonic)."""
    return max(_SHORTEST_LOOK_S, LOOK_S - (time.monotonic() - began))


def _joined_pods(listed: Sequence[tuple[PodWatch, Mapping[str, Pod]]]) -> Mapping[str, Pod]:
    if len(listed) == 1:
        return listed[0][1]
    return {name: pod for _, pods in listed for name, pod in pods.items()}


def _raise_refusal(watches: Sequence[PodWatch]) -> None:
    """A list that is refused or never came is the whole source's failure; what was had is kept."""
    problems = [one.problem for one in watches if one.problem is not None]
    for problem in problems:
        if isinstance(problem, SignedOutError) or (
            isinstance(problem, ApiError) and problem.status == 401
        ):
            raise problem
    if problems and len(problems) == len(watches) and not any(one.pods for one in watches):
        raise problems[0]


def _not_listed(watches: Sequence[PodWatch]) -> str:
    """Why not all pods are known as they are now; empty where they are."""
    said = []
    for one in watches:
        why = one.progress if one.problem is None else one.problem.sentence
        if why:
            said.append(f"{sanitize(one.namespace, 80)}: {why}" if len(watches) > 1 else why)
    return "; ".join(said)


async def _sign_of_life(http: Http) -> str:
    """The server's version; one that answers and does not tell it lives as well."""
    try:
        async with asyncio.timeout(ANSWER_S):
            body = await http.get("/version")
    except TimeoutError as error:
        raise DeadlineError(f"{http.address} did not answer in time.") from error
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return "unknown"
    return _version(body)


def refusal_text_of(credential: KubeCredential) -> RefusalText:
    """What the refusals of a context's server mean."""
    context = sanitize(credential.access.context, 100)
    return RefusalText(
        f"{context} does not accept the credential",
        "Reconnect to sign in again.",
        f"{context} does not let this user see its pods",
        "The verbs needed are list, watch and get of pods.",
    )


def _version(body: bytes) -> str:
    try:
        said = parse_json(body)["gitVersion"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return sanitize(str(said), 60)
