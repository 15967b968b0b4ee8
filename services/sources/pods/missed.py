"""What a platform did not tell of one of many: the others are shown, and the rest is not known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.errors import SignedOutError, WakedeckError
from services.models import GatewayId, Sandbox, Unknown
from services.net.http import ApiError
from services.sources.pods.errors import RefusalText, explain_api_error
from services.text.format import plural

_NAMED = 3


class Missed:
    """Collects the failures of one poll; a refused login is the whole source's and goes through."""

    def __init__(self, words: RefusalText) -> None:
        self._words = words
        self._errors: list[WakedeckError] = []
        self._said: list[str] = []

    @contextmanager
    def one_of_many(self, name: str = "") -> Iterator[None]:
        """What fails in here is one that is not known."""
        try:
            yield
        except SignedOutError:
            raise
        except WakedeckError as error:
            told = error
            if isinstance(error, ApiError):
                if error.status == 401:
                    raise
                told = explain_api_error(error, self._words)
            self._errors.append(error)
            self._said.append(f"{name}: {told.sentence}" if name else told.sentence)

    def raise_first(self) -> None:
        """Raise what failed first, where anything did: nothing is known then."""
        if self._errors:
            raise self._errors[0]

    def note_odd(self, count: int) -> None:
        """So many entries of the list were not understood."""
        if count:
            self._said.append(f"{plural(count, 'line')} of the list not understood")

    def note_cut(self, count: int, most: int, what: str) -> None:
        """No more than `most` of the `count` were asked for."""
        if count > most:
            self._said.append(f"only {most} of {count} {what} are shown")

    def unknown(self, front: GatewayId) -> tuple[tuple[GatewayId, Unknown[Sandbox]], ...]:
        """The list behind the platform, where it is not whole."""
        if not self._said:
            return ()
        more = len(self._said) - _NAMED
        said = "; ".join(self._said[:_NAMED]) + (f"; {more} more" if more > 0 else "")
        return ((front, Unknown(said)),)
