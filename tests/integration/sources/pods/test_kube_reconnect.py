"""Shells that come back: by themselves where that was asked for, with their state in tmux."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.models import ShellState
from services.terminal.exec.requests import ShellChoice
from services.terminal.session.scheduler import ParseScheduler
from tests.integration.sources.pods.test_kube_source import BOX, Cluster, cluster
from tests.support.shells import opened, read_until, running_session
from tests.support.waiting import eventually


async def test_a_lost_shell_is_opened_again_and_the_old_one_is_hung_up(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, auto_reconnect=True) as one,
        running_session(
            one.source.actor.shell(BOX, ShellChoice()), ParseScheduler(), alone=False
        ) as running,
    ):
        await running.shows(b"pod$ ")
        before = one.api.exec.terminals[0].pid
        one.api.sockets[-1].reset()
        await running.shows(b"state of the previous one is gone")
        await eventually(lambda: running.screen.fed.count(b"pod$ ") >= 2)
        assert running.session.shell.state is ShellState.OPEN
        assert one.api.exec.terminals[1].pid != before
        await eventually(lambda: one.api.exec.alive <= 1)


async def test_a_deleted_pod_is_not_tried_again(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, auto_reconnect=True) as one,
        running_session(
            one.source.actor.shell(BOX, ShellChoice()), ParseScheduler(), alone=False
        ) as running,
    ):
        await running.shows(b"pod$ ")
        await one.api.remove("box")
        one.api.sockets[-1].reset()
        await running.until(lambda: running.session.shell.state.over)
        assert "no pod box" in running.session.shell.reason


@asynccontextmanager
async def multiplexed(tmp_path: Path, **options: object) -> AsyncIterator[Cluster]:
    """A pod with tmux; its server is ended at the end."""
    async with cluster(tmp_path, resumable=True, **options) as one:
        place = tmp_path / "tmux"
        place.mkdir(mode=0o700)
        one.api.exec.env |= {"TMUX_TMPDIR": str(place), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        try:
            yield one
        finally:
            done = subprocess.run(
                ["tmux", "display-message", "-p", "#{pid}"],
                env={"TMUX_TMPDIR": str(place), "PATH": os.environ["PATH"]},
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                os.kill(int(done.stdout), signal.SIGKILL)


@pytest.mark.kit("tmux")
async def test_a_resumable_shell_is_found_again(tmp_path: Path) -> None:
    async with multiplexed(tmp_path) as one:
        first = one.source.actor.shell(BOX, ShellChoice())
        await first.open(80, 24)
        await first.write(b"kept=treasure; echo se''t\r")
        await read_until(first, b"set")
        one.api.sockets[-1].reset()
        await first.close()
        again = one.source.actor.shell(BOX, ShellChoice())
        async with opened(again, 90, 30):
            await again.write(b"echo found-$kept\r")
            await read_until(again, b"found-treasure")
        beside = one.source.actor.shell(BOX, ShellChoice())
        other = one.source.actor.shell(BOX, ShellChoice())
        async with opened(beside), opened(other):
            await other.write(b"echo other-$kept.\r")
            await read_until(other, b"other-.")


@pytest.mark.kit("tmux")
async def test_it_comes_back_by_itself_with_its_state(tmp_path: Path) -> None:
    async with (
        multiplexed(tmp_path, auto_reconnect=True) as one,
        running_session(
            one.source.actor.shell(BOX, ShellChoice()), ParseScheduler(), alone=False
        ) as running,
    ):
        running.session.type(b"kept=treasure; echo se''t\r")
        await running.shows(b"set")
        await asyncio.sleep(2.1)  # real time: it waits until nothing was typed for two seconds
        one.api.sockets[-1].reset()
        await running.shows(b"connected again")
        running.session.type(b"echo found-$kept\r")
        await running.shows(b"found-treasure")


async def test_without_a_multiplexer_it_says_that_it_is_not_resumable(tmp_path: Path) -> None:
    async with cluster(tmp_path, resumable=True) as one:
        slim = tmp_path / "slim"
        slim.mkdir()
        (slim / "sh").symlink_to("/bin/sh")
        one.api.exec.env["PATH"] = str(slim)
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            output = await read_until(shell, b"$ ")
        assert b"no tmux or screen in this container: this sh is not resumable" in output
