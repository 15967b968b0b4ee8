"""The app `tests.bench.flood` looks at: two shells on one pump, one of them large.

Started as a program of its own on a terminal, with a file and the programs of both shells; SIGUSR1
makes it append what it measured since the last one to the file, as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from textual.app import App, ComposeResult

from services.clock import SystemClock
from services.models import SandboxId
from services.terminal.transport.pty_transport import PtyTransport
from tui import gc_control
from tui.panel.shells import OpenShell, Shells
from widgets.terminal.messages import Released, Resized, Typed

TICK_S = 0.005


class Panel(App[None], inherit_bindings=False):
    """The flooded shell above, the other one below; the release chord changes over."""

    CSS = "#shell-1 { height: 1fr; } #shell-2 { height: 4; }"

    def __init__(self, results: Path, programs: Sequence[str]) -> None:
        super().__init__()
        self._results = results
        self._programs = programs
        self._clock = SystemClock()
        self.shells = Shells(self._clock, lambda shell: None, lambda shell_id: None)
        self._lags: list[float] = []
        self._own: list[float] = []
        self._frames = 0
        self._began = time.perf_counter()

    def _open(self, program: str) -> OpenShell:
        environ = {
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(Path.cwd()),
            "PS1": os.environ.get("PS1", ""),
        }
        transport = PtyTransport(shlex.split(program), env=environ)
        return self.shells.open(SandboxId("bench", "box"), transport)

    def compose(self) -> ComposeResult:
        for program in self._programs:
            yield self._open(program).view

    def on_mount(self) -> None:
        self._shells = [asyncio.create_task(self.shells.run(f"shell-{n}")) for n in (1, 2)]
        self._ticker = asyncio.create_task(self._tick())
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._report)
        self.query_one("#shell-1").focus()
        self.call_after_refresh(gc_control.freeze_startup_objects)

    def _display(self, *args: object) -> None:
        self._frames += 1
        super()._display(*args)  # type: ignore[arg-type]

    async def _tick(self) -> None:
        while True:
            before, busy = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_S)
            late = time.perf_counter() - before - TICK_S
            self._lags.append(late)
            self._own.append(min(late, time.thread_time() - busy))

    def _report(self) -> None:
        now = time.perf_counter()
        flood = self.shells["shell-1"].session
        line = {
            "lags": self._lags,
            "own": self._own,
            "frames": self._frames / (now - self._began),
            "skipped": flood.shell.skipped_bytes,
        }
        self._lags, self._own, self._frames, self._began = [], [], 0, now
        with self._results.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def on_terminal_view_typed(self, event: Typed) -> None:
        self.shells[event.view.id or ""].session.type(event.data)

    def on_terminal_view_resized(self, event: Resized) -> None:
        self.shells.resized(event.view.id or "", event.columns, event.lines)

    def on_terminal_view_released(self, event: Released) -> None:
        other = "#shell-2" if event.view.id == "shell-1" else "#shell-1"
        self.query_one(other).focus()


if __name__ == "__main__":
    Panel(Path(sys.argv[1]), sys.argv[2:]).run()
