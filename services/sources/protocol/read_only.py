"""The actor of a read-only panel: refuses every verb, here and not only on the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NoReturn

from services.errors import ReadOnlyError
from services.models import SandboxId, Step
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport


def _refuse() -> NoReturn:
    raise ReadOnlyError(
        "This panel is read-only.", advice="Start it without --read-only to act on sandboxes."
    )


class ReadOnlyActor:
    """Every call raises ReadOnlyError."""

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        _refuse()

    def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        _refuse()

    def wake_key(self, sandbox: SandboxId) -> str:
        _refuse()

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        _refuse()

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        _refuse()

    async def sign_in(self) -> str:
        _refuse()

    async def close(self) -> None:
        """Nothing was started."""
