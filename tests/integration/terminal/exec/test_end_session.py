"""A shell that said who it is, is ended with all that runs on its terminal, or found to be gone."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from services.terminal.exec.remote_pid import SAY_SESSION, PidPreamble, kill_command
from services.terminal.transport.pty import PtyProcess
from tests.support.families import end, gone, processes
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
ABSENT = 3


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("ignored", ["", "HUP INT TERM"], ids=["polite", "deaf"])
async def test_a_session_is_ended_with_all_that_is_in_it(
    shell: str, ignored: str, tmp_path: Path
) -> None:
    word = f"wd-{secrets.token_hex(8)}"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm"}
    process = await PtyProcess.start([shell], env=env, cwd=tmp_path, columns=200, lines=50)
    try:
        trap = f"trap '' {ignored};" if ignored else ""
        command = f'sh -c "{trap} while :; do sleep 0.1; done" {word}'
        process.write(f"{SAY_SESSION}\n{command}\n".encode())
        preamble = PidPreamble()
        async with asyncio.timeout(30):
            while preamble.remote is None:
                preamble.feed(await process.read())
        await eventually(lambda: processes(word))
        argv = kill_command(preamble.remote, ABSENT)
        ended = await asyncio.to_thread(subprocess.run, argv, check=False)
        assert ended.returncode == 0
        await gone(word)
        again = await asyncio.to_thread(subprocess.run, argv, check=False)
        assert again.returncode == ABSENT
    finally:
        await process.terminate()
        end(word)
