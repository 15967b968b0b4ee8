"""Looks at the pods of Argo CD's applications; read-only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import NotFoundError, WakedeckError
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
from services.sources.pods import argo_api, pod_logs
from services.sources.pods.argo_api import Application, AppPod
from services.sources.pods.argo_client import WORDS, ArgoServer
from services.sources.pods.errors import explain_api_error
from services.sources.pods.judgement import row, verdict
from services.sources.pods.missed import Missed
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.text.sanitize import sanitize

AT_ONCE = 8
MOST = 200
ADVICE = "Argo CD and the pod's controller start it; its own pages say more."


class ArgoObserver(NoQueues):
    """The applications of one server as a source."""

    def __init__(self, info: Source, server: ArgoServer, clock: Clock) -> None:
        super().__init__("Pods have no queues.")
        self.info = info
        self._server = server
        self._clock = clock
        self._http = KeptHttp(server.http)

    async def observe(self) -> Observation:
        http = self._http.opened()
        began = time.monotonic()
        try:
            missed = Missed(WORDS)
            applications = await self._server.applications(http, missed)
            latency = time.monotonic() - began
            limit = asyncio.Semaphore(AT_ONCE)
            found = await asyncio.gather(
                *(self._pods(http, limit, one, missed) for one in applications[:MOST])
            )
            if not any(one is not None for one in found):
                missed.raise_first()
        except ApiError as error:
            raise explain_api_error(error, WORDS) from error
        now = self._clock.now()
        front = Gateway(
            GatewayId(self.info.key, "server"),
            "Argo CD",
            GatewayState.READY,
            "",
            now,
            address=http.address,
            latency_s=latency,
            evidence=(("applications", str(len(applications))),),
        )
        rows = tuple(self._sandbox(pod, front.id, now) for pods in found for pod in pods or ())
        missed.note_cut(len(applications), MOST, "applications")
        return Observation(self.info.key, now, (front,), rows, missed.unknown(front.id))

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            pod = await self._server.find(self._http.opened(), *argo_api.split_id(sandbox))
        except NotFoundError as error:
            advice = error.advice or "Look at the list anew."
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice=advice)
        except ApiError as error:
            said = explain_api_error(error, WORDS)
            kind = VerdictKind.TERMINAL if error.status in (401, 403) else VerdictKind.UNKNOWN
            return Verdict(kind, said.sentence, advice=said.advice)
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        return verdict(argo_api.judge(pod), ADVICE)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        http = self._http.opened()
        one = await self._server.find(http, *argo_api.split_id(sandbox))
        pod = await self._server.pod(http, one)
        return pod_logs.log_streams(pod, self._server.table.container)

    async def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        http = self._http.opened()
        one = await self._server.find(http, *argo_api.split_id(sandbox))
        pod = await self._server.pod(http, one)
        log = pod_logs.log_named(pod, self._server.table.container, stream)
        path, query = argo_api.logs_of(one)
        async with http.stream(path, (*query, *log.query), pod_logs.SILENCE_S) as parts:
            async for line in pod_logs.log_lines(parts, argo_api.LONGEST_ENTRY):
                if said := argo_api.read_log(line):
                    yield pod_logs.record(said)
        pod_logs.check_ended(log)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()

    async def _pods(
        self, http: Http, limit: asyncio.Semaphore, one: Application, missed: Missed
    ) -> tuple[AppPod, ...] | None:
        pods = None
        async with limit:
            with missed.one_of_many(f"application {sanitize(one.name, 60)}"):
                pods = await self._server.pods(http, one)
        return pods

    def _sandbox(self, pod: AppPod, front: GatewayId, now: float) -> Sandbox:
        id = SandboxId(self.info.key, pod.native_id)
        return row(id, pod.name, argo_api.judge(pod), front, now, argo_api.evidence(pod))
