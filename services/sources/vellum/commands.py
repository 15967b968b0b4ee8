"""The only four commands that are ever run, and what makes their arguments safe.

A leading dash or an empty id would make the command act on whichever assistant is active
(upstream/vellum: Commands).
"""

from __future__ import annotations

from enum import Enum

from services.errors import RefusedError
from services.lazy_dataclass import dataclass
from services.sources.vellum.registry import safe_id
from services.text.sanitize import sanitize


class Command(Enum):
    """What may be run; the words before and after the id."""

    WAKE = (("wake",), ())
    REFRESH = (("gateway", "token", "refresh"), ())
    REISSUE = (("wake",), ("--repair-guardian",))
    SLEEP = (("sleep",), ())


NEEDS_CONFIRMATION = frozenset((Command.REISSUE, Command.SLEEP))


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The operator agreed to this for this assistant of this environment."""

    environment: str
    assistant: str
    verb: str


def argv(
    program: str, command: Command, assistant: str, confirmation: Confirmation | None = None
) -> tuple[str, ...]:
    """The argument list, with exactly one id.

    Raises:
        RefusedError: the id could be taken for something else, or the operator did not agree.
    """
    if not safe_id(assistant):
        raise RefusedError(f"{sanitize(str(assistant), 60)!r} is not an id that can be passed on.")
    if command in NEEDS_CONFIRMATION and (
        confirmation is None or confirmation.assistant != assistant
    ):
        raise RefusedError("This needs the operator's word first.")
    before, after = command.value
    return (program, *before, assistant, *after)
