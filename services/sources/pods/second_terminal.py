"""Ends a command on a platform by another terminal in its pod: a closed socket does not end it.

See upstream/pods: Processes left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.errors import WakedeckError
from services.terminal.exec.remote_pid import KILL_LIMIT_S, RemoteProcess, kill_command
from services.terminal.exec.requests import ExecRequest, collect_output
from services.terminal.exec.runner import run_command
from services.terminal.exec.sentinel import SentinelCommand
from services.terminal.transport.base import Transport

_ABSENT = 3


class SecondTerminal:
    """The way to the pod of one command; a `ProcessKeeper` that writes nothing down."""

    later = ""

    def __init__(self, shell: Callable[[], Transport], place: str) -> None:
        """`shell` gives another one of the very same pod, not open yet."""
        self._shell = shell
        self._place = place

    def started(self, remote: RemoteProcess) -> None:
        """Nothing: it is ended now or not at all."""

    def ended(self, remote: RemoteProcess) -> None:
        """Nothing."""

    async def end(self, remote: RemoteProcess) -> bool:
        """End it now; where it is not found nobody knows that it is gone."""
        if not remote.start_ticks:
            return False
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                wire = SentinelCommand(self._shell(), self._place)
                request = ExecRequest(kill_command(remote, _ABSENT))
                return (await collect_output(run_command(wire, request))).code == 0
        except (WakedeckError, TimeoutError):
            return False
