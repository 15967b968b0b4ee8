"""A source that is opened when it is first asked, not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.models import Source
from services.sources.protocol.observer import Listens
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_later

INFO = Source("here", "local", "Here", "/world")


class Failing:
    """Counts how often it was tried."""

    tries = 0

    def __call__(self) -> OpenSource:
        self.tries += 1
        raise UnavailableError("It cannot be had.")


async def test_it_is_opened_once_and_says_in_every_half_why_it_could_not_be() -> None:
    opening = Failing()
    source = open_later(INFO, opening)
    assert source.info is INFO and source.lifecycle is not None
    assert not opening.tries
    with pytest.raises(UnavailableError, match="cannot be had"):
        await source.observer.observe()
    with pytest.raises(UnavailableError, match="cannot be had"):
        await source.lifecycle.enter()
    await source.observer.close()
    await source.actor.close()
    await source.lifecycle.leave()
    tries: object = opening.tries
    assert tries == 1


def test_what_it_can_do_is_asked_of_what_it_is(tmp_path: Path) -> None:
    """Whether a half has a call is known of the half that was opened."""
    from services.clock import SystemClock
    from services.config.sources import LocalTable
    from services.sources.local.source import open_local

    def opening() -> OpenSource:
        return open_local("here", LocalTable(), SystemClock(), tmp_path)

    opened = opening()
    assert isinstance(open_later(INFO, opening).observer, Listens) == isinstance(
        opened.observer, Listens
    )
