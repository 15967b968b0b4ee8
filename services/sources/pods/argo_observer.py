"""Looks at the pods of Argo CD's applications; read-only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError, WakedeckError
from services.log_streams import LogStream
from services.models import (
    Capability,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Source,
    Verdict,
    VerdictKind,
)
from services.plain import plain
from services.sources.pods import argo, pod_logs
from services.sources.pods.argo import Application, AppPod
from services.sources.pods.argo_server import ArgoServer
from services.sources.pods.bare import Queueless
from services.sources.pods.credential import SignedOutError
from services.sources.pods.http import ApiError, Http

AT_ONCE = 8
MOST = 200


class ArgoObserver(Queueless):
    """The applications of one server as a source."""

    def __init__(self, info: Source, server: ArgoServer, clock: Clock) -> None:
        self.info = info
        self._server = server
        self._clock = clock
        self._http: Http | None = None

    async def observe(self) -> Observation:
        http = self._opened()
        began = time.monotonic()
        try:
            applications = await self._server.applications(http)
            latency = time.monotonic() - began
            limit = asyncio.Semaphore(AT_ONCE)
            found = await asyncio.gather(
                *(self._pods(http, limit, one) for one in applications[:MOST])
            )
        except ApiError as error:
            raise explained(error) from error
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
        rows = tuple(self._sandbox(pod, front.id, now) for pods in found for pod in pods)
        return Observation(self.info.key, now, (front,), rows)

    async def probe(self, sandbox: SandboxId) -> Verdict:
        try:
            pod = await self._server.find(self._opened(), *argo.split_id(sandbox))
        except NotFoundError as error:
            advice = error.advice or "Look at the list anew."
            return Verdict(VerdictKind.TERMINAL, error.sentence, advice=advice)
        except ApiError as error:
            said = explained(error)
            kind = VerdictKind.TERMINAL if error.status in (401, 403) else VerdictKind.UNKNOWN
            return Verdict(kind, said.sentence, advice=said.advice)
        except WakedeckError as error:
            return Verdict(VerdictKind.UNKNOWN, error.sentence, advice=error.advice)
        state, reason, no_shell = argo.judge(pod)
        if not no_shell:
            return Verdict(VerdictKind.READY, reason)
        if state is SandboxState.SETTLING:
            return Verdict(VerdictKind.SETTLING, reason)
        advice = "Argo CD and the pod's controller start it; its own pages say more."
        return Verdict(VerdictKind.TERMINAL, reason or no_shell, advice=advice)

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        http = self._opened()
        one = await self._server.find(http, *argo.split_id(sandbox))
        pod = await self._server.pod(http, one)
        return pod_logs.log_streams(pod, self._server.options.container)

    async def logs(self, sandbox: SandboxId, stream: str = "") -> AsyncIterator[str]:
        http = self._opened()
        one = await self._server.find(http, *argo.split_id(sandbox))
        pod = await self._server.pod(http, one)
        log = pod_logs.log_named(pod, self._server.options.container, stream)
        path, query = argo.logs_of(one)
        async with http.stream(path, (*query, *log.query), pod_logs.SILENCE_S) as parts:
            async for line in pod_logs.log_lines(parts, argo.LONGEST_ENTRY):
                if said := argo.read_log(line):
                    yield pod_logs.shown(said)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._http is not None:
            await self._http.close()

    def _opened(self) -> Http:
        if self._http is None:
            self._http = self._server.http()
        return self._http

    async def _pods(
        self, http: Http, limit: asyncio.Semaphore, one: Application
    ) -> tuple[AppPod, ...]:
        async with limit:
            return await self._server.pods(http, one)

    def _sandbox(self, pod: AppPod, front: GatewayId, now: float) -> Sandbox:
        state, reason, no_shell = argo.judge(pod)
        refused = ((Capability.SHELL, no_shell), (Capability.EXEC, no_shell)) if no_shell else ()
        return Sandbox(
            SandboxId(self.info.key, pod.native_id),
            plain(pod.name, 253),
            state,
            reason,
            now,
            gateway=front,
            evidence=argo.evidence(pod),
            asleep_by_design=state is SandboxState.ASLEEP,
            unavailable=refused,
        )


def explained(error: ApiError) -> UnavailableError:
    """An answer of the server, said for an operator."""
    tail = f": {error.said}" if error.said else ""
    if error.status == 401:
        return SignedOutError(
            f"Argo CD does not accept the token (401){tail}.",
            advice="Issue a new one, for example with `argocd account generate-token`.",
        )
    if error.status == 403:
        return UnavailableError(
            f"Argo CD does not let this token see its applications (403){tail}.",
            advice="The right needed is `applications, get`.",
        )
    return UnavailableError(error.sentence, advice=error.advice)
