"""The fence around each source: a surprise in one is that source's row and nobody else's."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import cache, partial, wraps
from typing import Any, NoReturn, TypeVar, cast

from services.errors import UnavailableError, WakedeckError, unforeseen
from services.models import Source
from services.sources.protocol.actor import Actor
from services.sources.protocol.observer import Observer
from services.sources.protocol.source import Lifecycle, OpenSource

_ENDINGS = ("close", "leave")
"""Calls at the end of a panel: whatever goes wrong in them, the other sources are closed too."""
_LOG = logging.getLogger(__name__)
Half = TypeVar("Half")


def open_fenced(info: Source, opening: Callable[[], OpenSource]) -> OpenSource:
    """Open a source behind its fence; one that cannot be opened says why whenever it is asked.

    `info` is what is known of it before.
    """
    try:
        opened = opening()
        key = opened.info.key
    except (Exception, SystemExit) as error:
        said = error if isinstance(error, WakedeckError) else unforeseen(info.key, error)
        unopened = _Unopened(info, said)
        return OpenSource(cast(Observer, unopened), cast(Actor, unopened))
    return replace(
        opened,
        observer=_fenced(key, opened.observer),
        actor=_fenced(key, opened.actor),
        lifecycle=_fenced(key, opened.lifecycle),
        proposer=_fenced(key, opened.proposer),
        default_sandbox=_fenced(key, opened.default_sandbox),
    )


def open_later(info: Source, opening: Callable[[], OpenSource]) -> OpenSource:
    """The same for a source that lives and dies with its panel, opened when it is first asked.

    `info` is all that opening it would tell.
    """
    opened = cache(partial(open_fenced, info, opening))
    return OpenSource(
        cast(Observer, _Later(info, lambda: opened().observer)),
        cast(Actor, _Later(info, lambda: opened().actor)),
        # One that could not be opened says so in every half.
        cast(Lifecycle, _Later(info, lambda: opened().lifecycle or opened().observer)),
    )


def _fenced(key: str, half: Half) -> Half:
    if half is None:
        return half
    # From Python 3.12 on, `isinstance` with a protocol sees nothing that only `__getattr__` has.
    offered = {name: _passed_on(name) for name in dir(half) if not name.startswith("_")}
    return cast(Half, type("_FenceOfOne", (_Fence,), offered)(key, half))


def _passed_on(name: str) -> property:
    return property(lambda fence: fence.__getattr__(name))


class _Fence:
    """Passes every call on; what comes out of one is its result or an error of the services."""

    def __init__(self, key: str, behind: object) -> None:
        self._key = key
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = found(*args, **kwargs)
            except Exception as error:
                self._raise(error)
            if inspect.isawaitable(result):
                return self._awaited(name, result)
            if isinstance(result, AsyncIterator):
                return self._items(result)
            return result

        return call

    async def _awaited(self, name: str, result: Any) -> Any:
        try:
            return await result
        except Exception as error:
            if name not in _ENDINGS:
                self._raise(error)
            _LOG.exception("%s: %s failed", self._key, name)
            return None

    async def _items(self, items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        try:
            if isinstance(items, AsyncGenerator):
                async with aclosing(items):
                    async for one in items:
                        yield one
            else:
                async for one in items:
                    yield one
        except Exception as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        if isinstance(error, WakedeckError):
            raise error
        raise unforeseen(self._key, error) from error


class _Later:
    """A half of a source that is not opened yet."""

    def __init__(self, info: Source, half: Callable[[], object]) -> None:
        self.info = info
        self._half = half

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._half(), name)


class _Unopened:
    """A source that could not be opened: every call raises why."""

    def __init__(self, info: Source, error: WakedeckError) -> None:
        self.info = info
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise UnavailableError(self._error.sentence, advice=self._error.advice)

        return refuse

    async def close(self) -> None:
        """Nothing was opened."""

    async def leave(self) -> None:
        """Nothing was entered."""
