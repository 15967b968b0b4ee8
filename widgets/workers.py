"""Workers of the panel: a failure of one never ends the panel, and none leaves a bare coroutine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode
from textual.worker import Worker


def run_worker(
    node: DOMNode,
    work: Callable[..., Coroutine[Any, Any, None]],
    *arguments: object,
    group: str = "default",
    exclusive: bool = False,
) -> Worker[None]:
    """Run `work(*arguments)` beside the panel; an exclusive one calls off the rest of its group.

    A failure is silent: only the worker's `error` has it.
    """

    # A coroutine made here would never be awaited by a worker called off before its first step;
    # Textual keeps and logs the words of what it is given, which must not be the arguments.
    async def begin() -> None:
        await work(*arguments)

    return node.run_worker(begin, group=group, exclusive=exclusive, exit_on_error=False)
