"""Shells and single commands in a sandbox, through `sandbox exec` (upstream/openshell: Shells)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from services.errors import ShellError, UnavailableError
from services.models import Retry, ShellState
from services.sources.openshell.cli import Cli, environment
from services.sources.openshell.cli_text import ErrorKind, error_kind, error_text, is_cli_error
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import OpenShellClient, scope
from services.sources.openshell.records import Target
from services.terminal.exec.child import ChildCommand
from services.terminal.exec.requests import AGENT, ExecEvent, ExecRequest, ExecResult, ShellChoice
from services.terminal.exec.runner import run_command
from services.terminal.transport.base import CloseReason, Transport, require_open
from services.terminal.transport.forwarding import ForwardingShell
from services.terminal.transport.pty_transport import PtyTransport

ATTACHED = (
    "Attached to the agent's main process: ending it puts the sandbox in Error."
    " Ctrl-P Ctrl-Q leaves it running."
)
ATTACHMENT = (
    "You will share the sandbox's own main process, the agent, with whoever else is attached.\n"
    "Ending it, with exit, Ctrl-D or Ctrl-C, ends the agent and puts the sandbox in Error;"
    " before 0.1 nothing starts it again.\n"
    "Ctrl-P Ctrl-Q, or closing the tab, leaves it running. Before 0.0.111 this is a new shell."
)
_LOGIN = "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l"
_TAIL = 4096
_SLACK_S = 5.0
_FINAL = (
    ErrorKind.USAGE,
    ErrorKind.AUTH,
    ErrorKind.PERMISSION,
    ErrorKind.MISSING,
    ErrorKind.UNKNOWN_NAME,
)


def shell(cli: Cli, client: OpenShellClient, target: Target, choice: ShellChoice) -> Transport:
    """A shell that is not open yet.

    Raises:
        UnavailableError: none as chosen, or no CLI.
    """
    _refuse_pods(choice)
    cli.path()
    return SandboxShell(cli, client, target, choice.shell)


def _refuse_pods(choice: ShellChoice) -> None:
    if choice.pod is not None or choice.first_pod:
        raise UnavailableError("An OpenShell sandbox has no pods to choose from.")


def _login(chosen: str | None) -> list[str]:
    return [f"/bin/{chosen}", "-l"] if chosen else ["/bin/sh", "-c", _LOGIN]


class SandboxShell(ForwardingShell):
    """`sandbox exec --tty`, or `sandbox connect`, on a terminal of ours."""

    def __init__(
        self, cli: Cli, client: OpenShellClient, target: Target, chosen: str | None
    ) -> None:
        super().__init__(ATTACHED if chosen == AGENT else "")
        self._cli = cli
        self._client = client
        self._target = target
        self._chosen = chosen
        self._tail = b""
        self._attached = chosen == AGENT

    async def open(self, columns: int, lines: int) -> None:
        """Start it on a terminal of that size.

        Raises:
            ShellError: it could not be run.
        """
        try:
            tools = await self._client.toolset()
            argv = self._argv(tools)
        except UnavailableError as error:
            raise ShellError(error.sentence, retry=Retry.NO, advice=error.advice) from error
        env = {**environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        inner = PtyTransport(argv, env=env)
        await inner.open(columns, lines)
        self._inner = inner

    def _argv(self, tools: Toolset) -> list[str]:
        named = [*scope(self._target, tools), "sandbox"]
        if self._attached or not tools.exec:
            # The first versions have no exec: connect is then the only way in, as a new shell.
            self._attached = True
            asked = [*named, "connect", self._target.name]
        else:
            asked = [*named, "exec", "-n", self._target.name, "--tty", "--"]
            asked += _login(self._chosen)
        return self._cli.argv(*asked, gateway=self._target.gateway)

    async def read(self) -> bytes | CloseReason:
        """The next output, or how it ended."""
        data = await require_open(self._inner).read()
        if isinstance(data, bytes):
            self._tail = (self._tail + data)[-_TAIL:]
            return data
        return ended(data, self._tail.decode("utf-8", "replace"), attached=self._attached)


def ended(ending: CloseReason, tail: str, *, attached: bool) -> CloseReason:
    """Tell the CLI's own failures from the exit of the shell: both can be 1 or 255.

    See upstream/openshell: Text and exit codes.
    """
    if ending.code == 255 and attached:
        return CloseReason(ShellState.LOST, "the connection to the sandbox was lost")
    said = tail[max(tail.rfind("Error:"), 0) :]
    if ending.code != 1 or not is_cli_error(said):
        return ending
    kind = error_kind(said)
    if kind is ErrorKind.UNKNOWN and "error" not in said[:6].lower():
        return ending
    retry = Retry.NO if kind in _FINAL or kind.of_tls else Retry.ASK
    return CloseReason(ShellState.LOST, f"openshell gave up: {error_text(said, 160)}", retry=retry)


def execute(
    cli: Cli, target: Target, tools: Toolset, request: ExecRequest
) -> AsyncGenerator[ExecEvent, None]:
    """Run one command, its streams apart.

    Raises:
        UnavailableError: this CLI runs no commands, or none as chosen.
    """
    _refuse_pods(request.choice)
    if not tools.exec:
        raise UnavailableError(
            "This openshell cannot run single commands.", advice="Upgrade it to 0.0.23 or later."
        )
    asked = [*scope(target, tools), "sandbox", "exec", "-n", target.name, "--no-tty"]
    if request.timeout_s is not None:
        # Should we be gone by then, the gateway ends it.
        asked += ["--timeout", str(int(request.timeout_s + _SLACK_S))]
    wire = ChildCommand(
        lambda argv, _: cli.argv(*asked, "--", *argv, gateway=target.gateway),
        exec_result,
        place="the sandbox",
        env=environment(),
    )
    return run_command(wire, request)


def exec_result(code: int, told: str, began: bool) -> ExecResult:
    """What the CLI's exit status says of the command (upstream/openshell: Text and exit codes).

    Raises:
        UnavailableError: the CLI does not run commands like this.
    """
    if code == 1 and is_cli_error(told):
        return ExecResult(None, f"openshell said: {error_text(told)}")
    if code == 2 and error_kind(told) is ErrorKind.USAGE and not began:
        raise UnavailableError(f"openshell cannot run this: {error_text(told)}.")
    return ExecResult(code)
