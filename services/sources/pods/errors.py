"""Turns an API server's error answers into errors with advice for the operator."""

from __future__ import annotations

from dataclasses import dataclass

from services.errors import UnavailableError
from services.sources.pods.credential import SignedOutError
from services.sources.pods.http import ApiError


@dataclass(frozen=True, slots=True)
class RefusalText:
    """One server's sentences for refused requests."""

    unaccepted: str
    sign_in: str
    forbidden: str = ""
    """Empty where a 403 is said as any other answer."""
    rights: str = ""


def explain_api_error(error: ApiError, words: RefusalText) -> UnavailableError:
    """An answer that was an error, said for an operator."""
    tail = f": {error.said}" if error.said else ""
    if error.status == 401:
        return SignedOutError(f"{words.unaccepted} (401){tail}.", advice=words.sign_in)
    if error.status == 403 and words.forbidden:
        return UnavailableError(f"{words.forbidden} (403){tail}.", advice=words.rights)
    return UnavailableError(error.sentence, advice=error.advice)
