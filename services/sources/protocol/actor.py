"""The half of a source that acts, on operator request only; that of a read-only panel refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NoReturn, Protocol, runtime_checkable

from services.errors import ReadOnlyError
from services.models import SandboxId, Step

if TYPE_CHECKING:
    from services.sources.protocol.verdict import Verdict
    from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
    from services.terminal.transport.base import Transport

SIGN_IN_S = 45.0
"""What signing in to a whole source is given."""


class Actor(Protocol):
    """Starts and connects sandboxes, opens shells, runs commands; on operator request only."""

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Start what is stopped, in place. Yields each step as it changes; a failed step ends it.

        Closing the iterator ends every child it started.
        """

    def connect(self, sandbox: SandboxId) -> AsyncIterator[Step | Verdict]:
        """The ordered link steps after serving; same rules as `wake`.

        A verdict says what the step that fails next means, where the source knows best.
        """

    def wake_key(self, sandbox: SandboxId) -> str:
        """Who may not be woken at the same time: the gateway's identity."""

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        """A transport that is not open yet.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: no shell there, or none as chosen, with the reason.
        """

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Run one command: its output as it comes and, last, an `ExecResult`.

        Closing the iterator stops the command.

        Raises:
            ReadOnlyError, RefusedError: this panel will not run it.
            NotFoundError: no such sandbox here.
            UnavailableError: no commands there, or none as chosen, with the reason.
            ShellError: it could not be started.
        """

    async def close(self) -> None:
        """End what this actor started for the panel; idempotent."""


@runtime_checkable
class SignsIn(Protocol):
    """An actor that can sign in to its whole source, whatever is listed there."""

    async def sign_in(self) -> str:
        """Get a fresh credential, for the operator; what was done, in a few words.

        Raises:
            UnavailableError, ProcessError: it could not be had, with the reason.
        """


@runtime_checkable
class AsksInTerminal(Protocol):
    """An actor whose sign-in may have to ask the operator, which needs a terminal."""

    def asking_shell(self) -> SandboxId | None:
        """What `shell` opens to be asked there; None where nothing has to be asked now."""


@runtime_checkable
class SignsInOnTerminal(Protocol):
    """An actor whose sign-in can ask on a terminal the operator sits at anyway."""

    def terminal_sign_in(self) -> Transport | None:
        """What signs in there once it is opened; None where that asks nothing.

        It ends as `ENDED` only where it signed in; the reason says how, or why not.

        Raises:
            UnavailableError: it is under way already.
        """


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
