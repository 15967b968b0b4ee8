"""Does what the operator asked of a Vellum assistant: wakes it, renews and proves its link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

from services.clock import Clock
from services.errors import NotFoundError, UnavailableError
from services.models import SandboxId, Step, StepState
from services.sources.protocol.steps import StepBuilder
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.sources.vellum import credential, http_probe, messages, verdicts
from services.sources.vellum.commands import Command
from services.sources.vellum.conditions import serving
from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import ActionKind, ActionResult, AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.judge import REISSUE, AssistantJudgement, Remedy, classify
from services.sources.vellum.limits import (
    MINT_S,
    READY_S,
    REFRESH_S,
    REFUSALS,
    REFUSED_S,
    WAKE_S,
    YOUNG_PRIMES,
    YOUNG_S,
)
from services.sources.vellum.pid_files import PidFile
from services.sources.vellum.probes import AssistantProbes
from services.sources.vellum.registry import AssistantEntry
from services.sources.vellum.rows import NO_SHELL, NO_SHELL_DOCKER, NO_SHELL_REMOTE
from services.sources.vellum.runner import VellumRunner
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport
from services.text.sanitize import sanitize

_SERVING = HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok", "ready": True})
_HINTS = (
    ("not responding", "something hangs, it is restarted: up to a minute"),
    ("migrations still running", "migrating its database"),
    ("migrations FAILED", "its database migration failed"),
    ("credential-executor", "starting the credential executor"),
    ("Assistant ready", "the assistant is up"),
    ("already running", "the assistant is up"),
    ("Starting gateway", "starting the gateway"),
    ("Gateway started", "the gateway was started"),
    ("did not respond within", "the gateway does not answer yet"),
    ("Seeded guardian token", "a credential was copied from another environment"),
    ("Re-provisioned guardian token", "a new credential was issued"),
    ("Wake complete", "verifying"),
    ("Starting local assistant", "starting the assistant"),
    ("Starting assistant", "starting the assistant"),
    ("is starting", "the assistant is starting"),
)

_Ended: TypeAlias = tuple[Step, Verdict | None]
"""How a step ended, and what a failure of it means where the link knows best."""


class VellumActor:
    """The verbs of one Vellum environment."""

    def __init__(
        self, source: str, probes: AssistantProbes, runner: VellumRunner, clock: Clock
    ) -> None:
        self._source = source
        self._probes = probes
        self._runner = runner
        self._clock = clock
        self._link = AssistantLink(probes, runner, clock)

    def wake_key(self, sandbox: SandboxId) -> str:
        # All assistants of an environment share a lockfile that is written under a short lock.
        return f"vellum:{self._probes.lockfile}"

    async def wake(self, sandbox: SandboxId) -> AsyncGenerator[Step, None]:
        """One `vellum wake`; what it says proves nothing, so a good end only ends the step."""
        entry = await self._resolve(sandbox)
        step = StepBuilder("start", self._clock, WAKE_S)
        yield step.begun
        before = await self._probes.gateway_file(entry)
        self._probes.history.woken(entry.id, before)
        told = self._runner.lines(Command.WAKE, entry.id, WAKE_S)
        async with aclosing(until_over(told, self._over(entry, before))) as lines:
            async for one in lines:
                if isinstance(one, AssistantEvidence):
                    yield step.failed(messages.gone(one))
                    return
                if isinstance(one, ActionResult):
                    yield await self._woken(entry, step, one)
                elif (words := hint(one)) and words != step.begun.detail:
                    yield step.running(words)

    async def _over(self, entry: AssistantEntry, before: PidFile) -> AssistantEvidence:
        """Return when the gateway that the command started has ended, and the command waits on."""
        count = 0
        while True:
            await self._clock.sleep(REFUSED_S / REFUSALS)
            seen = await self._probes.ended_at_once(entry, before)
            count = 0 if seen is None else count + 1
            if seen is not None and count >= REFUSALS:
                return self._probes.history.note(
                    entry.id, replace(seen, health=HttpReply(HttpOutcome.REFUSED))
                )

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step | Verdict]:
        """Have a good credential, then let the gateway prove that it takes it."""
        entry = await self._resolve(sandbox)
        async with aclosing(self._link.steps(entry)) as steps:
            async for step in steps:
                yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        raise UnavailableError(self._no_shell(sandbox))

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        raise UnavailableError(self._no_shell(sandbox))

    async def close(self) -> None:
        await self._runner.close()

    async def _woken(self, entry: AssistantEntry, step: StepBuilder, action: ActionResult) -> Step:
        judged = classify(AssistantEvidence(self._clock.now(), action=action))
        if action.timed_out or action.code == 0:
            seen = await self._probes.probe_known(entry)
            return step.ok("it serves" if serving(seen.ready) else judged.reason)
        if messages.lacks_key(action.said):
            seen = await self._probes.files(entry)
            self._probes.history.lacks_key(entry.id, judged.reason, seen.key_files)
        return step.failed(judged.reason)

    async def _resolve(self, sandbox: SandboxId) -> AssistantEntry:
        """The entry of an id, read afresh.

        Raises:
            NotFoundError: not registered here.
            UnavailableError: the registry cannot be read, or this runs elsewhere.
        """
        registry = await self._probes.registry()
        if registry.problem:
            seen = AssistantEvidence(0.0, registry=registry.path, registry_problem=registry.problem)
            raise UnavailableError(messages.registry(seen), advice=messages.REGISTRY_ADVICE)
        entry = registry.find(sandbox.native_id)
        if sandbox.source != self._source or entry is None:
            raise NotFoundError(f"{sanitize(sandbox.native_id, 60)}: it is not registered here.")
        if not entry.local and entry.cloud != "paired":
            raise UnavailableError(f"Its lifecycle is managed elsewhere (cloud {entry.cloud}).")
        return entry

    def _no_shell(self, sandbox: SandboxId) -> str:
        entry = self._probes.last.find(sandbox.native_id)
        cloud = "local" if entry is None else entry.cloud
        said = {"local": NO_SHELL, "docker": NO_SHELL_DOCKER}.get(cloud, NO_SHELL_REMOTE)
        return f"No shell in {sanitize(sandbox.native_id, 60)}: {said}."


class AssistantLink:
    """Makes and proves links; counts how often a young gateway refused.

    No cached token is ever proof: the last word is the gateway's, asked now.
    """

    def __init__(self, probes: AssistantProbes, runner: VellumRunner, clock: Clock) -> None:
        self._probes = probes
        self._runner = runner
        self._clock = clock
        self._refusals: dict[str, int] = {}

    async def steps(self, entry: AssistantEntry) -> AsyncGenerator[Step | Verdict, None]:
        """`credential`, then `connect`."""
        undated: AssistantEvidence | None = None
        if entry.cloud != "paired":
            step = StepBuilder("credential", self._clock)
            yield step.begun
            seen = await self._probes.files(entry)
            if seen.credential.state is CredentialState.UNDATED and seen.credential.renewable:
                undated = seen
            if seen.credential.state is CredentialState.EXPIRED:
                # From here it must not be interrupted: a spent token would revoke its family.
                yield step.running("renewing", limit_s=REFRESH_S, critical=True)
                ended, meaning = await self._renew(entry, seen, step)
            else:
                ended, meaning = self._judged(step, seen, classify(_assume_serving(seen)))
            if meaning is not None:
                yield meaning
            yield ended
            if ended.state is StepState.FAILED:
                return
        step = StepBuilder("connect", self._clock, MINT_S + READY_S)
        yield step.begun
        ended, meaning = await self._connect(entry, step)
        if undated is not None and meaning is not None and meaning.confirmable == REISSUE:
            # The gateway has said what the file could not: a renewal signs nobody else out.
            yield step.running("renewing", limit_s=REFRESH_S, critical=True)
            ended, meaning = await self._renew(entry, undated, step)
            if ended.state is StepState.OK:
                ended, meaning = await self._connect(entry, step)
        if meaning is not None:
            yield meaning
        yield ended

    async def _renew(
        self, entry: AssistantEntry, seen: AssistantEvidence, step: StepBuilder
    ) -> _Ended:
        if await asyncio.to_thread(self._probes.prove, entry) is None:
            # The command would hand the credential to whoever listens there.
            return step.failed(_unproven(entry)), None
        try:
            action = await self._runner.refresh(entry.id)
        except UnavailableError as error:
            return step.failed(f"{error.sentence} {error.advice}".strip()), None
        if action.code == 0:
            again = await self._probes.files(entry)
            if again.credential.state in (CredentialState.VALID, CredentialState.UNDATED):
                return step.ok("renewed"), None
            return step.failed("The renewal ended well and left no good credential."), None
        if not action.status:
            # Commands up to 0.11.2 name no reason: a gateway that serves refused the credential.
            seen = await self._probes.probe_known(entry)
            status = 401 if serving(seen.ready) else 503
            action = replace(action, status=status, unnamed=True)
        judged = classify(replace(seen, action=action))
        if judged.row == 0:
            reason = f"The credential could not be renewed ({action.status} {action.word})".rstrip()
            return step.failed(f"{reason}."), None
        return self._judged(step, seen, judged)

    async def _connect(self, entry: AssistantEntry, step: StepBuilder) -> _Ended:
        if entry.cloud == "paired":
            seen = await self._probes.probe_paired(entry, AssistantEvidence(self._clock.now()))
            good = serving(seen.ready)
            if good:
                return step.ok("the other machine says that it serves"), None
            return step.failed("The other machine does not say it serves."), None
        if entry.gateway_port is None:
            return step.failed("No gateway port is recorded."), None
        path = self._probes.place.token(entry.id)
        token = await asyncio.to_thread(credential.access_token, path)
        reply = await http_probe.mint(
            entry.gateway_port, token, MINT_S, lambda: self._probes.prove(entry)
        )
        if reply.answer is HttpOutcome.UNPROVEN:
            return await self._unproven(entry, step)
        if reply.status == 200 and (reply.body or {}).get("token") is True:
            self._refusals.pop(entry.id, None)
            ready = await http_probe.local(entry.gateway_port, "/readyz", READY_S)
            if serving(ready):
                return step.ok("the gateway takes the credential"), None
            return step.failed("The gateway stopped being ready."), None
        if not reply.status:
            said = f"The gateway did not check the credential: {reply.answer.value}."
            return step.failed(said), None
        seen = await self._probes.files(entry)
        action = self._mint_result(entry, seen, reply)
        judged = classify(replace(seen, action=action))
        if judged.row == 0:
            said = f"The gateway answered the credential with status {reply.status}."
            return step.failed(said), None
        return self._judged(step, seen, judged)

    async def _unproven(self, entry: AssistantEntry, step: StepBuilder) -> _Ended:
        """Nothing was sent: what that means where the owner of a port is not ours to read."""
        if entry.cloud == "local" or entry.gateway_port is None:
            return step.failed(_unproven(entry)), None
        ready = await http_probe.local(entry.gateway_port, "/readyz", READY_S)
        if serving(ready):
            return step.ok(
                "it serves; the credential was not tried, since it is in a container"
            ), None
        return step.failed("The gateway stopped being ready."), None

    def _mint_result(
        self, entry: AssistantEntry, seen: AssistantEvidence, reply: HttpReply
    ) -> ActionResult:
        started = seen.gateway.written_at
        young = started is not None and 0 <= seen.now - started < YOUNG_S
        if reply.status == 401 and young:
            count = self._refusals.get(entry.id, 0) + 1
            young = count < YOUNG_PRIMES
            self._refusals[entry.id] = count if young else 0
        word = (reply.body or {}).get("error")
        if isinstance(word, dict):
            word = word.get("code")
        return ActionResult(
            ActionKind.MINT,
            reply.status,
            word if isinstance(word, str) else reply.word,
            reply.retry_after,
            young,
        )

    def _judged(
        self, step: StepBuilder, seen: AssistantEvidence, judged: AssistantJudgement
    ) -> _Ended:
        if judged.remedy in (Remedy.FINE, Remedy.REFRESH):
            undated = seen.credential.state is CredentialState.UNDATED
            return step.ok(
                "stored; its expiry is not known" if undated else "stored and not expired"
            ), None
        said = verdicts.from_link(judged, seen.tool)
        passing = said is None or said.kind is VerdictKind.SETTLING
        return step.failed(judged.reason, transient=passing), said


async def until_over(
    told: AsyncGenerator[str | ActionResult, None], over: Coroutine[None, None, AssistantEvidence]
) -> AsyncGenerator[str | ActionResult | AssistantEvidence, None]:
    """What is told, and last, if that comes first, what `over` found."""
    watch = asyncio.ensure_future(over)
    line: asyncio.Future[str | ActionResult] | None = None
    try:
        while True:
            line = asyncio.ensure_future(anext(told))
            await asyncio.wait((line, watch), return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                yield watch.result()
                return
            try:
                yield line.result()
            except StopAsyncIteration:
                return
    finally:
        watch.cancel()
        if line is not None and not line.done():
            line.cancel()
        await asyncio.gather(watch, *(() if line is None else (line,)), return_exceptions=True)
        await told.aclose()


def hint(line: str) -> str:
    """What a line of progress is about; empty where it says nothing known.

    Such lines are unversioned and decide nothing (upstream/vellum: Progress lines).
    """
    return next((words for sign, words in _HINTS if sign in line), "")


def _unproven(entry: AssistantEntry) -> str:
    return (
        f"No credential was sent: what listens on port {entry.gateway_port} is not proven to be "
        "its gateway."
    )


def _assume_serving(seen: AssistantEvidence) -> AssistantEvidence:
    """The link begins after a look that found it serving; `connect` asks again."""
    return replace(
        seen, health=HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok"}), ready=_SERVING
    )
