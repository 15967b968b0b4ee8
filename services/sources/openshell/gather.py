"""Runs awaitables concurrently; none outlives the call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
_Asked = Coroutine[Any, Any, A]


@overload
async def gather(first: _Asked[A], second: _Asked[B], /) -> tuple[A, B]: ...
@overload
async def gather(first: _Asked[A], second: _Asked[B], third: _Asked[C], /) -> tuple[A, B, C]: ...
@overload
async def gather(*every: _Asked[A]) -> tuple[A, ...]: ...
async def gather(*every: _Asked[Any]) -> tuple[Any, ...]:
    """Every answer, in order; called off or failing, it ends when the last of them has ended.

    Raises:
        Exception: the first that one of them raised; the others are called off.
    """
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one) for one in every]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tuple(one.result() for one in asked)
