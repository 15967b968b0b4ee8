"""The event loop of a command, from its first coroutine to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class _CommandLoop(asyncio.SelectorEventLoop):
    """Ends with what its command had to say, also where no thread can be started."""

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for what runs in threads; without one more thread, the interpreter waits for it."""
        try:
            await super().shutdown_default_executor(*args)
        except RuntimeError:
            _LOG.warning("no thread could be started to wait for the others", exc_info=True)


def run_command(work: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, but the result or the error of `work` is never lost at the end."""
    with asyncio.Runner(loop_factory=_CommandLoop) as runner:
        return runner.run(work)
