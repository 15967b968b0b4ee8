"""The actor of OpenClaw gateways: it has no verb, and says why for each."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.errors import UnavailableError
from services.models import SandboxId, Step
from services.sources.openclaw.rows import NO_LINK, NO_SHELL, NO_WAKE
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport
from services.text.format import sentence


class OpenClawActor:
    """Refuses every verb with its reason."""

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"openclaw:{sandbox.native_id}"

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        raise UnavailableError(sentence(NO_WAKE))

    def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        raise UnavailableError(sentence(NO_LINK))

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        raise UnavailableError(sentence(NO_SHELL))

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        raise UnavailableError(sentence(NO_SHELL))

    async def close(self) -> None:
        """Nothing was started."""
