"""Who ends the process of a command whose connection was cut, and what is said of it."""

from __future__ import annotations

from typing import Protocol

from services.terminal.exec.remote_pid import RemoteProcess


class ProcessKeeper(Protocol):
    """Keeps count of the processes of commands, and ends those that were cut off."""

    @property
    def later(self) -> str:
        """What becomes of one that could not be ended now; empty for nothing."""

    def started(self, remote: RemoteProcess) -> None:
        """It runs."""

    def ended(self, remote: RemoteProcess) -> None:
        """It has ended by itself."""

    async def end(self, remote: RemoteProcess) -> bool:
        """End it, now or when its place is reached again; whether it is gone."""


async def end_cut_off(
    keeper: ProcessKeeper | None, remote: RemoteProcess | None, place: str
) -> str:
    """End a command whose connection was cut; what became of it."""
    if remote is None or keeper is None:
        return f"it may still run in {place}"
    if await keeper.end(remote):
        return f"it was ended in {place}"
    later = f"; {keeper.later}" if keeper.later else ""
    return f"it may still run in {place} (pid {remote.pid}){later}"
