"""What one look alone does not settle: a gateway that may only be slow, a word nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from services.models import (
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Severity,
    UnknownWord,
)

_DOUBTFUL_STATES = frozenset((GatewayState.HUNG, GatewayState.UNKNOWN))
"""What one bad poll can wrongly report; a refused connection is definite."""


class GatewayDoubts:
    """How many polls in a row found a gateway hung or unknown that had been ready."""

    def __init__(self, thresholds: Mapping[str, int]) -> None:
        """`thresholds`: by source, how many of them are believed; one where it is not named."""
        self._thresholds = thresholds
        self._counts: Counter[GatewayId] = Counter()

    def accepted(self, seen: Gateway, previous: Gateway | None, background: bool) -> Gateway:
        """The gateway row the board accepts after one more poll."""
        if (
            not background
            or previous is None
            or previous.state is not GatewayState.READY
            or seen.state not in _DOUBTFUL_STATES
        ):
            self._counts.pop(seen.id, None)
            return seen
        self._counts[seen.id] += 1
        enough = self._thresholds.get(seen.id.source, 1)
        return previous if self._counts[seen.id] < enough else seen

    def forget(self, gone: Iterable[GatewayId]) -> None:
        """These are gone."""
        for key in gone:
            self._counts.pop(key, None)


class UnknownWords:
    """Words of other systems without a meaning here, and in how many looks they stood."""

    def __init__(self) -> None:
        self._words: dict[UnknownWord, int] = {}

    @property
    def seen(self) -> Mapping[UnknownWord, int]:
        """Each with the number of looks."""
        return MappingProxyType(self._words)

    def new(self, seen: Observation, label: str) -> list[Event]:
        """Count those of a look; an event for each that is new."""
        new = [one for one in seen.unknown_words if one not in self._words]
        for one in seen.unknown_words:
            self._words[one] = self._words.get(one, 0) + 1
        return [
            Event(
                seen.observed_at,
                Severity.INFO,
                seen.source,
                "",
                "word",
                f"{label} says {one.word!r} as {one.place}: this panel does not know it",
                one.place,
                one.word,
            )
            for one in dict.fromkeys(new)
        ]
