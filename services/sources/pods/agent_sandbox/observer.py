"""The half of a cluster's source that looks: pods, and the sandboxes they belong to."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import NotFoundError, SignedOutError, UnavailableError, WakedeckError
from services.logs.reader import LogRecord
from services.models import LogStream, Observation, Sandbox, SandboxId, Source
from services.net.http import ApiError
from services.sources.pods.agent_sandbox.backing import Backing, read_backing
from services.sources.pods.agent_sandbox.judge import judge
from services.sources.pods.agent_sandbox.judgement import Evidence, SandboxJudgement, verdict
from services.sources.pods.agent_sandbox.rows import required_key, sandbox_key
from services.sources.pods.agent_sandbox.sandboxes import Sandboxes
from services.sources.pods.kube_observer import KubeObserver
from services.sources.protocol.observer import NoQueues
from services.sources.protocol.verdict import Verdict, VerdictKind

ONE_LOOK_MORE_S = 1.0
"""Before what may pass at once is told for good."""


class ClusterObserver(NoQueues):
    """The pods of one context, and its sandboxes where agent-sandbox is installed."""

    def __init__(self, pods: KubeObserver, sandboxes: Sandboxes, clock: Clock) -> None:
        """`sandboxes` are those that `pods` joins to its looks."""
        super().__init__("Pods have no queues.")
        self.info: Source = pods.info
        self._pods = pods
        self._sandboxes = sandboxes
        self._clock = clock

    @property
    def signed_out(self) -> bool:
        """Whether the last look was refused for want of a credential."""
        return self._pods.signed_out

    async def observe(self) -> Observation:
        return await self._pods.observe()

    async def more(self) -> str:
        return await self._pods.more() or await self._sandboxes.more()

    async def find(self, name: str) -> Sandbox | None:
        """As `NameFinder`, of pods alone: a sandbox has too many names to be asked for."""
        return await self._pods.find(name)

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
        await self._pods.close()

    async def _backing(self, namespace: str, name: str) -> Backing:
        http = await self._pods.connected()
        return await read_backing(http, await self._sandboxes.version(http), namespace, name)

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


def _signed_out(error: UnavailableError) -> Verdict:
    """The first step of a wake signs in, and then sees whether there is anything to wake."""
    return Verdict(VerdictKind.REPAIRABLE, error.sentence, wakeable=True, advice=error.advice)
