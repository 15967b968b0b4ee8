"""Looks at deployments of the CentML platform; reads its token and renews nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from services.clock import Clock
from services.errors import NotFoundError, SignedOutError, UnavailableError, WakedeckError
from services.logs.reader import LogRecord
from services.models import (
    Gateway,
    GatewayId,
    GatewayState,
    LogStream,
    Observation,
    Sandbox,
    SandboxId,
    Source,
)
from services.net.http import ApiError, Http, KeptHttp
from services.sources.pods import centml_api, centml_logs, judgement
from services.sources.pods.centml_api import Deployment, PodInfo
from services.sources.pods.centml_token import CentmlCredential
from services.sources.pods.errors import RefusalText, explain_api_error
from services.sources.pods.judgement import row
from services.sources.pods.missed import Missed
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize

AT_ONCE = 8
MOST = 200
ADVICE = "The platform starts its pods; its own pages say more."
WORDS = RefusalText(
    "The platform does not accept the token",
    "Reconnect to sign in again, or use `centml login`.",
)


async def status_of(http: Http, id: int, name: str = "") -> Deployment:
    """One deployment: v3, then v2 on 404 or 400, and the first error if that fails too.

    See upstream/pods: CentML deployments.

    Raises:
        NotFoundError: the platform does not know it.
        UnavailableError: it could not be asked.
    """
    try:
        return centml_api.read_status(id, name, await http.json(f"/deployments/status_v3/{id}"))
    except ApiError as first:
        if first.status not in (400, 404):
            raise
        try:
            return centml_api.read_status(id, name, await http.json(f"/deployments/status/{id}"))
        except UnavailableError:
            if first.status == 404:
                raise NotFoundError(f"The platform knows no deployment {id}.") from first
            raise first from None


def split_id(sandbox: SandboxId) -> tuple[int, str]:
    """Deployment and pod; the pod is empty for the deployment itself.

    Raises:
        NotFoundError: that is no name of ours.
    """
    number, _, pod = sandbox.native_id.partition("/")
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise NotFoundError(f"There is no deployment {sanitize(sandbox.native_id, 100)!r}.")
    return int(number), pod


class CentmlObserver(NoQueues):
    """The deployments of one account as a source."""

    def __init__(
        self,
        info: Source,
        connect: Callable[[], Http],
        deployments: tuple[int, ...],
        credential: CentmlCredential,
        clock: Clock,
        ready: Callable[[CentmlCredential], Awaitable[str]] | None = None,
    ) -> None:
        """`ready` may sign in before a look; without it a look only uses what is there."""
        super().__init__("Pods have no queues.")
        self.info = info
        self._deployments = deployments
        self._credential = credential
        self._clock = clock
        self._ready = ready
        self._http = KeptHttp(connect)

    async def observe(self) -> Observation:
        http = await self._opened()
        began = time.monotonic()
        try:
            missed = Missed(WORDS)
            wanted = [(one, "") for one in self._deployments]
            if not wanted:
                listed, odd = centml_api.read_list(await http.json("/deployments"))
                wanted = [*listed]
                missed.note_odd(odd)
            limit = asyncio.Semaphore(AT_ONCE)
            found = await asyncio.gather(
                *(self._one(http, limit, *one, missed) for one in wanted[:MOST])
            )
            if not any(found):
                missed.raise_first()
        except ApiError as error:
            raise explain_api_error(error, WORDS) from error
        latency = (time.monotonic() - began) / max(len(wanted[:MOST]), 1)
        now = self._clock.now()
        front = Gateway(
            GatewayId(self.info.key, "platform"),
            "CentML",
            GatewayState.READY,
            "",
            now,
            address=http.address,
            latency_s=latency,
            evidence=(("deployments", str(len(wanted))),),
        )
        rows = [row for one in found if one for row in self._rows(one, front.id, now)]
        missed.note_cut(len(wanted), MOST, "deployments")
        return Observation(self.info.key, now, (front,), tuple(rows), missed.unknown(front.id))

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            id, pod = split_id(sandbox)
            deployment = await status_of(await self._opened(), id)
        except SignedOutError:
            return Verdict(VerdictKind.READY, "")
        except NotFoundError as error:
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice="Look at the list anew.")
        except ApiError as error:
            kind = VerdictKind.READY if error.status == 401 else VerdictKind.UNKNOWN
            return Verdict(kind, error.sentence)
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        return verdict(deployment, pod)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        return centml_logs.log_streams((await self._logs_of(sandbox))[1])

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        id, logs = await self._logs_of(sandbox)
        log = centml_logs.log_named(logs, stream, id)
        try:
            async for one in centml_logs.read(await self._opened(), id, log, self._clock, since):
                yield one
        except ApiError as error:
            raise explain_api_error(error, WORDS) from error

    async def _logs_of(self, sandbox: SandboxId) -> tuple[int, tuple[centml_logs.RevisionLog, ...]]:
        """Its deployment, and the logs there are of it."""
        id, pod = split_id(sandbox)
        http = await self._opened()
        try:
            deployment = await status_of(http, id)
            return id, await centml_logs.find_logs(http, deployment, pod)
        except ApiError as error:
            raise explain_api_error(error, WORDS) from error

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()

    async def _opened(self) -> Http:
        http = self._http.opened()
        if self._ready is not None:
            await self._ready(self._credential)
        return http

    async def _one(
        self, http: Http, limit: asyncio.Semaphore, id: int, name: str, missed: Missed
    ) -> Deployment | None:
        found = None
        async with limit:
            with missed.one_of_many(f"deployment {id}"):
                try:
                    found = await status_of(http, id, name)
                except NotFoundError:
                    found = Deployment(id, name, "deleted")
        return found

    def _rows(self, one: Deployment, front: GatewayId, now: float) -> list[Sandbox]:
        """The deployment, and each of its pods where it has several."""
        id = SandboxId(self.info.key, str(one.id))
        name = one.name or f"deployment {one.id}"
        rows = [row(id, name, centml_api.judge(one), front, now, centml_api.evidence(one))]
        named = [pod for pod in one.pods or () if pod.name]
        if len(named) > 1:
            rows += [self._pod_row(one, pod, front, now) for pod in named]
        return rows

    def _pod_row(self, one: Deployment, pod: PodInfo, front: GatewayId, now: float) -> Sandbox:
        id = SandboxId(self.info.key, f"{one.id}/{pod.name}")
        evidence = (
            ("deployment", f"{one.id} {one.name}".strip()),
            ("status", pod.status),
            ("component", pod.component or "unknown"),
        )
        return row(id, pod.name, centml_api.judge_pod(pod), front, now, evidence)


def verdict(deployment: Deployment, pod: str) -> Verdict:
    """What an attempt may do with a deployment or one of its pods."""
    if not pod:
        return judgement.verdict(centml_api.judge(deployment), ADVICE)
    known = next((one for one in deployment.pods or () if one.name == pod), None)
    if known is None:
        gone = f"Deployment {deployment.id} has no pod {sanitize(pod, 100)} any more."
        return Verdict(VerdictKind.TERMINAL, gone, advice="Look at the list anew.")
    return judgement.verdict(centml_api.judge_pod(known), ADVICE)
