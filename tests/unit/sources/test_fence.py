"""A surprise in one source is that source's failure alone, whatever it is and wherever."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from services.errors import NotFoundError, UnavailableError
from services.models import SandboxId, Source
from services.sources.protocol.observer import AsksToSignIn, Listens, NameFinder
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_fenced

INFO = Source("odd", "local", "odd", "")
BOX = SandboxId("odd", "box")


class Odd:
    """Both halves of a source in which everything goes wrong."""

    def __init__(self, error: BaseException) -> None:
        self.info = INFO
        self.error = error
        self.closed = False

    async def observe(self) -> None:
        raise self.error

    def wake_key(self, sandbox: SandboxId) -> str:
        raise self.error

    async def wake(self, sandbox: SandboxId) -> AsyncIterator[int]:
        try:
            yield 1
            raise self.error
        finally:
            self.closed = True

    async def close(self) -> None:
        raise self.error


class Hearing(Odd):
    """One that hears news, and can be asked to sign in."""

    signed_out = True

    async def news(self) -> None:
        raise self.error


def test_what_a_half_can_do_is_seen_through_its_fence() -> None:
    """Statically too, as `isinstance` with a protocol looks from Python 3.12 on."""
    odd: Any = Hearing(ValueError())
    observer = open_fenced(INFO, lambda: OpenSource(odd, odd)).observer
    for name in ("news", "signed_out", "observe"):
        inspect.getattr_static(observer, name)
    with pytest.raises(AttributeError):
        inspect.getattr_static(observer, "find")
    assert isinstance(observer, Listens) and isinstance(observer, AsksToSignIn)
    assert observer.signed_out and not isinstance(observer, NameFinder)


def fenced(error: BaseException) -> tuple[OpenSource, Odd]:
    odd: Any = Odd(error)
    return open_fenced(INFO, lambda: OpenSource(odd, odd)), odd


@pytest.mark.parametrize(
    "error", [ValueError("Port out of range"), ImportError("socksio"), RecursionError(), OSError(5)]
)
async def test_any_exception_is_a_failure_of_the_source_and_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    source, odd = fenced(error)
    with pytest.raises(UnavailableError, match=rf"in odd \({type(error).__name__}"):
        await source.observer.observe()
    with pytest.raises(UnavailableError):
        source.actor.wake_key(BOX)
    seen: list[object] = []
    with pytest.raises(UnavailableError):
        async for one in source.actor.wake(BOX):
            seen.append(one)
    assert seen == [1]
    assert odd.closed
    await source.observer.close()
    assert all(record.exc_info for record in caplog.records if record.levelno >= logging.ERROR)
    assert len([one for one in caplog.records if one.levelno >= logging.ERROR]) == 4


async def test_errors_of_the_services_and_a_cancel_pass_as_they_are() -> None:
    told = NotFoundError("no such box")
    source, _ = fenced(told)
    with pytest.raises(NotFoundError) as raised:
        await source.observer.observe()
    assert raised.value is told
    source, _ = fenced(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await source.observer.observe()


async def test_closing_what_it_yields_reaches_the_source() -> None:
    source, odd = fenced(ValueError())
    async with aclosing(source.actor.wake(BOX)) as steps:  # type: ignore[type-var]
        assert await anext(steps) == 1  # type: ignore[comparison-overlap]
    assert odd.closed


@pytest.mark.parametrize("error", [ImportError("no such module"), TypeError("bad"), SystemExit(3)])
async def test_one_that_cannot_be_opened_says_so_whenever_it_is_asked(error: BaseException) -> None:
    def opening() -> OpenSource:
        raise error

    source = open_fenced(INFO, opening)
    assert source.info == INFO
    asked: tuple[Any, ...] = (source.observer.observe, source.actor.wake_key)
    for ask in asked:
        with pytest.raises(UnavailableError, match=type(error).__name__):
            ask(BOX)
    await source.observer.close()
    await source.actor.close()


def test_a_secret_in_what_went_wrong_is_masked() -> None:
    source, _ = fenced(ValueError("it said token=hunter2"))
    with pytest.raises(UnavailableError) as raised:
        source.actor.wake_key(BOX)
    assert "hunter2" not in raised.value.sentence
