"""The link to a serving assistant: a good credential, and a gateway that takes it.

No cached token is ever proof: the last word is the gateway's, asked now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from services.clock import Clock
from services.errors import UnavailableError
from services.models import Step, StepState, VerdictKind
from services.sources.vellum import credential, http_probe, verdicts
from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import ActionKind, ActionResult, AssistantEvidence
from services.sources.vellum.http_probe import HttpOutcome, HttpReply
from services.sources.vellum.judge import AssistantJudgement, Remedy, classify, serving
from services.sources.vellum.limits import MINT_S, READY_S, REFRESH_S, YOUNG_PRIMES, YOUNG_S
from services.sources.vellum.probes import AssistantProbes
from services.sources.vellum.registry import AssistantEntry
from services.sources.vellum.runner import VellumRunner

_SERVING = HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok", "ready": True})


class AssistantLink:
    """Makes and proves links; counts how often a young gateway refused."""

    def __init__(self, probes: AssistantProbes, runner: VellumRunner, clock: Clock) -> None:
        self._probes = probes
        self._runner = runner
        self._clock = clock
        self._refusals: dict[str, int] = {}

    async def steps(self, entry: AssistantEntry) -> AsyncGenerator[Step, None]:
        """`credential`, then `connect`."""
        if entry.cloud != "paired":
            step = Step("credential", StepState.RUNNING, self._clock.now())
            yield step
            seen = await self._probes.files(entry)
            if seen.credential.state is CredentialState.EXPIRED:
                # From here it must not be interrupted: a spent token would revoke its family.
                step = replace(step, limit_s=REFRESH_S, detail="renewing", critical=True)
                yield step
                step = await self._renew(entry, seen, step)
            else:
                step = self._judged(step, seen, classify(_assume_serving(seen)))
            yield step
            if step.state is StepState.FAILED:
                return
        step = Step("connect", StepState.RUNNING, self._clock.now(), limit_s=MINT_S + READY_S)
        yield step
        yield await self._connect(entry, step)

    async def _renew(self, entry: AssistantEntry, seen: AssistantEvidence, step: Step) -> Step:
        try:
            action = await self._runner.refresh(entry.id)
        except UnavailableError as error:
            return self._finish(step, StepState.FAILED, f"{error.sentence} {error.advice}".strip())
        if action.code == 0:
            again = await self._probes.files(entry)
            if again.credential.state is CredentialState.VALID:
                return self._finish(step, StepState.OK, "renewed")
            return self._finish(
                step, StepState.FAILED, "The renewal ended well and left no good credential."
            )
        if not action.status:
            return self._finish(
                step,
                StepState.FAILED,
                "The credential could not be renewed; vellum gave no reason.",
            )
        judged = classify(replace(seen, action=action))
        if judged.row == 0:
            reason = f"The credential could not be renewed ({action.status} {action.word})".rstrip()
            return self._finish(step, StepState.FAILED, f"{reason}.")
        return self._judged(step, seen, judged)

    async def _connect(self, entry: AssistantEntry, step: Step) -> Step:
        if entry.cloud == "paired":
            seen = await self._probes.probe_paired(entry, AssistantEvidence(self._clock.now()))
            good = serving(seen.ready)
            if good:
                return self._finish(step, StepState.OK, "the other machine says that it serves")
            return self._finish(step, StepState.FAILED, "The other machine does not say it serves.")
        if entry.gateway_port is None:
            return self._finish(step, StepState.FAILED, "No gateway port is recorded.")
        path = self._probes.place.token(entry.id)
        token = await asyncio.to_thread(credential.access_token, path)
        reply = await http_probe.mint(entry.gateway_port, token, MINT_S)
        if reply.status == 200 and (reply.body or {}).get("token") is True:
            self._refusals.pop(entry.id, None)
            ready = await http_probe.local(entry.gateway_port, "/readyz", READY_S)
            if serving(ready):
                return self._finish(step, StepState.OK, "the gateway takes the credential")
            return self._finish(step, StepState.FAILED, "The gateway stopped being ready.")
        if not reply.status:
            said = f"The gateway did not check the credential: {reply.answer.value}."
            return self._finish(step, StepState.FAILED, said)
        seen = await self._probes.files(entry)
        action = self._mint_result(entry, seen, reply)
        judged = classify(replace(seen, action=action))
        if judged.row == 0:
            said = f"The gateway answered the credential with status {reply.status}."
            return self._finish(step, StepState.FAILED, said)
        return self._judged(step, seen, judged)

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

    def _judged(self, step: Step, seen: AssistantEvidence, judged: AssistantJudgement) -> Step:
        if judged.remedy in (Remedy.FINE, Remedy.REFRESH):
            return self._finish(step, StepState.OK, "stored and not expired")
        said = verdicts.from_link(judged, seen.tool)
        failed = self._finish(step, StepState.FAILED, judged.reason)
        passing = said is None or said.kind is VerdictKind.SETTLING
        return replace(failed, verdict=said, transient=passing)

    def _finish(self, step: Step, state: StepState, detail: str) -> Step:
        return replace(step, state=state, ended_at=self._clock.now(), detail=detail)


def _assume_serving(seen: AssistantEvidence) -> AssistantEvidence:
    """The link begins after a look that found it serving; `connect` asks again."""
    return replace(
        seen, health=HttpReply(HttpOutcome.ANSWERED, 200, {"status": "ok"}), ready=_SERVING
    )
