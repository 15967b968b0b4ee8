"""One way to wait for a thing in a test: by looking for it, never by counting seconds."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

import psutil
import pytest

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

T = TypeVar("T")
What = str | Callable[[], object]

LIMIT_S = 60.0
"""Generous on purpose: only a test that fails waits this long."""
_FIRST_S, _LONGEST_S = 0.002, 0.05
_SHOWN = 4000
_NOT_THERE = (LookupError, StopIteration, ValueError, OSError, psutil.NoSuchProcess)
"""What looking raises where the thing is not there: no row, no file, no process, nothing in it."""


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], *, limit: float = ..., what: What = ...
) -> T: ...


@overload
async def eventually(probe: Callable[[], T], *, limit: float = ..., what: What = ...) -> T: ...


async def eventually(
    probe: Callable[[], object], *, limit: float = LIMIT_S, what: What = ""
) -> object:
    """Return the probe's first true answer; fail with what it saw last.

    An AssertionError within the probe means "not yet", and so does what says that the thing it
    looks at is not there; other errors come through at once. `what` names the thing, or is asked
    at the end for what is there instead.
    """
    deadline = time.monotonic() + limit
    pause, seen = _FIRST_S, ""
    while True:
        try:
            answer = probe()
            if inspect.isawaitable(answer):
                async with asyncio.timeout(max(0.0, deadline - time.monotonic()) + _LONGEST_S):
                    answer = await answer
            if answer:
                return answer
            seen = repr(answer)
        except TimeoutError as error:
            if time.monotonic() < deadline:
                raise
            seen = seen or str(error) or "a probe that never answered"
        except Exception as error:
            seen = _not_yet(error)
        if time.monotonic() >= deadline:
            pytest.fail(_given_up(probe, limit, what, seen))
        await asyncio.sleep(pause)  # between two looks at the thing
        pause = min(pause * 1.5, _LONGEST_S)


def eventually_sync(probe: Callable[[], T], *, limit: float = LIMIT_S, what: What = "") -> T:
    """Do the same where no loop runs."""
    deadline = time.monotonic() + limit
    pause, seen = _FIRST_S, ""
    while True:
        try:
            if answer := probe():
                return answer
            seen = repr(answer)
        except Exception as error:
            seen = _not_yet(error)
        if time.monotonic() >= deadline:
            pytest.fail(_given_up(probe, limit, what, seen))
        time.sleep(pause)  # between two looks at the thing
        pause = min(pause * 1.5, _LONGEST_S)


def on_screen(app: App[Any], kind: type[Screen[Any]]) -> bool:
    """Whether a screen of this kind is in front, with all that it is composed of."""
    return isinstance(app.screen, kind) and app.screen.is_mounted


def _not_yet(error: Exception) -> str:
    """What was seen where this only means that the thing is not there yet; else it is raised."""
    if isinstance(error, AssertionError):
        return str(error) or "an assertion without words"
    query = sys.modules.get("textual.css.query")  # no probe can raise it where it is not loaded
    if isinstance(error, (*_NOT_THERE, *([query.NoMatches] if query else ()))):
        return repr(error)
    raise error


def _given_up(probe: Callable[[], object], limit: float, what: What, seen: str) -> str:
    name = getattr(probe, "__qualname__", repr(probe))
    code = getattr(probe, "__code__", None)
    where = f" (line {code.co_firstlineno})" if code is not None else ""
    told = what if isinstance(what, str) else str(what())
    about = f"{told}; " if told else ""
    return f"{about}{name}{where} did not hold within {limit:g} s; last seen: {seen[:_SHOWN]}"
