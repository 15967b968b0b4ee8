"""Starts a gateway through its own service, and connects anew, on the operator's word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from services.agents.openclaw.evidence import ConnectionState
from services.agents.openclaw.judge import judge
from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.models import SandboxId, Step
from services.sources.openclaw import commands
from services.sources.openclaw.gather import GatewayGatherer
from services.sources.openclaw.rows import NO_SHELL
from services.sources.protocol.steps import StepBuilder, skipped_step
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport
from services.text.format import sentence
from services.text.sanitize import sanitize

CONNECT_S = 20.0


class OpenClawActor:
    """The verbs of the gateways of one source."""

    def __init__(
        self, gatherer: GatewayGatherer, command: str, environ: Mapping[str, str], clock: Clock
    ) -> None:
        self._gatherer = gatherer
        self._command = command
        self._environ = environ
        self._clock = clock

    def wake_key(self, sandbox: SandboxId) -> str:
        place = self._gatherer.place(sandbox.native_id)
        owner = self._gatherer.owner(sandbox.native_id)
        return f"openclaw:{owner if place is None else place.path}"

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Look again, then have its service start it, once; whether it serves, probes tell."""
        step = StepBuilder("start", self._clock, commands.VALIDATE_S + commands.START_S)
        yield step.begun
        gathered = await self._gatherer.gather()
        seen = gathered.get(self._gatherer.owner(sandbox.native_id))
        place = self._gatherer.place(sandbox.native_id)
        if seen is None or place is None:
            raise NotFoundError(f"There is no gateway {sanitize(sandbox.native_id, 100)!r}.")
        judged = judge(seen)
        if not judged.startable:
            yield step.skipped(f"it was not started: {judged.reason or 'it serves'}")
            return
        tool = commands.program(self._command, self._environ)
        if not tool:
            yield step.failed(commands.missing(self._command))
            return
        refused = await commands.find_invalid(tool, place, self._environ)
        self._gatherer.note_refused(place, refused)
        if refused:
            yield step.failed(f"its configuration is not accepted: {refused}")
            return
        argv = commands.start_argv(tool, place)
        try:
            problem, passes = await commands.run_service(
                argv, commands.START_S, place, self._environ
            )
        finally:
            self._gatherer.forget_services()
        if problem:
            yield step.failed(problem, transient=passes)
        else:
            yield step.ok("its service was started", outcome="its service was started")

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Connect anew where that is not done; nothing is started by it."""
        link = self._gatherer.link(sandbox.native_id)
        if link is None:
            yield skipped_step("connect", "there is no link to prove", self._clock)
            return
        step = StepBuilder("connect", self._clock, CONNECT_S)
        yield step.begun
        if link.heard().connection is ConnectionState.REFUSED:
            await self._gatherer.links.identify(self._gatherer.owner(sandbox.native_id))
        link.retry()
        await link.settled(CONNECT_S)
        heard = link.heard()
        if heard.reading:
            yield step.ok(f"it reads gateway {heard.version or '-'}")
        else:
            words = heard.problem or "it did not answer in time"
            lost = heard.connection is ConnectionState.LOST
            yield step.failed(f"{words} {heard.advice}".strip(), transient=lost)

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        raise UnavailableError(sentence(NO_SHELL))

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        raise UnavailableError(sentence(NO_SHELL))

    async def close(self) -> None:
        """Nothing outlives a step."""
