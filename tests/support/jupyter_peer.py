"""A real Jupyter server with a token, for tests of its terminals."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.ports import free_port
from tests.support.waiting import eventually


class Jupyter:
    """A server with a token."""

    token = "jupyter-token-that-must-not-show"

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def address(self) -> str:
        """As the server prints it."""
        return f"http://127.0.0.1:{self.port}/lab?token={self.token}"

    def names(self) -> list[str]:
        """The terminals there are."""
        return [one["name"] for one in json.loads(self.ask())]

    def url(self, name: str) -> str:
        return f"ws://127.0.0.1:{self.port}/terminals/websocket/{name}"

    def ask(self, method: str = "GET", place: str = "api/terminals") -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{place}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


def jupyter_argv(port: int, folder: Path) -> list[str]:
    """A server on that port with `folder` as its root."""
    return [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--ServerApp.root_dir={folder}",
    ]


def jupyter_environment(home: Path, shell: Path = Path("/bin/bash")) -> dict[str, str]:
    """What it and its shells see."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "JUPYTER_TOKEN": Jupyter.token,
        "SHELL": str(shell),
        "PS1": "pod$ ",
        "PROMPT_COMMAND": "PS1='pod$ '",
    }


@asynccontextmanager
async def jupyter(folder: Path, port: int = 0) -> AsyncIterator[Jupyter]:
    """One with `folder` as its root; ended with its terminals."""
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        *jupyter_argv(port, folder),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=jupyter_environment(folder),
    )
    one = Jupyter(port)
    try:

        async def answers() -> bool:
            try:
                await asyncio.to_thread(one.ask)
            except (urllib.error.URLError, ConnectionError):
                return process.returncode is not None
            return True

        await eventually(answers)
        assert process.returncode is None
        yield one
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(60):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
