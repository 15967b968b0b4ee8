"""Actions that are confirmed each time, as they are proposed and carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from services.lazy_dataclass import dataclass
from services.models import SandboxId, Step, Verb


@dataclass(frozen=True, slots=True)
class Proposal:
    """A confirmable action with its question and consequence, frozen as it was shown."""

    sandbox: SandboxId
    verb: str
    """The source's own word for it, as in `Verdict.confirmable`."""
    title: str
    """The question."""
    target: str
    """What it is done to."""
    consequence: str = ""
    """What will happen, in sentences; may have several lines."""
    button: str = "Confirm"
    refusal: str = ""
    """Why it cannot be done now; there is then nothing to agree to."""
    token: str = ""
    """What the source needs to do exactly this and nothing else; not for showing."""
    act: str = ""
    """What it is called in a sentence, such as “re-issuing the credential”."""
    goal: Verb | None = None
    """What has to hold once it is done; None where its own end says it all."""
    typed_name: str = ""
    """What has to be typed before it is done, where something is stopped or lost by it."""
    container: str = ""
    """A shell opens in this container of it once it is done; empty: none does."""
    words: str = ""
    """The text it sends, which may be put in other words; empty: there is nothing to word."""


class Proposer(Protocol):
    """Actions that need the operator's confirmation each time."""

    @property
    def verbs(self) -> tuple[tuple[str, str], ...]:
        """(verb, what it is called) of everything that can be proposed here."""

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What the verb would do to this sandbox now; nothing is done.

        `words` are the operator's own where it sends a text; empty: the usual ones.

        Raises:
            NotFoundError: no such sandbox or verb here.
            UnavailableError: nothing can be said just now.
        """

    def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Do what was agreed to, as the actor wakes: used by the attempt machine alone.

        The detail of the last step says in a sentence how it went. Closing the iterator ends
        every child that is not of a critical step.

        Raises:
            RefusedError: it is no longer what was agreed to.
            UnavailableError: it could not be done.
        """
