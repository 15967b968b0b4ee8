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
from services.sources.vellum.credential import Standing
from services.sources.vellum.evidence import Act, Did, Evidence
from services.sources.vellum.http_probe import Answer, Reply
from services.sources.vellum.judge import Judgement, Means, classify, serving
from services.sources.vellum.limits import MINT_S, READY_S, REFRESH_S, YOUNG_PRIMES, YOUNG_S
from services.sources.vellum.probes import Looker
from services.sources.vellum.registry import Entry
from services.sources.vellum.runner import Runner

_SERVING = Reply(Answer.ANSWERED, 200, {"status": "ok", "ready": True})


class Link:
    """Makes and proves links; counts how often a young gateway refused."""

    def __init__(self, looker: Looker, runner: Runner, clock: Clock) -> None:
        self._looker = looker
        self._runner = runner
        self._clock = clock
        self._refusals: dict[str, int] = {}

    async def steps(self, entry: Entry) -> AsyncGenerator[Step, None]:
        """`credential`, then `connect`."""
        if entry.cloud != "paired":
            step = Step("credential", StepState.RUNNING, self._clock.now())
            yield step
            seen = await self._looker.files(entry)
            if seen.credential.standing is Standing.EXPIRED:
                # From here it must not be interrupted: a spent token would revoke its family.
                step = replace(step, limit_s=REFRESH_S, detail="renewing", critical=True)
                yield step
                step = await self._renewed(entry, seen, step)
            else:
                step = self._judged(step, seen, classify(_assumed(seen)))
            yield step
            if step.state is StepState.FAILED:
                return
        step = Step("connect", StepState.RUNNING, self._clock.now(), limit_s=MINT_S + READY_S)
        yield step
        yield await self._connected(entry, step)

    async def _renewed(self, entry: Entry, seen: Evidence, step: Step) -> Step:
        try:
            act = await self._runner.refresh(entry.id)
        except UnavailableError as error:
            return self._ended(step, StepState.FAILED, f"{error.sentence} {error.advice}".strip())
        if act.code == 0:
            again = await self._looker.files(entry)
            if again.credential.standing is Standing.VALID:
                return self._ended(step, StepState.OK, "renewed")
            return self._ended(
                step, StepState.FAILED, "The renewal ended well and left no good credential."
            )
        if not act.status:
            return self._ended(
                step,
                StepState.FAILED,
                "The credential could not be renewed; vellum gave no reason.",
            )
        judged = classify(replace(seen, act=act))
        if judged.row == 0:
            reason = f"The credential could not be renewed ({act.status} {act.word})".rstrip()
            return self._ended(step, StepState.FAILED, f"{reason}.")
        return self._judged(step, seen, judged)

    async def _connected(self, entry: Entry, step: Step) -> Step:
        if entry.cloud == "paired":
            seen = await self._looker.paired(entry, Evidence(self._clock.now()))
            good = serving(seen.ready)
            if good:
                return self._ended(step, StepState.OK, "the other machine says that it serves")
            return self._ended(step, StepState.FAILED, "The other machine does not say it serves.")
        if entry.gateway_port is None:
            return self._ended(step, StepState.FAILED, "No gateway port is recorded.")
        path = self._looker.place.token(entry.id)
        token = await asyncio.to_thread(credential.access_token, path)
        reply = await http_probe.mint(entry.gateway_port, token, MINT_S)
        if reply.status == 200 and (reply.body or {}).get("token") is True:
            self._refusals.pop(entry.id, None)
            ready = await http_probe.local(entry.gateway_port, "/readyz", READY_S)
            if serving(ready):
                return self._ended(step, StepState.OK, "the gateway takes the credential")
            return self._ended(step, StepState.FAILED, "The gateway stopped being ready.")
        if not reply.status:
            said = f"The gateway did not check the credential: {reply.answer.value}."
            return self._ended(step, StepState.FAILED, said)
        seen = await self._looker.files(entry)
        act = self._minted(entry, seen, reply)
        judged = classify(replace(seen, act=act))
        if judged.row == 0:
            said = f"The gateway answered the credential with status {reply.status}."
            return self._ended(step, StepState.FAILED, said)
        return self._judged(step, seen, judged)

    def _minted(self, entry: Entry, seen: Evidence, reply: Reply) -> Act:
        started = seen.gateway.written_at
        young = started is not None and 0 <= seen.now - started < YOUNG_S
        if reply.status == 401 and young:
            count = self._refusals.get(entry.id, 0) + 1
            young = count < YOUNG_PRIMES
            self._refusals[entry.id] = count if young else 0
        word = (reply.body or {}).get("error")
        if isinstance(word, dict):
            word = word.get("code")
        return Act(
            Did.MINT,
            reply.status,
            word if isinstance(word, str) else reply.word,
            reply.retry_after,
            young,
        )

    def _judged(self, step: Step, seen: Evidence, judged: Judgement) -> Step:
        if judged.means in (Means.FINE, Means.REFRESH):
            return self._ended(step, StepState.OK, "stored and not expired")
        said = verdicts.of_link(judged, seen.tool)
        failed = self._ended(step, StepState.FAILED, judged.reason)
        passing = said is None or said.kind is VerdictKind.SETTLING
        return replace(failed, verdict=said, transient=passing)

    def _ended(self, step: Step, state: StepState, detail: str) -> Step:
        return replace(step, state=state, ended_at=self._clock.now(), detail=detail)


def _assumed(seen: Evidence) -> Evidence:
    """The link begins after a look that found it serving; `connect` asks again."""
    return replace(seen, health=Reply(Answer.ANSWERED, 200, {"status": "ok"}), ready=_SERVING)
