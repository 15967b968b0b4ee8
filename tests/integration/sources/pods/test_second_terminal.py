"""A second terminal ends what it finds, and never says that of what it does not find."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from services.sources.pods.second_terminal import SecondTerminal
from services.terminal.exec.remote_pid import SESSION, RemoteProcess
from services.terminal.transport.base import Transport
from services.terminal.transport.pty_transport import PtyTransport

pytestmark = pytest.mark.slow


def ticks(pid: int) -> int:
    """When the kernel started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19])


async def test_only_the_process_that_was_started_is_ended(tmp_path: Path) -> None:
    opened = 0

    def shell() -> Transport:
        nonlocal opened
        opened += 1
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm"}
        return PtyTransport(["sh"], env=env, cwd=tmp_path)

    one = SecondTerminal(shell, "the pod")
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        try:
            pid, started = process.pid, ticks(process.pid)
            # Its number alone, where no start was told, or with another start: somebody else.
            assert not await one.end(RemoteProcess(pid, 0, SESSION))
            assert opened == 0
            assert not await one.end(RemoteProcess(pid, started + 1, SESSION))
            assert process.poll() is None
            assert await one.end(RemoteProcess(pid, started, SESSION))
            assert process.wait(10) == -signal.SIGHUP
            assert not await one.end(RemoteProcess(pid, started, SESSION))
        finally:
            process.kill()
