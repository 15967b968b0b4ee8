"""Terminal servers that are slow to start, kept for those tests of a worker that only use them.

One works in whatever folder the running test names: it knows a link, which is moved. A server that
does not give up its terminals in time is ended, and the next test gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.support.jupyter_peer import Jupyter, jupyter_argv, jupyter_environment
from tests.support.ports import free_port
from tests.support.terminado_peer import ROOT
from tests.support.waiting import eventually_sync

ANSWER_S, END_S = 10.0, 20.0


class Server:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def reset(self) -> None:
        """End its terminals; raises OSError where it does not answer."""
        self._ask("GET", "/")

    def _ask(self, method: str, place: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            connection.request(method, place, headers={"Authorization": f"token {Jupyter.token}"})
            return connection.getresponse().status
        except HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


class JupyterServer(Server):
    """Terminals of this one live on when nobody looks."""

    def reset(self) -> None:
        for name in Jupyter(self.port).names():
            self._ask("DELETE", f"/api/terminals/{name}")


def _terminado(here: Path) -> Server:
    """Its shells end with their connections."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.terminado_peer", str(here), "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(here), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    assert process.stdout is not None
    return Server(process, int(process.stdout.readline()))


def _jupyter(here: Path) -> Server:
    """It starts every shell where it was started itself, so that its shell goes elsewhere first."""
    shell = here.parent / "bash"
    shell.write_text(f'#!/bin/sh\ncd -P {here} && HOME=$PWD exec /bin/bash "$@"\n')
    shell.chmod(0o755)
    port = free_port()
    process = subprocess.Popen(
        jupyter_argv(port, here),
        cwd=here,
        env=jupyter_environment(here, shell),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = JupyterServer(process, port)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            Jupyter(port).names()
            return True
        return process.poll() is not None

    eventually_sync(answers)
    assert process.returncode is None
    return server


class Kept:
    """One kind of server: at most one of it runs in this worker."""

    def __init__(self, start: Callable[[Path], Server]) -> None:
        self._start = start
        self._server: Server | None = None
        self._room: Path | None = None

    def lend(self, folder: Path) -> Server:
        """The server, working in `folder` from now on."""
        if self._server is not None and self._server.process.poll() is not None:
            self.end()
        if self._room is None:
            self._room = Path(tempfile.mkdtemp(prefix="kept"))
        moved = self._room / "moved"
        moved.symlink_to(folder, target_is_directory=True)
        here = moved.replace(self._room / "here")
        if self._server is None:
            self._server = self._start(here)
        return self._server

    def take_back(self) -> None:
        """A test is over with it."""
        if self._server is not None:
            try:
                self._server.reset()
            except OSError:
                self.end()

    def end(self) -> None:
        """End it with all it started."""
        server, self._server = self._server, None
        if server is not None:
            with server.process as process:
                process.terminate()
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
        room, self._room = self._room, None
        if room is not None:
            shutil.rmtree(room)


_KEPT = {"terminado": Kept(_terminado), "jupyter": Kept(_jupyter)}


@asynccontextmanager
async def kept(kind: str, folder: Path) -> AsyncIterator[int]:
    """The port of this worker's server of that kind; its shells work in `folder`."""
    one = _KEPT[kind]
    server = await asyncio.to_thread(one.lend, folder)
    try:
        yield server.port
    finally:
        await asyncio.to_thread(one.take_back)


def end_all() -> None:
    """Before a worker looks at what it leaves behind."""
    for one in _KEPT.values():
        one.end()
