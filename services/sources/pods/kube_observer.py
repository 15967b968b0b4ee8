"""Looks at the pods of a cluster: a list, a watch, and a sign of life of the API server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace

from services.clock import Clock
from services.errors import NotFoundError, SignedOutError, WakedeckError
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
    SandboxState,
    Source,
)
from services.sources.pods import evidence, judge, pod_logs
from services.sources.pods.credential import KubeCredential
from services.sources.pods.errors import RefusalText, explain_api_error
from services.sources.pods.http import ApiError, Http
from services.sources.pods.judgement import row, verdict
from services.sources.pods.kube_client import Kube, http_of, pod_path, read_one, split_id
from services.sources.pods.pod import Pod
from services.sources.pods.watch import PodWatch
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize

_STEADY = frozenset({SandboxState.READY, SandboxState.BROKEN, SandboxState.ASLEEP})
"""States that no passing of time changes."""
_AT_ONCE = 250
"""Rows made before giving way: thousands of pods hold up no key."""


ADVICE = "Its controller starts and replaces it; `kubectl describe pod` says more."


class KubeObserver(NoQueues):
    """The pods of one context as a source."""

    def __init__(
        self,
        info: Source,
        kube: Kube,
        clock: Clock,
        ready: Callable[[KubeCredential], Awaitable[None]] | None = None,
    ) -> None:
        """`ready` may sign in before a look; without it a look only uses what is there."""
        super().__init__("Pods have no queues.")
        self.info = info
        self._kube = kube
        self._clock = clock
        self._ready = ready
        self._for: KubeCredential | None = None
        self._http: Http | None = None
        self._watch: PodWatch | None = None
        self._version = ""
        self._judged: dict[str, tuple[Pod, Sandbox]] = {}
        self._opening = asyncio.Lock()

    async def observe(self) -> Observation:
        credential, http, watch = await self._opened()
        began = time.monotonic()
        try:
            self._version = _version(await http.get("/version"))
            latency = time.monotonic() - began
            pods = await watch.pods()
        except ApiError as error:
            raise explain_api_error(error, refusal_text_of(credential)) from error
        now = self._clock.now()
        front = self._front(credential, latency, watch, now)
        return Observation(self.info.key, now, (front,), await self._rows(pods, front.id, now))

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
        """Stop watching and let go of the connection."""
        self._for = None
        self._judged = {}
        if self._watch is not None:
            await self._watch.close()
        if self._http is not None:
            await self._http.close()

    async def _opened(self) -> tuple[KubeCredential, Http, PodWatch]:
        credential = await self._kube.credential()
        async with self._opening:
            if credential is not self._for or self._http is None or self._watch is None:
                await self.close()
                table, access = self._kube.table, credential.access
                http = http_of(credential)
                namespace = "" if table.all_namespaces else access.namespace
                self._watch = PodWatch(http, namespace, table.selector, self._clock)
                self._for, self._http = credential, http
            if self._ready is not None and credential.needs_helper:
                await self._ready(credential)
            return credential, self._http, self._watch

    def _front(
        self, credential: KubeCredential, latency_s: float, watch: PodWatch, now: float
    ) -> Gateway:
        access = credential.access
        scope = "all" if self._kube.table.all_namespaces else access.namespace
        rows: Facts = (
            ("context", sanitize(access.context, 100)),
            ("namespace", sanitize(scope, 100)),
            ("user", sanitize(access.identity.name or "none", 100)),
            ("server", self._version),
            ("pods", "watched" if watch.live else "listed"),
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

    async def _rows(
        self, pods: Mapping[str, Pod], front: GatewayId, now: float
    ) -> tuple[Sandbox, ...]:
        """A row for each pod; those that did not change are not judged again."""
        known, self._judged = self._judged, {}
        rows: list[Sandbox] = []
        for number, (name, pod) in enumerate(tuple(pods.items()), 1):
            before = known.get(name)
            if before is not None and before[0] is pod and before[1].state in _STEADY:
                row = replace(before[1], observed_at=now)
            else:
                row = self._sandbox(pod, front, now)
            self._judged[name] = (pod, row)
            rows.append(row)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return tuple(rows)

    def _sandbox(self, pod: Pod, front: GatewayId, now: float) -> Sandbox:
        id = SandboxId(self.info.key, pod.native_id)
        return row(id, pod.metadata.name, judge.judge(pod, now), front, now, evidence.evidence(pod))


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
