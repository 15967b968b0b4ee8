"""Errors of the services as a `failed` message, and back."""

from __future__ import annotations

from services.errors import (
    AmbiguousError,
    ChoiceError,
    DeadlineError,
    NotFoundError,
    ProcessError,
    ReadOnlyError,
    RefusedError,
    ShellError,
    SignedOutError,
    UnavailableError,
    WakedeckError,
)
from services.logs.reader import LogEndedError
from services.models import Retry
from services.text.redact import redact_line
from services.text.sanitize import sanitize
from services.wire.messages import Failed

KINDS: dict[str, type[WakedeckError]] = {
    "read_only": ReadOnlyError,
    "refused": RefusedError,
    "not_found": NotFoundError,
    "ambiguous": AmbiguousError,
    "deadline": DeadlineError,
    "signed_out": SignedOutError,
    "log_ended": LogEndedError,
    "process": ProcessError,
    "choice": ChoiceError,
    "shell": ShellError,
    "unavailable": UnavailableError,
}
"""The kinds of a failure; the most special ones first. Any other is `unavailable`."""


def failed(call: int, error: WakedeckError) -> Failed:
    """What a far side says of an error."""
    kind = next((name for name, one in KINDS.items() if isinstance(error, one)), "unavailable")
    return Failed(
        id=call,
        kind=kind,
        sentence=redact_line(error.sentence),
        advice=redact_line(error.advice),
        retry=error.retry.value if isinstance(error, ShellError) else "",
        choices=list(error.choices) if isinstance(error, ChoiceError) else [],
        code=error.code if isinstance(error, ProcessError) else None,
    )


def error_of(said: Failed, who: str) -> WakedeckError:
    """The error that a far side speaks of."""
    sentence = redact_line(said.sentence) or f"{who} gave no reason."
    advice = redact_line(said.advice)
    kind = KINDS.get(said.kind, UnavailableError)
    retry = {one.value: one for one in Retry}.get(said.retry, Retry.ASK)
    if kind is ChoiceError:
        choices = tuple(sanitize(one, 253) for one in said.choices[:500])
        return ChoiceError(sentence, choices, advice=advice)
    if kind is ShellError:
        return ShellError(sentence, retry=retry, advice=advice)
    if kind is ProcessError:
        return ProcessError(sentence, advice=advice, code=said.code)
    return kind(sentence, advice=advice)
