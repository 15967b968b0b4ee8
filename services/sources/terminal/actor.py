"""Does what the operator asked of a terminal server: opens shells, runs commands."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.clock import Clock
from services.errors import ShellError, UnavailableError
from services.models import GatewayState, Retry, SandboxId, SandboxState, Step
from services.net.http import KeptHttp
from services.sources.protocol.steps import LinkStep, run_steps
from services.sources.terminal.health import check
from services.sources.terminal.jupyter import JupyterTerminals
from services.sources.terminal.observer import ADVICE, check_id
from services.sources.terminal.server import TerminalServer
from services.sources.terminal.shell import JupyterTerminal, OwnedShell, ServerShell
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.exec.runner import run_command
from services.terminal.exec.sentinel import SentinelCommand
from services.terminal.transport.base import CloseReason, Transport
from services.terminal.transport.framing import Framing
from services.terminal.transport.json_frames import JsonFraming
from services.terminal.transport.reconnect import ReconnectingTransport
from services.terminal.transport.server_frames import TerminadoFraming, TtydFraming
from services.terminal.transport.websocket import WebSocketTransport

NOTICE = "A terminal of that server: what you do here is real. It tells no exit code."
NO_WAKE = "Its server is started where it runs, not by this panel."
NO_EXEC = "commands would be typed into whatever runs there; `exec = true` says that it is a shell"
_LINK_S = 15.0


class TerminalActor:
    """The verbs of one server."""

    def __init__(self, source: str, server: TerminalServer, clock: Clock) -> None:
        self._source = source
        self._server = server
        self._clock = clock
        self._http = KeptHttp(server.http)
        self._terminals: JupyterTerminals | None = None

    def wake_key(self, sandbox: SandboxId) -> str:
        return f"terminal:{self._source}"

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        raise UnavailableError(NO_WAKE)

    async def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Ask the server, then open a terminal, see that it answers, and leave it."""
        check_id(sandbox)
        link = (
            LinkStep("sandbox", _LINK_S, self._check_server),
            LinkStep("connect", _LINK_S, self._check_terminal),
        )
        async for step in run_steps(link, self._clock):
            yield step

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        again = self._server.table.auto_reconnect and not choice.once
        return self._shell(sandbox, choice, again=again, fresh=choice.once)

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Over a terminal of its own: one stream for both outputs. Never reconnects."""
        if not (self._server.table.exec or self._server.is_jupyter):
            raise UnavailableError(f"No commands there: {NO_EXEC}.")
        shell = self._shell(sandbox, request.choice, fresh=True)
        return run_command(SentinelCommand(shell, "the terminal server"), request)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.close()

    def _shell(
        self, sandbox: SandboxId, choice: ShellChoice, *, again: bool = False, fresh: bool = False
    ) -> Transport:
        check_id(sandbox)
        if choice.shell is not None or choice.container is not None or choice.pod is not None:
            raise UnavailableError("The server picks what runs in its terminal.")
        terminal: JupyterTerminal | None = None
        if self._server.is_jupyter:
            terminal = JupyterTerminal(self._kept(), fresh)

        def make() -> ServerShell:
            return ServerShell(
                lambda: self._connect(terminal),
                NOTICE,
                ended_by_keys=self._server.table.family == "json",
                terminal=terminal,
            )

        shell: Transport = make()
        if again:
            shell = ReconnectingTransport(make, self._clock, resumes=terminal is not None)
        return shell if terminal is None else OwnedShell(shell, terminal)

    async def _connect(self, terminal: JupyterTerminal | None) -> WebSocketTransport:
        """A connection to a terminal, not open yet.

        Raises:
            UnavailableError: the server could not be asked, or has no terminal for us.
        """
        framing: Framing
        name = ""
        if terminal is not None:
            name, framing = await terminal.take(), TerminadoFraming()
        elif self._server.table.family == "ttyd":
            health = await check(self._server, self._http.opened())
            if health.server is not GatewayState.READY:
                raise UnavailableError(health.server_reason, advice=ADVICE)
            if health.terminal is SandboxState.BROKEN:
                # Asked for a terminal all the same, ttyd drops the connection without a word.
                raise ShellError(health.reason, retry=Retry.ASK, advice=ADVICE)
            framing = TtydFraming(health.ttyd_token)
        elif self._server.table.family == "json":
            framing = JsonFraming()
        else:
            framing = TerminadoFraming()
        return WebSocketTransport(
            self._server.terminal_url(name),
            self._server.headers(),
            framing=framing,
            tls=self._server.tls(),
            allow_plain=self._server.table.allow_plain,
        )

    def _kept(self) -> JupyterTerminals:
        if self._terminals is None:
            self._terminals = JupyterTerminals(self._server, self._http.opened())
        return self._terminals

    async def _check_server(self) -> str:
        health = await check(self._server, self._http.opened())
        if health.server is not GatewayState.READY or health.terminal is SandboxState.BROKEN:
            raise UnavailableError(health.server_reason or health.reason, advice=ADVICE)
        return health.seen

    async def _check_terminal(self) -> str:
        """A terminal that was opened says something, or at least answers.

        Nothing is typed: what runs in it need not be a shell.
        """
        shell = self._shell(SandboxId(self._source, self._source), ShellChoice(), fresh=True)
        try:
            await shell.open(80, 24)
            got = await shell.read()
        finally:
            await shell.close()
        if isinstance(got, CloseReason):
            raise ShellError(f"the terminal ended at once: {got.reason}", retry=Retry.ASK)
        return "a terminal answered"
