"""What the operator has to agree to each time: a new credential, and a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from services.clock import Clock
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.lazy_dataclass import dataclass
from services.models import SandboxId, Step, Verb
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.sources.vellum import messages
from services.sources.vellum.actor import VellumActor
from services.sources.vellum.commands import Command, Confirmation
from services.sources.vellum.credential import CredentialState
from services.sources.vellum.evidence import ActionResult, AssistantEvidence
from services.sources.vellum.judge import REISSUE, RESTART, classify
from services.sources.vellum.limits import REISSUE_S, SLEEP_S
from services.sources.vellum.ownership import Holder
from services.sources.vellum.probes import AssistantProbes
from services.sources.vellum.registry import AssistantEntry
from services.sources.vellum.runner import VellumRunner
from services.text.sanitize import sanitize


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one act is spoken of, and what has to hold after it."""

    words: str
    question: str
    button: str
    act: str
    goal: Verb
    consequence: str


_KINDS = {
    REISSUE: _Kind(
        "Re-issue the credential of",
        "Re-issue the credential?",
        "Re-issue",
        "re-issuing the credential",
        Verb.RECONNECT,
        "Every other device that is signed in to this assistant is signed out and has to be "
        "paired again.\n"
        "Runs “vellum wake … --repair-guardian”, then proves the new credential. Once begun, "
        "issuing it is never interrupted.",
    ),
    RESTART: _Kind(
        "Restart",
        "Restart this assistant?",
        "Restart",
        "restarting it",
        Verb.WAKE,
        "The assistant and its gateway are put to sleep and woken again; what it works on now is "
        "cut off. An assistant in a call refuses.\n"
        "Runs “vellum sleep”, then “vellum wake”. Its data stays.",
    ),
}


class VellumProposer:
    """Proposes and carries out re-issuing the credential and restarting."""

    verbs = tuple((verb, kind.words) for verb, kind in _KINDS.items())

    def __init__(
        self,
        source: str,
        probes: AssistantProbes,
        runner: VellumRunner,
        actor: VellumActor,
        clock: Clock,
    ) -> None:
        self._source = source
        self._probes = probes
        self._runner = runner
        self._actor = actor
        self._clock = clock

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        entry, seen = await self._seen(sandbox, verb)
        kind = _KINDS[verb]
        refusal = ""
        if not entry.local:
            refusal = "it does not run on this machine"
        elif verb == RESTART and entry.cloud != "local":
            refusal = "only an assistant that runs without a container can be restarted from here"
        elif seen.tool:
            refusal = f"vellum cannot be run, {seen.tool}"
        elif seen.key_refusal:
            refusal = messages.no_verb(seen)
        return Proposal(
            sandbox,
            verb,
            kind.question,
            f"{entry.name} ({sanitize(entry.id, 60)}, environment {seen.environment})",
            kind.consequence,
            kind.button,
            refusal,
            _token(sandbox, verb, seen),
            kind.act,
            kind.goal,
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        name = "re-issue" if proposal.verb == REISSUE else "sleep"
        step = StepBuilder(name, self._clock)
        yield step.begun
        entry, seen = await self._seen(proposal.sandbox, proposal.verb)
        if proposal.refusal:
            raise RefusedError(f"It cannot be done: {proposal.refusal}.")
        if proposal.token != _token(proposal.sandbox, proposal.verb, seen):
            # Somebody else was quicker: what there is now is verified, and nothing done again.
            yield step.skipped(_CHANGED[proposal.verb])
            return
        confirmation = Confirmation(seen.environment, entry.id, proposal.verb)
        if proposal.verb == REISSUE:
            if seen.listener.holder in (Holder.OTHER, Holder.HIDDEN) and entry.cloud == "local":
                # The command would hand its secrets to whoever listens there.
                raise RefusedError(messages.held(seen))
            # From here it must not be interrupted: a half-issued credential shuts everybody out.
            yield step.running("a new one is issued", limit_s=REISSUE_S, critical=True)
            yield step.ok(await self._reissued(entry, confirmation))
            return
        yield step.running("its processes are ended", limit_s=SLEEP_S)
        yield step.ok(await self._asleep(entry, confirmation))
        async with aclosing(self._actor.wake(proposal.sandbox)) as steps:
            async for one in steps:
                yield one

    async def _reissued(self, entry: AssistantEntry, confirmation: Confirmation) -> str:
        ended = await self._runner.reissue(entry.id, REISSUE_S, confirmation)
        if ended.code is None:
            raise UnavailableError(
                f"A new credential was not issued within {REISSUE_S:g} s; the command was left "
                "running and its outcome is unknown.",
                advice="Wait until it has ended, then reconnect.",
            )
        if ended.code:
            said = self._runner.redacted(ended.stderr, entry.id)
            raise UnavailableError(
                f"No new credential was issued (status {ended.code}). {said}".strip()
            )
        seen = await self._probes.files(entry)
        if seen.credential.state is not CredentialState.VALID:
            raise UnavailableError("The command ended well and left no good credential.")
        return "A new credential was issued; other devices are signed out."

    async def _asleep(self, entry: AssistantEntry, confirmation: Confirmation) -> str:
        async with aclosing(
            self._runner.lines(Command.SLEEP, entry.id, SLEEP_S, confirmation)
        ) as told:
            async for one in told:
                if isinstance(one, ActionResult) and one.code != 0:
                    why = one.problem or one.said or "it took too long"
                    raise UnavailableError(f"It could not be put to sleep: {why}")
        return "It was put to sleep."

    async def _seen(
        self, sandbox: SandboxId, verb: str
    ) -> tuple[AssistantEntry, AssistantEvidence]:
        if sandbox.source != self._source or verb not in _KINDS:
            raise NotFoundError("There is nothing of the kind here.")
        registry = await self._probes.registry()
        entry = registry.find(sandbox.native_id)
        if registry.problem or entry is None:
            seen = await self._probes.assistant(registry, sandbox.native_id)
            raise UnavailableError(classify(seen).reason)
        return entry, await self._probes.files(entry)


_CHANGED = {
    REISSUE: "The credential had been replaced since it was asked about; nothing was issued.",
    RESTART: "It had been started anew since it was asked about; it was not restarted again.",
}


def _token(sandbox: SandboxId, verb: str, seen: AssistantEvidence) -> str:
    """What the agreement is about: another panel may have done it meanwhile."""
    held = seen.credential.written_at
    running = tuple((one.pid, one.written_at) for one in (seen.assistant, seen.gateway))
    return f"{seen.environment}/{sandbox.native_id}/{verb}/{held if verb == REISSUE else running}"
