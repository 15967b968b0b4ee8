"""Actions of a far side that are confirmed each time: asked about there, agreed to here."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from services.errors import NotFoundError, UnavailableError
from services.models import SandboxId, Step
from services.sources.protocol.proposer import Proposal
from services.sources.remote.actor import steps, target
from services.sources.remote.calls import whole_answer
from services.sources.remote.link import Link
from services.text.redact import redact_line
from services.wire.frames import WireError
from services.wire.incoming import is_id
from services.wire.proposals import proposal_shown, proposal_value

ASK_S = 30.0


class RemoteProposer:
    """Proposals of every source of a far side."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def verbs(self) -> tuple[tuple[str, str], ...]:
        """Those of all sources there, as far as it is connected."""
        every = [pair for far in self._link.mirror.far.values() for pair in far.info.verbs[:32]]
        return tuple((verb, redact_line(title, 60)) for verb, title in every if is_id(verb))

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        far, native = target(self._link, sandbox)
        if verb not in dict(far.info.verbs):
            raise NotFoundError("Nothing of the kind is offered there.")
        args = {"source": far.info.key, "sandbox": native, "verb": verb, "words": words}
        items = await whole_answer(self._link.call("propose", args), ASK_S, self._link.label)
        try:
            return proposal_shown(sandbox, items[0] if items else None)
        except WireError as error:
            raise UnavailableError(f"{self._link.label}: {error}.") from error

    async def carry_out(self, proposal: Proposal) -> AsyncGenerator[Step]:
        args = {"proposal": proposal_value(proposal)}
        async with aclosing(steps(self._link, proposal.sandbox, "carry_out", args)) as told:
            async for step in told:
                if isinstance(step, Step):
                    yield step
