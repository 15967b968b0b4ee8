"""What the operator has to agree to each time: a new credential, and a restart."""

from __future__ import annotations

from services.errors import NotFoundError, RefusedError, UnavailableError
from services.models import SandboxId
from services.plain import plain
from services.sources import Proposal
from services.sources.vellum.classify import REISSUE, RESTART, classify, serving
from services.sources.vellum.commands import Agreement, Command
from services.sources.vellum.credential import Standing
from services.sources.vellum.evidence import Act, Evidence
from services.sources.vellum.limits import REISSUE_S, SLEEP_S, WAKE_S
from services.sources.vellum.looker import Looker
from services.sources.vellum.registry import Entry
from services.sources.vellum.runner import Runner

_WORDS = {REISSUE: "Re-issue the credential of", RESTART: "Restart"}
_QUESTION = {REISSUE: "Re-issue the credential?", RESTART: "Restart this assistant?"}
_BUTTON = {REISSUE: "Re-issue", RESTART: "Restart"}
_CONSEQUENCE = {
    REISSUE: (
        "Every other device that is signed in to this assistant is signed out and has to be "
        "paired again.\n"
        "Runs “vellum wake … --repair-guardian”. Once begun it is never interrupted."
    ),
    RESTART: (
        "The assistant and its gateway are put to sleep and woken again; what it works on now is "
        "cut off. An assistant in a call refuses.\n"
        "Runs “vellum sleep”, then “vellum wake”. Its data stays."
    ),
}


class VellumProposer:
    """Says what would be done, then does exactly that."""

    verbs = tuple(_WORDS.items())

    def __init__(self, source: str, looker: Looker, runner: Runner) -> None:
        self._source = source
        self._looker = looker
        self._runner = runner

    async def propose(self, sandbox: SandboxId, verb: str) -> Proposal:
        entry, seen = await self._seen(sandbox, verb)
        refusal = ""
        if not entry.local:
            refusal = "it does not run on this machine"
        elif verb == RESTART and entry.cloud != "local":
            refusal = "only an assistant that runs without a container can be restarted from here"
        elif seen.tool:
            refusal = f"vellum cannot be run, {seen.tool}"
        return Proposal(
            sandbox,
            verb,
            _QUESTION[verb],
            f"{entry.name} ({plain(entry.id, 60)}, environment {seen.environment})",
            _CONSEQUENCE[verb],
            _BUTTON[verb],
            refusal,
            self._token(sandbox, verb),
        )

    async def carry_out(self, proposal: Proposal) -> str:
        entry, _ = await self._seen(proposal.sandbox, proposal.verb)
        if proposal.refusal or proposal.token != self._token(proposal.sandbox, proposal.verb):
            raise RefusedError("It is no longer what was agreed to.")
        agreed = Agreement(self._looker.place.environment, entry.id, proposal.verb)
        if proposal.verb == REISSUE:
            return await self._reissue(entry, agreed)
        return await self._restart(entry, agreed)

    async def _reissue(self, entry: Entry, agreed: Agreement) -> str:
        ended = await self._runner.reissue(entry.id, REISSUE_S, agreed)
        if ended.code is None:
            raise UnavailableError(
                f"A new credential for {entry.name} was not issued within {REISSUE_S:g} s; the "
                "command was left running and its outcome is unknown."
            )
        if ended.code:
            said = self._runner.masked(ended.stderr, entry.id)
            raise UnavailableError(
                f"No new credential for {entry.name} (status {ended.code}). {said}".strip()
            )
        seen = await self._looker.files(entry)
        if seen.credential.standing is not Standing.VALID:
            raise UnavailableError(
                f"The command ended well and left no good credential for {entry.name}."
            )
        return f"{entry.name} has a new credential; Reconnect proves that it works."

    async def _restart(self, entry: Entry, agreed: Agreement) -> str:
        for command, limit_s, word in (
            (Command.SLEEP, SLEEP_S, "put to sleep"),
            (Command.WAKE, WAKE_S, "woken"),
        ):
            async for told in self._runner.lines(command, entry.id, limit_s, agreed):
                if isinstance(told, Act) and told.code != 0:
                    why = told.problem or told.said or "it took too long"
                    raise UnavailableError(f"{entry.name} could not be {word}: {why}")
        seen = await self._looker.climbed(entry)
        if not serving(seen.ready):
            reason = classify(seen).reason
            raise UnavailableError(
                f"{entry.name} was restarted and does not serve yet: {reason}",
                advice="Wake waits for it and says what is wrong.",
            )
        return f"{entry.name} was restarted and serves."

    async def _seen(self, sandbox: SandboxId, verb: str) -> tuple[Entry, Evidence]:
        if sandbox.source != self._source or verb not in _WORDS:
            raise NotFoundError("There is nothing of the kind here.")
        registry = await self._looker.registry()
        entry = registry.find(sandbox.native_id)
        if registry.problem or entry is None:
            seen = await self._looker.assistant(registry, sandbox.native_id)
            raise UnavailableError(classify(seen).reason)
        return entry, await self._looker.files(entry)

    def _token(self, sandbox: SandboxId, verb: str) -> str:
        return f"{self._looker.place.environment}/{sandbox.native_id}/{verb}"
