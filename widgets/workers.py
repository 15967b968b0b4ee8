"""Workers of the panel: what one does wrong ends itself only, and none leaves work half begun."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from textual.dom import DOMNode
from textual.worker import Worker, WorkType


def run_worker(
    node: DOMNode,
    work: Callable[..., Coroutine[Any, Any, None]],
    *arguments: object,
    group: str = "default",
    exclusive: bool = False,
) -> Worker[None]:
    """Run `work(*arguments)` beside the panel; an exclusive one calls off the rest of its group.

    A failure is a value of the worker.
    """
    # A coroutine made here would never be awaited by a worker called off before its first step.
    begin = cast("WorkType[None]", partial(work, *arguments))
    return node.run_worker(begin, group=group, exclusive=exclusive, exit_on_error=False)
