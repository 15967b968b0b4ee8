"""The open shells: each a session with its emulator and its view, known by an id."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from services.clock import Clock
from services.models import SandboxId, Shell

if TYPE_CHECKING:
    from services.terminal.emulator import Emulator
    from services.terminal.exec.requests import ShellChoice
    from services.terminal.session.recording import SessionRecorder
    from services.terminal.session.scheduler import ParseScheduler
    from services.terminal.session.session import ShellSession
    from services.terminal.transport.base import Transport
    from widgets.terminal.view import TerminalView

FIRST_SIZE = (80, 24)
SIZE_WAIT_S = 1.0
DETACH_S = 3.0
HISTORY = 10_000
_DETACH_KEYS = b"\x10\x11"
"""Ctrl-P Ctrl-Q: leaves an agent running (upstream/openshell: Shells)."""


class OpenShell(NamedTuple):
    """One shell on the screen."""

    session: ShellSession
    emulator: Emulator
    view: TerminalView
    sized: asyncio.Event
    """Set once the view knows its size: the size is told before the first byte."""
    choice: ShellChoice


def preload() -> None:
    """Load what a shell needs, so that the first one opens at once; for a thread."""
    import services.terminal.emulator
    import services.terminal.session.session
    import services.terminal.transport.websocket  # noqa: F401
    import widgets.terminal.view  # noqa: F401


class Shells:
    """Opens, feeds and closes shell sessions; `on_change` is called with every new state."""

    def __init__(
        self,
        clock: Clock,
        on_change: Callable[[Shell], None],
        on_output: Callable[[str], None],
        transcripts: Path | None = None,
    ) -> None:
        """`on_output` hears, at most once a frame, the id of a shell that wrote something.

        `transcripts` is the folder in which shells are recorded; None for not at all.
        """
        self._transcripts = transcripts
        self._clock = clock
        self._on_change = on_change
        self._on_output = on_output
        self._scheduler: ParseScheduler | None = None
        self._numbers = itertools.count(1)
        self._open: dict[str, OpenShell] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def open(
        self, sandbox: SandboxId, transport: Transport, choice: ShellChoice | None = None
    ) -> OpenShell:
        """Make a session and its view; `run` brings it to life once the view is mounted."""
        # Loaded with the first shell: the first frame needs none of it.
        from services.terminal.emulator import Emulator
        from services.terminal.exec.requests import AGENT, ShellChoice
        from services.terminal.session.scheduler import ParseScheduler
        from services.terminal.session.session import ShellSession
        from widgets.terminal.view import TerminalView

        self._scheduler = self._scheduler or ParseScheduler()
        choice = choice or ShellChoice()
        shell_id = f"shell-{next(self._numbers)}"
        emulator = Emulator(*FIRST_SIZE, history=HISTORY)
        view = TerminalView(emulator, id=shell_id)
        session = ShellSession(
            shell_id,
            sandbox,
            transport,
            emulator,
            clock=self._clock,
            scheduler=self._scheduler,
            on_change=self._on_change,
            on_paint=partial(self._painted, view, shell_id),
            recorder=self._recorder(sandbox, shell_id),
            detach_keys=_DETACH_KEYS if choice.shell == AGENT else b"",
        )
        opened = OpenShell(session, emulator, view, asyncio.Event(), choice)
        self._open[shell_id] = opened
        return opened

    def _painted(self, view: TerminalView, shell_id: str) -> None:
        view.request_redraw()
        self._on_output(shell_id)

    def _recorder(self, sandbox: SandboxId, shell_id: str) -> SessionRecorder | None:
        if self._transcripts is None:
            return None
        from services.terminal.session.recording import SessionRecorder

        begun = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"{begun}-{sandbox.source}-{sandbox.native_id[:40]}-{shell_id}-{os.getpid()}"
        return SessionRecorder(self._transcripts, name, self._clock)

    def __getitem__(self, shell_id: str) -> OpenShell:
        return self._open[shell_id]

    def __iter__(self) -> Iterator[OpenShell]:
        return iter(tuple(self._open.values()))

    def find(self, shell_id: str) -> OpenShell | None:
        """The shell of that id, if it is still here."""
        return self._open.get(shell_id)

    async def run(self, shell_id: str) -> Shell:
        """Live to the end; gives the final state."""
        opened = self._open[shell_id]
        try:
            async with asyncio.timeout(SIZE_WAIT_S):
                await opened.sized.wait()
        except TimeoutError:
            pass  # A hidden pane has no size; it is told when it has one.
        return await opened.session.run(*self._sizes.get(shell_id, FIRST_SIZE))

    def resized(self, shell_id: str, columns: int, lines: int) -> None:
        """The view has another size."""
        opened = self._open.get(shell_id)
        if opened is None:
            return
        self._sizes[shell_id] = (columns, lines)
        opened.emulator.palette = opened.view.theme_colours()
        opened.session.resize(columns, lines)
        opened.sized.set()

    def recolour(self) -> None:
        """There is another theme: programs that ask for colours are told the new ones."""
        for opened in self:
            if opened.view.is_mounted:
                opened.emulator.palette = opened.view.theme_colours()

    def forget(self, shell_id: str) -> None:
        """Let go of one; a live session is detached politely."""
        opened = self._open.pop(shell_id, None)
        self._sizes.pop(shell_id, None)
        if opened is not None and not opened.session.shell.state.over:
            opened.session.detach()

    async def close(self) -> None:
        """Detach every live shell, all at the same time."""
        live = [one.session for one in self if not one.session.shell.state.over]
        for session in live:
            session.detach()
        deadline = self._clock.monotonic() + DETACH_S
        while any(not one.shell.state.over for one in live):
            if self._clock.monotonic() > deadline:
                return
            await asyncio.sleep(0.05)
